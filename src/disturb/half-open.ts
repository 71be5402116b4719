// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Connections that are half open while a change is made: their client has the answer to
 * its SYN, but nothing that it sends from then on leaves it until the change is complete.
 */
import { endianness } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

import type { LongRunning } from '../system/long-running.js';
import { packaged } from '../system/package.js';
import { addressOf } from './changes.js';
import type { HalfOpen } from './judge-half-open.js';
import type { HalfOpenEvent } from './protocol.js';
import { now } from './protocol.js';
import type { Roles } from './roles.js';
import { SERVICE } from './testbed.js';

/** Their client's address, which testbed/hold.c knows, too. */
export const HELD_ADDRESS = '10.0.255.2';
/** How long a client tries after the change. TCP sends again 3, 6.2 and 12.6 s after. */
const PATIENCE = 15_000;
/** The most time for the handshakes as far as they go, in milliseconds. */
const HANDSHAKES = 5000;

interface Batch {
  change: number;
  client: LongRunning;
  events: HalfOpenEvent[];
  /** The destination whose kernel had the half-open connection, by the client's port. */
  seen: Map<number, string>;
  /** Those whose kernel gave up before the change was complete. */
  expired: Set<number>;
}

export class HalfOpens {
  readonly #roles: Roles;
  readonly #count: number;
  readonly #destinations: number;
  readonly #batches: Batch[] = [];

  constructor(roles: Roles, count: number, destinations: number) {
    this.#roles = roles;
    this.#count = count;
    this.#destinations = destinations;
  }

  async prepare(): Promise<void> {
    await this.#roles.within('client', 'could not add an address to the client', 'ip', [
      ...['address', 'add', `${HELD_ADDRESS}/32`, 'dev', 'eth0'],
    ]);
  }

  /**
   * Opens them half before change `change`. What is dropped from here on would be the
   * earlier ones' as well, so these must have ended.
   */
  async begin(change: number): Promise<void> {
    await this.#batches.at(-1)?.client.ended;
    await this.#switchPort('testbed/hold.o');
    const settings = [JSON.stringify(this.#settings)];
    const client = this.#roles.start('client', 'half-open.mjs', settings);
    const batch = {
      change,
      client,
      events: [],
      seen: new Map(),
      expired: new Set(),
    } as Batch;
    this.#batches.push(batch);
    client.onLine((line) => batch.events.push(JSON.parse(line) as HalfOpenEvent));
    await client.firstLine('the client of half-open connections');
    const deadline = now() + HANDSHAKES;
    // One line says that it has begun.
    while (batch.events.length <= this.#count && now() < deadline) await sleep(20);
    batch.seen = await this.#look();
  }

  /**
   * The change is complete: lets them go on. A kernel whose backlog is more than half full,
   * as in a flood, forgets a half-open connection after 3 s, and then no balancer can help.
   */
  async release(): Promise<void> {
    const batch = this.#batches.at(-1);
    if (batch) {
      const kept = await this.#look();
      batch.expired = new Set([...batch.seen.keys()].filter((port) => !kept.has(port)));
    }
    await this.#switchPort('testbed/pass.o');
    batch?.client.say('go on');
  }

  /** Waits until each is complete or lost. */
  async end(): Promise<HalfOpen[]> {
    await Promise.all(this.#batches.map(({ client }) => client.ended));
    return this.#batches.flatMap(outcomes);
  }

  get #settings(): Record<string, unknown> {
    const from = HELD_ADDRESS;
    const { vip: host, port } = SERVICE;
    return { host, port, from, count: this.#count, bound: PATIENCE };
  }

  /** Replaces the program that sees all that the client sends. */
  async #switchPort(object: string): Promise<void> {
    const args = ['link', 'set', 'dev', 'client', 'xdpdrv', 'obj', packaged(object)];
    const what = 'could not hold or release packets of the client';
    await this.#roles.within('switch', what, 'ip', ['-force', ...args, 'sec', 'xdp']);
  }

  /** Asks each destination's kernel which it has. With SYN cookies it knows none. */
  async #look(): Promise<Map<number, string>> {
    const seen = new Map<number, string>();
    const numbers = Array.from({ length: this.#destinations }, (_, i) => i + 1);
    for (const number of numbers) {
      const what = `could not read the sockets of destination${number}`;
      const role = `destination${number}`;
      const table = await this.#roles.within(role, what, 'cat', ['/proc/net/tcp']);
      for (const port of synReceivedPorts(table, HELD_ADDRESS)) {
        seen.set(port, addressOf({ number }));
      }
    }
    return seen;
  }
}

function outcomes({ change, events, seen, expired }: Batch): HalfOpen[] {
  return events.flatMap((event): HalfOpen[] => {
    if (event.event !== 'held') return [];
    const end = events.find(
      (other) =>
        other.event !== 'begun' && other.event !== 'held' && other.id === event.id,
    );
    const name = end?.event === 'complete' ? end.name : undefined;
    return [
      { change, began: seen.get(event.port), expired: expired.has(event.port), name },
    ];
  });
}

/** The state of a connection that waits for its ACK, as /proc/net/tcp writes it. */
const SYN_RECEIVED = '03';

/** Returns the ports of a client whose connections are half open, from /proc/net/tcp. */
export function synReceivedPorts(table: string, client: string): number[] {
  const rows = table.split('\n').map((line) => line.trim().split(/\s+/));
  return rows.flatMap(([, , remote = '', state]) => {
    const [address = '', port = ''] = remote.split(':');
    if (state !== SYN_RECEIVED || addressOfHex(address) !== client) return [];
    return [parseInt(port, 16)];
  });
}

/** The kernel writes an address as a number of this machine. */
function addressOfHex(text: string): string {
  const bytes = [...Buffer.from(text, 'hex')];
  return (endianness() === 'LE' ? bytes.reverse() : bytes).join('.');
}
