// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A SYN flood beside the measured connections, by l4lb-flood from a client of its own. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { LongRunning } from '../system/long-running.js';
import { now } from './protocol.js';
import type { Roles } from './roles.js';
import type { Place } from './tables.js';
import { SERVICE } from './testbed.js';

/**
 * The sources that the flood claims, of those reserved for benchmarks (RFC 2544). Nobody
 * has them, so nobody resets what the destinations answer.
 */
export const FLOOD_SOURCES = '198.18.0.0/15';

/** The longest that l4lb-flood sends, in seconds. */
const HOUR = 3600;

/** In what l4lb-flood says each second. */
const PROGRESS = /pkts\/s/;

/** What a flood was. */
export interface FloodTotal {
  /** Packets a second, as asked for. */
  rate: number;
  packets: number;
  seconds: number;
}

interface Sender {
  process: LongRunning;
  /** What it has printed: JSON, when it has ended. */
  printed: string;
}

export class Flood {
  readonly #roles: Roles;
  readonly #role: string;
  readonly #rate: number;
  /** Milliseconds after which each sender ends by itself. */
  readonly #limit: number;
  readonly #began = now();
  #senders: Sender[] = [];
  #sent = 0;

  constructor(roles: Roles, role: string, rate: number, limit: number) {
    this.#roles = roles;
    this.#role = role;
    this.#rate = rate;
    this.#limit = limit;
  }

  /** Sends to these balancers in equal parts, and no longer to those before. */
  async aim(balancers: readonly Place[]): Promise<void> {
    const before = this.#senders;
    const rate = Math.max(1, Math.floor(this.#rate / balancers.length));
    this.#senders = balancers.map(({ mac }) => this.#startOne(mac, rate));
    await this.#end(before);
  }

  /** Fails if a sender has ended: the run would no longer measure what it says. */
  check(): void {
    const failed = this.#senders.find(({ process }) => process.exitCode !== undefined);
    if (failed) throw failed.process.failure('the flood');
  }

  /** Stops it, and tells how much it was. */
  async end(): Promise<FloodTotal> {
    this.check();
    await this.#end(this.#senders);
    const seconds = (now() - this.#began) / 1000;
    return { rate: this.#rate, packets: this.#sent, seconds };
  }

  #startOne(mac: string, rate: number): Sender {
    const child = this.#roles.startTool(this.#role, 'flood', [
      ...['--dst', SERVICE.endpoint, '--syn', '--src', FLOOD_SOURCES],
      ...['--dst-mac', mac, '--rate', String(rate), '--json'],
      ...['--duration', `${Math.min(HOUR, Math.ceil(this.#limit / 1000))}s`],
    ]);
    const sender = { process: child, printed: '' };
    child.onLine((line) => (sender.printed += line));
    return sender;
  }

  async #end(senders: readonly Sender[]): Promise<void> {
    for (const { process } of senders) {
      // Interrupted while it starts, it would end without a result.
      while (process.exitCode === undefined && !PROGRESS.test(process.said)) {
        await sleep(50);
      }
    }
    for (const { process } of senders) process.interrupt();
    for (const sender of senders) {
      await sender.process.ended;
      if (sender.printed === '') throw sender.process.failure('the flood');
      this.#sent += (JSON.parse(sender.printed) as { sent: number }).sent;
    }
  }
}
