// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The control process: it takes what the checker says and what hands decide, works out what
 * the destinations get by that, and fills the tables. It is not on the way of a packet:
 * program and tables stay as they are when it ends, however it ends.
 *
 * All that reads or writes the tables happens in one loop, one thing after the other.
 */
import type { Attached } from '../program/find.js';
import { attachedNow, findAttached } from '../program/find.js';
import type { Context } from '../program/tools.js';
import type { By } from '../api/events.js';
import type { ByHandResult, Cause, Status } from '../api/status.js';
import type { WantedDaemon } from '../config/daemon.js';
import { waitFor } from '../health/moves.js';
import type { Decided, ServiceHealth, Turn } from '../health/service.js';
import type { Given } from '../health/weights.js';
import { wholeWeights } from '../health/weights.js';
import type { ConfigPlan } from '../plan/all.js';
import { Failure, inOneLine } from '../text/failure.js';
import type { Mode } from '../text/mode.js';
import { at, must } from '../text/must.js';
import { Asking } from './asking.js';
import type { Action } from './by-hand.js';
import { decideByHand, notThere } from './by-hand.js';
import { FillCounts } from './fill-counts.js';
import type { Journal } from './journal.js';
import type { Service } from './kept-service.js';
import {
  decide,
  isEqual,
  keptService,
  takeFill,
  viewOf,
  weightsOf,
} from './kept-service.js';
import type { Loaded } from './load.js';
import { Loop } from './loop.js';
import { loadFile } from './load.js';
import type { SavedStates } from './saved.js';
import { formatSaved, readSaved, savedKey, writeSaved } from './saved.js';
import type { View } from './notify.js';
import type { Seen } from './sampler.js';
import { reportOf } from './report.js';
import { WarmTables } from './tables.js';

export interface Options {
  device: string;
  file: string;
  mode: Mode | undefined;
  /** The user that checks run as. */
  user: number | undefined;
  /** Where states and what hands decided survive a restart. */
  saved: string;
}

/** Milliseconds after which a fill that failed is tried again. */
const AGAIN = 2000;
/** What only checks have changed may be saved that much later. */
const SAVE_AFTER = 1000;
const LONGEST = 60_000;

export class Control {
  readonly #tools: Context;
  readonly #options: Options;
  readonly #journal: Journal;
  readonly #asking: Asking;
  readonly #tables: WarmTables;
  readonly #started = new Date();
  #attached: Attached | undefined;
  #loaded: Loaded | undefined;
  #loadedAt = new Date();
  #fault: string | undefined;
  readonly #reloads = { good: 0, bad: 0 };
  #saved: SavedStates = new Map();
  #services: Service[] = [];
  readonly #changes = new FillCounts();
  #takeWanted: (wanted: WantedDaemon) => Promise<void> = () => Promise.resolve();
  readonly #loop = new Loop();
  /** Why the tables have to be filled even if no share changed. */
  #dirty: Cause | undefined = 'start';
  /** When slots may go cold, and when states are to be saved. */
  #settleAt = Infinity;
  #saveAt = Infinity;

