// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Turns the tables of a filled balancer into some that take its packets for answers. */
import { encodeAnswer, encodeAnswerKey, encodeSenderKey } from '../src/abi/answer.js';
import { encodeDestination } from '../src/abi/destination.js';
import { encodePools } from '../src/abi/pool.js';
import {
  CLAIMS,
  CLAIM_ANSWERED,
  CLAIM_ESTABLISHED,
  CLAIM_READY,
  CLAIM_TCP,
  encodeClaims,
  encodePort,
} from '../src/abi/port.js';
import { encodeKey } from '../src/abi/bytes.js';
import { EMPTY_CELL } from '../src/abi/cell.js';
import {
  DEVICE_ANSWERS,
  DEVICE_POOLS,
  DEVICE_XDP_ANSWERS,
  decodeDevice,
  encodeDevice,
} from '../src/abi/device.js';
import { mapNamed } from '../src/program/find.js';
import type { Bpftool } from '../src/system/bpftool.js';
import { decodeEntries, valueOf } from '../src/system/bpftool-text.js';
import type { MapInfo } from '../src/system/bpftool-text.js';
import { parseAddress, parseMac } from '../src/wire/address.js';
import { TCP } from '../src/wire/protocols.js';
import { must } from '../src/text/must.js';
import { CLIENT, CLIENT_PORT } from './traffic.js';
import { NEAR_MAC, SERVICE } from './wire.js';
import { update } from '../src/system/entries.js';
import type { Entry } from '../src/system/entries.js';

/** An address for answers; any will do. */
const VIP = '203.0.113.10';
/** Ports of full-nat that connections have: a power of two. */
export const PORTS_TAKEN = 1024;
/** Connections that there are answers of: a power of two. */
export const ANSWERED = 16;

const addressOf = (text: string): Buffer => must(parseAddress(text), text);

/** The client's packets become answers: no service has them, and `answers` does. */
export async function makeAnswers(
  bpftool: Bpftool,
  maps: readonly MapInfo[],
  { isSent, isByLink = false }: { isSent: boolean; isByLink?: boolean },
): Promise<void> {
  const [device, services] = [mapNamed(maps, 'device'), mapNamed(maps, 'services')];
  const answers = mapNamed(maps, 'answers');
  const [one, cells] = (
    await bpftool.queries([device, services].map(({ id }) => `map dump id ${id}`))
  ).map(decodeEntries);
  const settings = decodeDevice(valueOf(must(one?.[0], 'device')));
  const flags = DEVICE_ANSWERS | (isSent ? DEVICE_XDP_ANSWERS : 0);
  const from = { address: addressOf(CLIENT), protocol: TCP };
  const own = { address: addressOf(VIP), port: 80, isForFragments: false, id: 1 };
  const value = encodeAnswer({ ...own, isByLink });
  const sender = { mac: must(parseMac(NEAR_MAC), NEAR_MAC), service: 1 };
  const changes = [
    ...(isByLink
      ? [
          update(
            answers,
            encodeSenderKey(sender),
            encodeAnswer({ ...own, isByLink: false }),
          ),
        ]
      : []),
    ...Array.from({ length: ANSWERED }, (_, index) =>
      update(answers, encodeAnswerKey({ ...from, port: CLIENT_PORT + index }), value),
    ),
    ...(cells ?? []).map(({ key }) => update(services, key, EMPTY_CELL)),
    update(device, encodeKey(0), encodeDevice({ ...settings, flags })),
  ];
  await bpftool.write(changes, undefined);
}

/** The client's packets become answers to the ports of full-nat, which are all taken. */
export async function makePorts(
  bpftool: Bpftool,
  maps: readonly MapInfo[],
): Promise<void> {
  const map = (name: string): MapInfo => mapNamed(maps, name);
  const [[one], cells] = (
    await bpftool.queries(
      [map('device'), map('services')].map(({ id }) => `map dump id ${id}`),
    )
  ).map(decodeEntries) as [Entry[], Entry[]];
  const settings = decodeDevice(valueOf(must(one, 'device')));
  const destination = encodeDestination({
    ...{ address: addressOf(CLIENT), port: CLIENT_PORT, forward: 'full-nat' },
    ...{ mac: Buffer.alloc(6), service: 1, weight: 1, spread: 0, block: 0 },
    ...{ source: addressOf(SERVICE.ipv4), headerSum: 0, largestPacket: 1500 },
    ...{ isFound: false, isForgotten: false, exit: 0 },
  });
  const state = CLAIM_READY | CLAIM_TCP | CLAIM_ANSWERED | CLAIM_ESTABLISHED;
  const port = encodePort({
    ...{ client: addressOf('203.0.113.20'), clientPort: 40000 },
    ...{ address: addressOf(VIP), servicePort: 80 },
    ...{ destination: 1, protocol: TCP, version: 4, awaited: 0 },
  });
  const claims = encodeClaims(
    Array.from({ length: CLAIMS }, () => ({ signature: 1, state, seen: 0 })),
  );
  const pools = encodePools([
    { address: addressOf(SERVICE.ipv4), hostBits: 0, firstBlock: 0 },
  ]);
  const changes = [
    ...Array.from({ length: PORTS_TAKEN }, (_, number) =>
      update(map('ports'), encodeKey(number), port),
    ),
    ...Array.from({ length: PORTS_TAKEN / CLAIMS }, (_, set) =>
      update(map('claims'), encodeKey(set), claims),
    ),
    update(map('pools'), encodeKey(0), pools),
    update(map('destinations'), encodeKey(1), destination),
    ...cells.map(({ key }) => update(map('services'), key, EMPTY_CELL)),
    update(
      map('device'),
      encodeKey(0),
      encodeDevice({ ...settings, flags: DEVICE_POOLS }),
    ),
  ];
  await bpftool.write(changes, undefined);
}
