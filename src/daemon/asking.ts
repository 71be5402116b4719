// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Asks the destinations of services how they are, by the checker process and on the way of
 * their packets, and hands what comes back to the health of those services.
 */
import type { CheckerStatus } from '../api/status.js';
import type { Report } from '../checks/checker.js';
import { LATE } from '../checks/checker.js';
import type { PreparedConfig } from '../fill/from-config.js';
import type { Check } from '../health/check.js';
import type { ServiceHealth, Turn } from '../health/service.js';
import type { Tables } from '../plan/state.js';
import type { Attached } from '../program/find.js';
import type { Context } from '../program/tools.js';
import { CheckerProcess } from './checker-process.js';
import { History } from './history.js';
import { Tunnel } from './tunnel.js';

export interface AskingEvents {
  /** Destinations have another state. */
  turned: (health: ServiceHealth, turns: readonly Turn[]) => void;
  trouble: (what: string) => void;
}

/** What is asked from now on. */
export interface Asked {
  services: readonly ServiceHealth[];
  checks: readonly Check[];
  prepared: PreparedConfig;
}

/** Milliseconds between two times that somebody is told why checks say nothing. */
const TOLD_EVERY = 60_000;

export class Asking {
  readonly history = new History();
  readonly #checker: CheckerProcess;
  readonly #tunnel: Tunnel;
  readonly #events: AskingEvents;
  /** The services that a check is for. */
  #byKey = new Map<string, ServiceHealth[]>();
  readonly #pace = new Map<string, number>();
  /** When it was last told why checks said nothing. */
  readonly #voids = new Map<string, number>();
  #lates = 0;

  /** `user` is who the checks run as. */
  constructor(tools: Context, user: number | undefined, events: AskingEvents) {
    this.#events = events;
    const { trouble } = events;
    const report = (one: Report): void => {
      this.#tunnel.take(one);
    };
    this.#checker = new CheckerProcess({ report, trouble }, user);
    this.#tunnel = new Tunnel(tools, {
      checks: (checks) => {
        this.#checker.set(checks);
      },
      report: (one) => {
        this.#take(one);
      },
      trouble,
    });
  }

  /** Lays the way of checks that take that of packets, or says that they cannot. */
  open(attached: Attached, prepared: PreparedConfig): Promise<PreparedConfig> {
    return this.#tunnel.open(attached, prepared);
  }

  async set(asked: Asked, tables: Tables | undefined): Promise<void> {
    this.#pace.clear();
    this.#byKey = new Map();
    for (const health of asked.services) {
      for (const key of health.keys()) {
        const same = this.#byKey.get(key);
        if (same) same.push(health);
        else this.#byKey.set(key, [health]);
      }
    }
    this.history.keep(new Set(this.#byKey.keys()));
    await this.#tunnel.set(asked.prepared.services, asked.checks, tables);
  }

  /** Takes what the tables have become. */
  follow(attached: Attached, tables: Tables): Promise<void> {
    return this.#tunnel.follow(attached, tables);
  }

  status(): CheckerStatus {
    const checks = this.#byKey.size;
    return { ...this.#checker.condition(), late: this.#lates, checks };
  }

  /** Asks no more. */
  stop(): void {
    this.#checker.stop();
  }

  /** Takes away what it has laid. */
  async close(): Promise<void> {
    this.#checker.stop();
    await this.#tunnel.close();
  }

  #take({ checked, late }: Report): void {
    const time = performance.now();
    const date = new Date();
    if (late > LATE) this.#lates++;
    const asked = new Set<string>();
    for (const one of checked) {
      const { key, passed, reason } = one;
      this.history.add(one, date);
      if (passed === undefined) {
        this.#tellVoid(reason, time);
        continue;
      }
      asked.add(key);
      for (const health of this.#byKey.get(key) ?? []) {
        const turns = health.judge(key, { at: time, passed, reason });
        if (turns.length === 0) continue;
        this.#events.turned(health, turns);
        for (const other of health.keys()) asked.add(other);
      }
    }
    this.#setPace(asked);
  }

  #setPace(asked: ReadonlySet<string>): void {
    const pace: [string, number][] = [];
    for (const key of asked) {
      const wanted = (this.#byKey.get(key) ?? []).reduce(
        (least, health) => Math.min(least, health.paceOf(key) ?? Infinity),
        Infinity,
      );
      if (wanted === Infinity || this.#pace.get(key) === wanted) continue;
      this.#pace.set(key, wanted);
      pace.push([key, wanted]);
    }
    this.#checker.setPace(pace);
  }

  /** Checks that say nothing are no sign that all is well. Once a minute is enough. */
  #tellVoid(reason: string, time: number): void {
    const told = this.#voids.get(reason);
    if (told !== undefined && time - told < TOLD_EVERY) return;
    this.#voids.set(reason, time);
    this.#events.trouble(`checks say nothing about their destinations: ${reason}`);
  }
}
