// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The TCP sockets of the decapsulation program's host. The kernel has real ones, so they
 * are the same in all chunks, but for the numbers that the kernel chooses.
 */
import { encodeWords } from '../../src/abi/bytes.js';
import type { Socket } from '../../src/model/names.js';
import { ip } from '../frames.js';
import type { Engines } from './engines.js';
import type { Flow } from './flow.js';
import type { Random } from './random.js';

const CLIENTS = ['192.0.2.7', '192.0.2.8', '2001:db8:c::7', '2001:db8:c::8'].map(ip);
const SERVICES = { 4: ip('203.0.113.10'), 16: ip('2001:db8:5::10') };
const PORT = 80;
/**
 * What the sockets in TIME_WAIT expect next: the numbers below and above go past 0, and
 * change their sign.
 */
const EXPECTED = [7, 0x7fff_fff0, 0xffff_fff0, 0x8000_0007];
/** How far off they take a segment: WINDOW in programs/sockets.h. */
const WINDOW = 65_536;

/** Listeners come first, since connections need them. */
const WANTED: readonly Socket[] = [
  ...Object.values(SERVICES).map((own): Socket => ({
    state: 'listens',
    address: own,
    port: PORT,
    sequence: 0,
  })),
  ...CLIENTS.flatMap((client, index): Socket[] => {
    const own = client.length === 4 ? SERVICES[4] : SERVICES[16];
    const at = (port: number) => ({
      address: own,
      port: PORT,
      peer: { address: client, port: port + index },
    });
    return [
      { ...at(40_000), state: 'open', sequence: 0 },
      // The kernel chooses the number of its SYN-ACK.
      { ...at(41_000), state: 'half-open', sequence: 0 },
      { ...at(42_000), state: 'time-wait', sequence: EXPECTED[index] ?? 0 },
    ];
  }),
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

/** TIME_WAIT ends after 60 s. What is left is for a chunk that is looked at again. */
const RENEWED_AFTER_MS = 20_000;

export class Sockets {
  readonly #engines: Engines;
  #open: readonly Socket[] = [];
  #since = -Infinity;

  constructor(engines: Engines) {
    this.#engines = engines;
  }

  /** Returns those that the kernel has, for a chunk that begins now. */
  async forChunk(): Promise<readonly Socket[]> {
    if (performance.now() - this.#since < RENEWED_AFTER_MS) return this.#open;
    this.#since = performance.now();
    const numbers = await this.#engines.openSockets(WANTED.map(socketEntry));
    this.#open = WANTED.map((one, index) => ({ ...one, sequence: numbers[index] ?? 0 }));
    return this.#open;
  }
}

/** Packets of connections that the host has, or whose port it listens on. */
export function flowsOf(random: Random, sockets: readonly Socket[]): Flow[] {
  return sockets.map((socket) => ({
    source: socket.peer?.address ?? random.bytes(socket.address.length),
    address: socket.address,
    protocol: 6,
    ports: {
      source: socket.peer?.port ?? random.between(1, 65535),
      destination: socket.port,
    },
    sequence: random.word(),
    data: 0,
    ...bordersOf(socket),
  }));
}

/** Numbers at which the answer changes, and those beside them. */
function bordersOf({
  state,
  sequence,
}: Socket): Pick<Flow, 'sequences' | 'acknowledged'> {
  const beside = (one: number): number[] => [one - 1, one, one + 1];
  switch (state) {
    case 'half-open':
      return { acknowledged: beside(sequence + 1) };
    case 'time-wait': {
      const far = [-(2 ** 31), -WINDOW, 0, WINDOW];
      return { sequences: far.flatMap((by) => beside(sequence + by)) };
    }
    default:
      return {};
  }
}
