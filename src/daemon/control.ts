// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The control process: it takes what the checker says, decides what the destinations get by
 * it, and fills the tables. It is not on the way of a packet: program and tables stay as
 * they are when it ends, however it ends.
 */
import { checkOwn } from '../program/owner.js';
import type { Attached } from '../program/find.js';
import { attachedNow, findAttached } from '../program/find.js';
import { readTables } from '../program/read.js';
import type { Context } from '../program/tools.js';
import type { Report } from '../checks/checker.js';
import { fillAndSettle } from '../fill/apply.js';
import type { PreparedConfig } from '../fill/from-config.js';
import { planPrepared, prepareConfig, readConfig } from '../fill/from-config.js';
import type { MostMoves, Moves } from '../health/moves.js';
import { firstMoves, mayMove, refill, spend, waitFor } from '../health/moves.js';
import type { ServiceHealth, Turn } from '../health/service.js';
import type { Given, Shares } from '../health/weights.js';
import type { ResolvedService } from '../plan/all.js';
import { Failure } from '../text/failure.js';
import type { Mode } from '../text/mode.js';
import { at, must } from '../text/must.js';
import { CheckerProcess } from './checker-process.js';
import type { Known } from './health.js';
import { makeHealth } from './health.js';
import type { Seen } from './notify.js';
import { foundIn, givenIn, isToBeFound, withHop, withLiveHop } from './live.js';

export interface Options {
  device: string;
  file: string;
  mode: Mode | undefined;
  /** The user that checks run as. */
  user: number | undefined;
}

/** What happened, for the journal. */
export type Event =
  | {
      kind: 'started' | 'reloaded';
      services: number;
      destinations: number;
      checks: number;
    }
  | ({ kind: 'state'; service: string } & Omit<Turn, 'at'>)
  | { kind: 'panic'; service: string; begins: boolean; healthy: number; whole: number }
  | { kind: 'backup'; service: string; begins: boolean }
  | {
      kind: 'filled';
      service: string;
      weights: Weight[];
      moved: number;
      ideal: number;
      took: number;
    }
  | { kind: 'postponed'; service: string; wait: number }
  /** The tables are as the file and the checks want them. */
  | { kind: 'ready' }
  | { kind: 'followed' | 'trouble'; what: string };

export interface Weight {
  destination: string;
  before: number;
  after: number;
}

interface Service {
  resolved: ResolvedService;
  health: ServiceHealth;
  live: Given[];
  most: MostMoves;
  moves: Moves;
  isPanic: boolean;
  onBackup: boolean;
  isPostponed: boolean;
}

/** Milliseconds after which a fill that failed is tried again. */
const AGAIN = 2000;
/** Milliseconds: it may wait for the lock for 20 s, and for a busy machine. */
const LONGEST_STEP = 60_000;