  constructor(tools: Context, options: Options, journal: Journal) {
    this.#tools = tools;
    this.#options = options;
    this.#journal = journal;
    this.#tables = new WarmTables(tools);
    this.#asking = new Asking(tools, options.user, {
      turned: (health, turns) => {
        this.#tellTurns(health, turns);
        this.#loop.wake();
      },
      trouble: (what) => {
        this.#trouble(what);
      },
    });
  }

  get isReady(): boolean {
    return this.#dirty === undefined;
  }

  /** Reads the file again. A bad one changes nothing, and is a Failure. */
  reload(): Promise<void> {
    return this.#loop.ask(async () => {
      try {
        await this.#load('reloaded');
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        this.#reloads.bad++;
        this.#fault = error.message;
        this.#trouble(inOneLine(error));
        throw error;
      }
    });
  }

  /** Does what somebody decided, and keeps it until somebody takes it back. */
  act(
    service: string,
    destination: string,
    action: Action,
    { weight, dryRun, by }: { weight?: number | undefined; dryRun: boolean; by: By },
  ): Promise<ByHandResult> {
    return this.#loop.ask(async () => {
      const one = this.#services.find(({ health }) => health.name === service);
      const there = one?.health.find(destination);
      if (!one || !there) throw notThere(service, one && destination);
      const before = { byHand: there.byHand, weightByHand: there.weightByHand };
      const after = decideByHand(before, action, weight, destination);
      one.health.setByHand(destination, after);
      try {
        const shares = one.health.shares(now());
        const weights = weightsOf(one, shares.given);
        // Nobody relies on what would be gone after a restart.
        if (!dryRun) this.#save();
        const wanted = this.#services.map((each) =>
          each === one ? shares.given : each.live,
        );
        const plan = await this.#fill(wanted, { cause: 'hand', dryRun });
        if (dryRun) one.health.setByHand(destination, before);
        else this.#tellHand(one, destination, { action, by }, after);
        const { slotsMoved, slotsIdeal } = planOf(plan, service);
        return {
          ...{ service, destination, by_hand: after.byHand ?? null },
          weight: after.weightByHand ?? there.weight,
          weight_by_hand: after.weightByHand ?? null,
          ...{
            dry_run: dryRun,
            slots_moved: slotsMoved,
            slots_ideal: slotsIdeal,
            weights,
          },
        };
      } catch (error) {
        one.health.setByHand(destination, before);
        if (!dryRun) await this.#tryTo(() => this.#save());
        throw error;
      }
    });
  }

  /** What is known now. */
  status(seen: Seen): Status {
    const { device, file } = this.#options;
    const attached = this.#attached;
    if (!attached) throw new Failure('l4lbd has just begun', { next: 'ask again' });
    return reportOf({
      ...{ device, started: this.#started, ready: this.isReady, attached },
      file: {
        ...{ path: file, read: this.#loadedAt.toISOString(), fault: this.#fault ?? null },
        reloads: { ...this.#reloads },
      },
      checker: this.#asking.status(),
      ...{ services: this.#services, history: this.#asking.history },
      warm: this.#tables.last,
      changes: this.#changes.all,
      ...{ seen, fleet: null },
    });
  }

  /** How its services are now. */
  view(): readonly View[] {
    return this.#services.map(viewOf);
  }

  /** Whether it has done a step as late as it had to. */
  isAlive(now: number): boolean {
    return this.#loop.isAlive(now);
  }

  stop(): void {
    this.#asking.stop();
    this.#loop.stop();
  }

  /**
   * Runs until it is stopped. Fails at once if the file or the device is not right.
   * `take` gets what each file that is right says about l4lbd itself.
   */
  async run(take: (wanted: WantedDaemon) => Promise<void>): Promise<void> {
    try {
      this.#takeWanted = take;
      this.#saved = readSaved(this.#options.saved, now());
      await this.#load('started');
      // From now on the services have what counts of it; it may be long.
      this.#saved = new Map();
      await this.#loop.run(() => this.#step());
      if (this.#saveAt !== Infinity) this.#save();
    } finally {
      await this.end();
    }
  }

  /** Ends what works for it, and takes away what it has laid for checks. */
  async end(): Promise<void> {
    await this.#asking.close();
  }

  async #load(kind: 'started' | 'reloaded'): Promise<void> {
    const { device, file, mode } = this.#options;
    const attached = this.#attached
      ? await attachedNow(this.#tools, this.#attached)
      : await findAttached(this.#tools, device, mode);
    const known: SavedStates = new Map([
      ...this.#saved,
      ...this.#services.flatMap(({ health }) =>
        health.destinations.map((one) => [savedKey(health.name, one.name), one] as const),
      ),
    ]);
    const loaded = await loadFile(
      this.#tools,
      attached,
      file,
      (service, name) => known.get(savedKey(service, name)),
      (prepared) => this.#asking.open(attached, prepared),
    );
    // May fail: there may be somebody else who listens there.
    await this.#takeWanted(loaded.wanted);
    this.#attached = attached;
    this.#loaded = loaded;
    this.#loadedAt = new Date();
    this.#fault = undefined;
    this.#services = loaded.services.map((health, index) =>
      keptService(
        health,
        at(loaded.prepared.services, index),
        this.#services.find((one) => one.health.name === health.name),
      ),
    );
    this.#dirty ??= 'file';
    const { services, checks } = loaded;
    await this.#asking.set(loaded, this.#tables.last?.state);
    const destinations = services.reduce((sum, one) => sum + one.destinations.length, 0);
    const counts = { services: services.length, destinations, checks: checks.length };
    this.#reloads.good += kind === 'reloaded' ? 1 : 0;
    this.#journal.add({ kind, ...counts });
  }

  #trouble(what: string): void {
    this.#journal.add({ kind: 'trouble', what });
  }

  #tellTurns({ name }: ServiceHealth, turns: readonly Turn[]): void {
    for (const { destination, before, after, reason } of turns)
      this.#journal.add({
        kind: 'state',
        service: name,
        destination,
        before,
        after,
        reason,
      });
    if (turns.length > 0) this.#saveAt = Math.min(this.#saveAt, now() + SAVE_AFTER);
  }

  #tellHand(
    service: Service,
    destination: string,
    asked: { action: Action; by: By },
    after: Decided,
  ): void {
    const { name } = service.health;
    const { byHand = null, weightByHand = null } = after;
    const now = { by_hand: byHand, weight_by_hand: weightByHand };
    this.#journal.add({ kind: 'hand', service: name, destination, ...asked, ...now });
  }

  /** Does what is to be done now, and returns for how many milliseconds there is nothing. */
  async #step(): Promise<number> {
    const time = now();
    for (const { health } of this.#services) this.#tellTurns(health, health.pass(time));
    const wanted = this.#services.map((service) => decide(service, time, this.#journal));
    const isSame = this.#services.every(({ live }, index) =>
      isEqual(live, at(wanted, index)),
    );
    if (this.#saveAt <= time) await this.#tryTo(() => this.#save());
    if (!isSame || this.#dirty || this.#settleAt <= time) {
      const cause = this.#dirty ?? 'health';
      const fill = (): Promise<unknown> => this.#fill(wanted, { cause, dryRun: false });
      if (!(await this.#tryTo(fill))) return AGAIN;
      if (this.#dirty) this.#journal.add({ kind: 'ready' });
      this.#dirty = undefined;
    }
    return this.#idleFor(now());
  }

  async #fill(
    wanted: readonly Given[][],
    { cause, dryRun }: { cause: Cause; dryRun: boolean },
  ): Promise<ConfigPlan> {
    const { prepared } = must(this.#loaded, 'the file');
    const begun = now();
    const whole = wanted.map(wholeWeights);
    const services = prepared.services.map((service, index) => ({
      ...service,
      destinations: service.destinations.map((one, place) => ({
        ...one,
        ...at(at(whole, index), place),
      })),
    }));
    const { attached, filled } = await this.#tables
      .fill(
        must(this.#attached, 'the device'),
        { ...prepared, services },
        { onlyWeights: this.#dirty === undefined, dryRun },
      )
      .catch((error: unknown) => {
        // A part of it may be written, whoever asked for it.
        if (!dryRun) this.#dirty ??= cause;
        throw error;
      });
    if (dryRun) return filled.plan;
    this.#attached = attached;
    const { hot = 0, wait = 0 } = filled.settled ?? {};
    this.#settleAt = hot === 0 ? Infinity : now() + (wait + 1) * 1000;
    const took = now() - begun;
    for (const [index, service] of this.#services.entries()) {
      const plan = planOf(filled.plan, service.health.name);
      const given = at(wanted, index);
      takeFill(service, given, plan, { cause, took }, this.#journal);
    }
    const plans = this.#services.map(({ health }) => planOf(filled.plan, health.name));
    this.#changes.count(cause, took, plans);
    await this.#asking.follow(attached, filled.plan.after);
    return filled.plan;
  }

  /** Throws a Failure if it cannot. */
  #save(): void {
    const services = this.#services.map(({ health }) => health);
    // Where it cannot be written now, it may be later.
    this.#saveAt = now() + LONGEST;
    writeSaved(this.#options.saved, formatSaved(services, now()));
    this.#saveAt = Infinity;
  }

  async #tryTo(work: () => unknown): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#trouble(inOneLine(error));
      return false;
    }
  }

  #idleFor(time: number): number {
    const times = this.#services.flatMap(({ health, isPostponed, moves, most }) => {
      const change = health.nextChange(time);
      return [
        ...(change === undefined ? [] : [change - time]),
        ...(isPostponed ? [waitFor(moves, most)] : []),
      ];
    });
    times.push(this.#settleAt - time, this.#saveAt - time);
    return times.reduce((one, other) => Math.min(one, other), LONGEST);
  }
}

const now = (): number => performance.now();

function planOf(
  { services }: ConfigPlan,
  name: string,
): ConfigPlan['services'][0]['plan'] {
  return must(
    services.find((one) => one.name === name),
    name,
  ).plan;
}
