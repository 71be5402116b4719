// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Tables for the tests of the model, and frames as they are written in RFCs: in hex. */
import type { FlowRecord } from '../../../src/abi/record.js';
import { CELL_USED } from '../../../src/abi/cell.js';
import { model } from '../../../src/model/model.js';
import type {
  Answer,
  ModelCell,
  ModelDestination,
  ProgramState,
  Tables,
} from '../../../src/model/types.js';

/** Bytes from hex with spaces and line breaks. */
export function bytes(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

export const BALANCER_MAC = '020000000004';
export const CLIENT_MAC = '020000000001';
export const DESTINATION_MAC = '02000a00010f';
/** 10.0.0.4 and its like in the tables. */
export const mapped = (hex: string): Buffer => bytes(`00000000000000000000ffff${hex}`);
export const SERVICE = 'cb00710a'; // 203.0.113.10
export const CLIENT = 'c0000207'; // 192.0.2.7
export const BALANCER = '0a000004'; // 10.0.0.4
export const DESTINATION = '0a00010f'; // 10.0.1.15
export const SERVICE_V6 = '20010db8000000000000000000000010';
export const CLIENT_V6 = '20010db8000100000000000000000007';
export const BALANCER_V6 = '20010db8000200000000000000000004';
export const DESTINATION_V6 = '20010db800020000000000000000000f';

export function cell(fields: Partial<ModelCell> = {}): ModelCell {
  return {
    address: mapped(SERVICE),
    port: 0,
    protocol: 17,
    firstSlot: 0,
    service: 1,
    log2Slots: 0,
    flags: CELL_USED,
    ...fields,
  };
}

export function destination(fields: Partial<ModelDestination> = {}): ModelDestination {
  return {
    address: mapped(DESTINATION),
    mac: bytes(DESTINATION_MAC),
    service: 1,
    weight: 1,
    isForgotten: false,
    spread: 0,
    source: mapped(BALANCER),
    largestPacket: 1480,
    forward: 'tunnel',
    port: 0,
    exit: 0,
    block: 0,
    ...fields,
  };
}

export function tables(fields: Partial<Tables> = {}): Tables {
  return {
    build: 'host',
    device: {
      slotSeed: 2,
      mac: bytes(BALANCER_MAC),
      sessionPort: 0,
      log2Sets: 0,
      flags: 0,
      names: {},
    },
    secret: 0x0123_4567_89ab_cdefn,
    cells: [cell(), cell({ protocol: 6 })],
    slots: new Map([[0, { current: 1, previous: 0, since: 0 }]]),
    destinations: new Map([
      [0, destination({ service: 0 })],
      [1, destination()],
    ]),
    ...fields,
  };
}

export function state(
  records: readonly FlowRecord[] = [],
  seconds = 1000,
  mayTell = true,
): ProgramState {
  return {
    flows: new Map([[0, records]]),
    now: BigInt(seconds) * 1_000_000_000n,
    mayTell,
    mayRecord: true,
    mayEcho: true,
  };
}

export const ETHERNET = `${BALANCER_MAC} ${CLIENT_MAC}`;
/** From 192.0.2.7:4242 to 203.0.113.10:80, without content. */
export const UDP = `4500001c 00004000 40113cbf ${CLIENT} ${SERVICE} 1092 0050 0008 0000`;
export const UDP_FRAME = bytes(`${ETHERNET} 0800 ${UDP}`);
export const UDP_V6 = `60000000 0008 11 40 ${CLIENT_V6} ${SERVICE_V6} 1092 0050 0008 0000`;

export function ask(
  frame: Buffer | string,
  on: Partial<Tables> = {},
  when: ProgramState = state(),
): Answer {
  return model(tables(on), when, typeof frame === 'string' ? bytes(frame) : frame);
}