export class Control {
  readonly #tools: Context;
  readonly #options: Options;
  readonly #tell: (event: Event) => void;
  readonly #checker: CheckerProcess;
  #attached: Attached | undefined;
  #prepared: PreparedConfig | undefined;
  #services: Service[] = [];
  /** When it was last told why checks said nothing. */
  readonly #voids = new Map<string, number>();
  /** The services that a check is for. */
  #byKey = new Map<string, ServiceHealth[]>();
  readonly #pace = new Map<string, number>();
  /** Ends the sleep, or keeps the next one from beginning. */
  #wake = (): void => {
    this.#isAwake = true;
    this.#endSleep?.();
  };
  #endSleep: (() => void) | undefined;
  #isAwake = false;
  #reload = false;
  #isOver = false;
  /** When something is wrong with this process if its loop has not gone on. */
  #due = Infinity;
  /** The tables have to be filled even if no share changed. */
  #isDirty = true;

  constructor(tools: Context, options: Options, tell: (event: Event) => void) {
    this.#tools = tools;
    this.#options = options;
    this.#tell = tell;
    this.#checker = new CheckerProcess(
      {
        report: (report) => {
          this.#take(report);
        },
        trouble: (what) => {
          tell({ kind: 'trouble', what });
        },
      },
      options.user,
    );
  }

  /** Reads the file again. A bad one changes nothing. */
  reload(): void {
    this.#reload = true;
    this.#wake();
  }

  /** How its services are now. */
  view(): readonly Seen[] {
    return this.#services.map(({ health: { name, destinations }, isPanic }) => ({
      ...{ name, isPanic, destinations },
    }));
  }

  /** Whether it has done a step as late as it had to. */
  isAlive(now: number): boolean {
    return now < this.#due;
  }

  stop(): void {
    this.#isOver = true;
    this.#checker.stop();
    this.#wake();
  }

  /** Runs until it is stopped. Fails at once if the file or the device is not right. */
  async run(): Promise<void> {
    try {
      await this.#load('started');
      while (!this.#isOver) {
        this.#due = performance.now() + LONGEST_STEP;
        const wait = await this.#step();
        this.#due = performance.now() + wait + LONGEST_STEP;
        await this.#sleep(wait);
      }
    } finally {
      this.#checker.stop();
    }
  }

  async #load(kind: 'started' | 'reloaded'): Promise<void> {
    const { device, file, mode } = this.#options;
    const read = readConfig(file);
    const attached = this.#attached
      ? await attachedNow(this.#tools, this.#attached)
      : await findAttached(this.#tools, device, mode);
    await checkOwn(this.#tools, attached);
    const tables = await readTables(this.#tools.bpftool, attached.maps);
    const found = foundIn(tables);
    const wanted = read.services.map((service) => ({
      ...service,
      rows: service.rows.map((row) => withHop(row, found)),
    }));
    const canLeave = attached.maps.exits !== undefined;
    const config = { ...read, services: wanted };
    const resolved = await prepareConfig(this.#tools, attached.link, config, canLeave);
    const prepared = {
      ...resolved,
      services: resolved.services.map((service, index) => ({
        ...service,
        destinations: service.destinations.map((one, place) => ({
          ...one,
          isFound: isToBeFound(at(at(read.services, index).rows, place)),
        })),
      })),
    };
    // Whatever the tables have no room for is a fault of the file, and changes nothing.
    await planPrepared(this.#tools, attached.maps, prepared);
    const now = performance.now();
    const known = new Map(
      this.#services.flatMap(({ health }) =>
        health.destinations.map((one): [string, Known] => [
          `${health.name} ${one.name}`,
          one,
        ]),
      ),
    );
    const { services, checks } = makeHealth(
      prepared.services,
      givenIn(tables, prepared.services),
      (service, name) => known.get(`${service} ${name}`),
      now,
    );
    this.#attached = attached;
    this.#prepared = prepared;
    this.#services = services.map((health, index) => {
      const resolved = at(prepared.services, index);
      const before = this.#services.find((one) => one.health.name === health.name);
      const most = {
        // Until the first fill says how many there are.
        slots: before?.most.slots ?? resolved.slots ?? 1,
        percent: resolved.check?.mostMoves ?? 100,
      };
      return {
        ...{ resolved, health, live: health.live(), most },
        moves: before?.moves ?? firstMoves(now, most),
        isPanic: before?.isPanic ?? false,
        onBackup: before?.onBackup ?? false,
        isPostponed: false,
      };
    });
    this.#isDirty = true;
    this.#pace.clear();
    this.#byKey = new Map();
    for (const health of services) {
      for (const key of health.keys()) {
        const same = this.#byKey.get(key);
        if (same) same.push(health);
        else this.#byKey.set(key, [health]);
      }
    }
    this.#checker.set(checks);
    const destinations = services.reduce((sum, one) => sum + one.destinations.length, 0);
    const counts = { services: services.length, destinations, checks: checks.length };
    this.#tell({ kind, ...counts });
  }

  #take({ checked }: Report): void {
    const now = performance.now();
    const asked = new Set<string>();
    let hasTurned = false;
    for (const { key, passed, reason } of checked) {
      if (passed === undefined) {
        this.#tellVoid(reason, now);
        continue;
      }
      asked.add(key);
      for (const health of this.#byKey.get(key) ?? []) {
        const turns = health.judge(key, { at: now, passed, reason });
        if (turns.length === 0) continue;
        this.#tellTurns(health, turns);
        hasTurned = true;
        for (const other of health.keys()) asked.add(other);
      }
    }
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
    if (hasTurned) this.#wake();
  }

  /** Checks that say nothing are no sign that all is well. Once a minute is enough. */
  #tellVoid(reason: string, now: number): void {
    const told = this.#voids.get(reason);
    if (told !== undefined && now - told < LONGEST) return;
    this.#voids.set(reason, now);
    const what = `checks say nothing about their destinations: ${reason}`;
    this.#tell({ kind: 'trouble', what });
  }

  #tellTurns({ name }: ServiceHealth, turns: readonly Turn[]): void {
    for (const { destination, before, after, reason } of turns)
      this.#tell({ kind: 'state', service: name, destination, before, after, reason });
  }

  /** Does what is to be done now, and returns for how many milliseconds there is nothing. */
  async #step(): Promise<number> {
    if (this.#reload) {
      this.#reload = false;
      await this.#tryTo(() => this.#load('reloaded'));
    }
    const now = performance.now();
    for (const { health } of this.#services) this.#tellTurns(health, health.pass(now));
    const wanted = this.#services.map((service) => this.#decide(service, now));
    const isSame = this.#services.every(({ live }, index) =>
      isEqual(live, at(wanted, index)),
    );
    if (!isSame || this.#isDirty) {
      if (!(await this.#tryTo(() => this.#fill(wanted)))) return AGAIN;
      if (this.#isDirty) this.#tell({ kind: 'ready' });
      this.#isDirty = false;
    }
    return this.#idleFor(performance.now());
  }

  /** What a service gets now: what its health says, as far as its slots may move. */
  #decide(service: Service, now: number): Given[] {
    const { health, live, most } = service;
    const shares = health.shares(now);
    this.#tellShares(service, shares);
    service.moves = refill(service.moves, now, most);
    if (mayMove(service.moves)) {
      service.isPostponed = false;
      return shares.given;
    }
    const kept = shares.given.map((one, index) => {
      const before = at(live, index);
      // To forget a destination that has no slot moves none.
      return one.weight === before.weight ? one : before;
    });
    if (!service.isPostponed && !isEqual(kept, shares.given)) {
      service.isPostponed = true;
      const wait = waitFor(service.moves, most);
      this.#tell({ kind: 'postponed', service: health.name, wait });
    }
    return kept;
  }

  #tellShares(service: Service, { isPanic, onBackup, healthy, whole }: Shares): void {
    const { name } = service.health;
    if (isPanic !== service.isPanic)
      this.#tell({ kind: 'panic', service: name, begins: isPanic, healthy, whole });
    if (onBackup !== service.onBackup)
      this.#tell({ kind: 'backup', service: name, begins: onBackup });
    service.isPanic = isPanic;
    service.onBackup = onBackup;
  }

  async #fill(wanted: readonly Given[][]): Promise<void> {
    const prepared = must(this.#prepared, 'the file');
    const begun = performance.now();
    const attached = await attachedNow(this.#tools, must(this.#attached, 'the device'));
    this.#attached = attached;
    const services = prepared.services.map((service, index) => ({
      ...service,
      destinations: service.destinations.map((one, place) => ({
        ...one,
        ...at(at(wanted, index), place),
      })),
    }));
    const { plan } = await fillAndSettle(this.#tools, attached, {}, (maps) =>
      planPrepared(this.#tools, maps, (live) => {
        const found = foundIn(live);
        const withHops = services.map((service) => ({
          ...service,
          destinations: service.destinations.map((one) => withLiveHop(one, found, live)),
        }));
        return { ...prepared, services: withHops };
      }),
    );
    const took = Math.round(performance.now() - begun);
    for (const [index, service] of this.#services.entries()) {
      const { health, live } = service;
      const after = at(wanted, index);
      const {
        slots,
        slotsMoved: moved,
        slotsIdeal: ideal,
      } = at(plan.services, index).plan;
      const weights = after.flatMap((one, place): Weight[] => {
        const before = at(live, place).weight;
        const destination = at(health.destinations, place).name;
        return before === one.weight ? [] : [{ destination, before, after: one.weight }];
      });
      // The file may leave open how many there are.
      if (service.most.slots !== slots) {
        service.most = { ...service.most, slots };
        service.moves = firstMoves(performance.now(), service.most);
      }
      service.live = after;
      health.setLive(after);
      // What the file changed is not health's.
      if (!this.#isDirty) service.moves = spend(service.moves, moved);
      if (weights.length > 0 || moved > 0)
        this.#tell({ kind: 'filled', service: health.name, weights, moved, ideal, took });
    }
  }

  async #tryTo(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const { cause, next } = error.advice;
      const parts = [error.message, cause, next && `next: ${next}`];
      this.#tell({ kind: 'trouble', what: parts.filter((part) => part).join('; ') });
      return false;
    }
  }

  #idleFor(now: number): number {
    const times = this.#services.flatMap(({ health, isPostponed, moves, most }) => {
      const change = health.nextChange(now);
      return [
        ...(change === undefined ? [] : [change - now]),
        ...(isPostponed ? [waitFor(moves, most)] : []),
      ];
    });
    return times.reduce((one, other) => Math.min(one, other), LONGEST);
  }

  async #sleep(wait: number): Promise<void> {
    if (!this.#isAwake && !this.#isOver) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(0, wait));
        this.#endSleep = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#endSleep = undefined;
    }
    this.#isAwake = false;
  }
}

const LONGEST = 60_000;

function isEqual(one: readonly Given[], other: readonly Given[]): boolean {
  return one.every(({ weight, isForgotten }, index) => {
    const { weight: otherWeight, isForgotten: isOther } = at(other, index);
    return weight === otherWeight && isForgotten === isOther;
  });
}
