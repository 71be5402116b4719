// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What the host of the decapsulation program has: siblings and TCP sockets. They are the
 * same in all chunks, since the kernel's sockets stay open.
 */
import { encodeWords } from '../../src/abi/bytes.js';
import type { Sibling } from '../../src/abi/siblings.js';
import type { Socket } from '../../src/model/names.js';
import { parseAddress } from '../../src/wire/address.js';
import { must } from '../../src/text/must.js';
import { ip } from '../frames.js';

const address = (text: string): Buffer => must(parseAddress(text), text);

/** Their numbers are the same in all lengths of a prefix. */
export const SIBLINGS: readonly Sibling[] = [
  ...[1, 2, 3, 4].map((number) => sibling(`10.0.0.${number}`, number)),
  ...[1, 2, 3].map((number) => sibling(`2001:db8:2::${number}`, 4 + number)),
  // The host itself.
  sibling('10.0.0.15', 0),
  sibling('10.0.0.16', 0),
  sibling('2001:db8:2::f', 0),
];

function sibling(text: string, pair: number): Sibling {
  const mac = Buffer.from([0x02, 0, 0x0a, 0, 0x01, pair]);
  return { address: address(text), mac, pair };
}

export function numberOf(one: Buffer): number {
  return one.readUInt16BE(14) & 0xff;
}

const CLIENTS = ['192.0.2.7', '192.0.2.8', '2001:db8:c::7', '2001:db8:c::8'];
const SERVICES = { 4: ip('203.0.113.10'), 16: ip('2001:db8:5::10') };

/** Connections, and the sockets that listen for them. */
export const SOCKETS: readonly Socket[] = [
  ...CLIENTS.map((client, index): Socket => {
    const from = ip(client);
    const peer = { address: from, port: 40_000 + index };
    const own = from.length === 4 ? SERVICES[4] : SERVICES[16];
    return { state: 'open', address: own, port: 80, peer, sequence: 0 };
  }),
  ...Object.values(SERVICES).map((own): Socket => ({
    state: 'listens',
    address: own,
    port: 80,
    sequence: 0,
  })),
];

/** enum socket_state. */
const STATES = { listens: 1, 'half-open': 2, 'time-wait': 3, open: 4 };
const TUPLE = 36;

/** A key as in struct bpf_sock_tuple, and struct native_socket. */
export function socketEntry(socket: Socket): readonly [Buffer, Buffer] {
  const { address: own, port, peer, state, sequence } = socket;
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(peer?.port ?? 0, 0);
  ports.writeUInt16BE(port, 2);
  const from = peer?.address ?? Buffer.alloc(own.length);
  const tuple = Buffer.concat([from, own, ports], TUPLE);
  return [tuple, encodeWords([STATES[state], sequence])];
}
