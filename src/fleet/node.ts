// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A node of a fleet: it fills its tables from the documents of the leader, tells what its own
 * checks see, and announces to routers what it carries. Any node may come to lead.
 *
 * It fails static. Without the store, the last good documents hold, and what is announced
 * stays; when this process ends in whatever way, program and tables stay as they are.
 *
 * All that reads or writes the tables happens in one loop, one thing after the other.
 */
import type { By } from '../api/events.js';
import type { ByHandResult, Cause, Status } from '../api/status.js';
import type { WantedDaemon } from '../config/daemon.js';
import type { Journal } from '../daemon/journal.js';
import { Asking } from '../daemon/asking.js';
import type { Action } from '../daemon/by-hand.js';
import { Conflict } from '../daemon/by-hand.js';
import { FillCounts } from '../daemon/fill-counts.js';
import type { Controller } from '../daemon/daemon.js';
import type { Service } from '../daemon/kept-service.js';
import { keptService, takeFill, viewOf } from '../daemon/kept-service.js';
import type { Loaded } from '../daemon/load.js';
import { loadConfig } from '../daemon/load.js';
import type { View } from '../daemon/notify.js';
import { Loop } from '../daemon/loop.js';
import { reportOf } from '../daemon/report.js';
import type { Seen } from '../daemon/sampler.js';
import { WarmTables } from '../daemon/tables.js';
import { isSilent } from '../api/words.js';
import { nameOfRow } from '../config/destinations-csv.js';
import type { Attached } from '../program/find.js';
import { attachedNow, findAttached } from '../program/find.js';
import type { Context } from '../program/tools.js';
import { ownNetworks } from '../system/ip/own.js';
import { VERSION } from '../system/package.js';
import { Fault, tryParse } from '../text/fault.js';
import { Failure, inOneLine } from '../text/failure.js';
import type { Mode } from '../text/mode.js';
import { at, must } from '../text/must.js';
import { printableLine } from '../text/printable.js';
import { wholeWeights } from '../health/weights.js';
import { changeByHand } from './by-hand.js';
import { Documents } from './documents.js';
import type { KeptDocument } from './documents.js';
import { Follow } from './follow.js';
import type { Keys } from './agreement/keys.js';
import { leaderIn } from './agreement/keys.js';
import type { Head } from './agreement/records.js';
import { formatNode, parseHead } from './agreement/records.js';
import { destinationSet } from './agreement/sets.js';
import { formatSeen, voteOf } from './agreement/votes.js';
import type { Vote } from './agreement/votes.js';
import { Leader } from './leader.js';
import { Membership } from './membership.js';
import { Presence } from './presence.js';
import { Standing } from './standing.js';
import type { Store } from './store/store.js';

export interface NodeOptions {
  device: string;
  mode: Mode | undefined;
  store: Store;
  keys: Keys;
  fleet: string;
  /** Of this node. */
  name: string;
  /** Where the last good documents are kept. */
  saved: string;
  /** Of the routes that are announced; undefined: nothing is. */
  table: number | undefined;
  /** What is asked of l4lbd itself. */
  daemon: WantedDaemon;
  /** The user that checks run as. */
  user: number | undefined;
}

/** Milliseconds after which a fill that failed is tried again. */
const AGAIN = 2000;
const LONGEST = 5000;

export class FleetNode implements Controller {
  readonly #tools: Context;
  readonly #options: NodeOptions;
  readonly #journal: Journal;
  readonly #started = new Date();
  readonly #asking: Asking;
  readonly #tables: WarmTables;
  readonly #documents: Documents;
  readonly #membership: Membership;
  readonly #leader: Leader;
  readonly #presence: Presence;
  readonly #head: Follow;
  readonly #leading: Follow;
  #attached: Attached | undefined;
  #addresses: readonly string[] = [];
  #loaded: Loaded | undefined;
  #loadedAt = new Date();
  /** The texts that it was loaded from. */
  #loadedFrom = '';
  #services: Service[] = [];
  readonly #standing = new Standing();
  /** That the tables have. */
  #seed: number | undefined;
  /** How often the head had been read when the documents were followed last. */
  #reads = 0;
  #isDirty = true;
  #fault: string | undefined;
  readonly #changes = new FillCounts();
  readonly #loop = new Loop();

  constructor(tools: Context, options: NodeOptions, journal: Journal) {
    const { store, keys, name } = options;
    this.#tools = tools;
    this.#options = options;
    this.#journal = journal;
    this.#tables = new WarmTables(tools);
    this.#documents = new Documents(store, keys, options.saved, journal);
    const trouble = (what: string): void => {
      this.#trouble(what);
    };
    const changed = (): void => {
      this.#loop.wake();
    };
    this.#asking = new Asking(tools, options.user, {
      turned: ({ name: service }, turns) => {
        for (const { destination, before, after, reason } of turns)
          journal.add({ kind: 'state', service, destination, before, after, reason });
        changed();
      },
      trouble,
    });
    this.#membership = new Membership(store, {
      changed: () => {
        this.#leader.see(this.#leading.entries.get(keys.leader));
      },
      trouble,
    });
    const membership = this.#membership;
    const known = this.#documents;
    this.#leader = new Leader({ store, keys, name, membership, journal, known });
    const lost = (why: Failure | undefined): void => {
      this.#trouble(why ? `all stays as it is: ${why.message}` : `${store.name} is back`);
    };
    this.#head = new Follow(store, keys.head, { changed, lost });
    this.#presence = new Presence({
      ...{ tools, device: options.device, table: options.table, store, keys, name },
      ...{ head: this.#head, documents: known, journal, changed },
    });
    this.#leading = new Follow(store, keys.leader, {
      changed: () => {
        this.#leader.see(this.#leading.entries.get(keys.leader));
        changed();
      },
    });
  }

  get isReady(): boolean {
    return this.#loaded !== undefined && !this.#isDirty && this.#fault === undefined;
  }

  reload(): Promise<void> {
    return Promise.reject(
      new Conflict('a node of a fleet has no file', {
        cause: 'what is wanted of the fleet is in its store',
        next: 'l4lb fleet apply -c FILE',
      }),
    );
  }

  /** The leader does it, in a moment: what hands decide is in the store. */
  act(
    service: string,
    destination: string,
    action: Action,
    { by, ...how }: { weight?: number | undefined; dryRun: boolean; by: By },
  ): Promise<ByHandResult> {
    const change = async (): Promise<ByHandResult> => {
      const result = await changeByHand({
        ...{ store: this.#options.store, keys: this.#options.keys },
        ...{ services: this.#services, documents: this.#documents },
        ...{ service, destination, action, ...how },
      });
      const { by_hand, weight_by_hand, dry_run } = result;
      if (!dry_run)
        this.#journal.add({
          ...{ kind: 'hand', service, destination, action, by, by_hand, weight_by_hand },
        });
      return result;
    };
    return this.#loop.ask(change);
  }

  status(seen: Seen): Status {
    const { device, store } = this.#options;
    const attached = this.#attached;
    if (!attached) throw new Failure('this node has just begun', { next: 'ask again' });
    return reportOf({
      ...{ device, started: this.#started, ready: this.isReady, attached },
      file: {
        ...{ path: store.name, read: this.#loadedAt.toISOString() },
        fault: this.#fault ?? null,
        reloads: { good: 0, bad: 0 },
      },
      checker: this.#asking.status(),
      ...{ services: this.#services, history: this.#asking.history },
      ...{ warm: this.#tables.last, changes: this.#changes.all, seen },
      fleet: this.#fleetStatus(),
    });
  }

  #fleetStatus(): Status['fleet'] {
    const { fleet, name, store, keys } = this.#options;
    const head = this.#headNow();
    return {
      ...{ name: fleet, node: name, store: store.name },
      linked: this.#head.isKnown,
      leader: leaderIn(this.#leading.entries.get(keys.leader)),
      drained: this.#presence.isDrained(head),
      announced: this.#presence.announced.map(({ address }) => address),
      up_to_date: head !== undefined && this.#documents.isUpTo(head) && !this.#isDirty,
      fault: this.#fault ?? null,
      disagreements: [...this.#leader.disagreements],
      tables: [...this.#standing.tables()].map(
        ([service, { revision, sum, isSettled }]) => ({
          ...{ service, revision, sum, settled: isSettled },
          sets: this.#standing.documents.get(service)?.document.sets.length ?? 0,
        }),
      ),
    };
  }

  view(): readonly View[] {
    return this.#services.map(viewOf);
  }

  isAlive(now: number): boolean {
    return this.#loop.isAlive(now);
  }

  stop(): void {
    this.#asking.stop();
    this.#loop.stop();
  }

  async run(take: (wanted: WantedDaemon) => Promise<void>): Promise<void> {
    const { device, mode, daemon } = this.#options;
    try {
      await take(daemon);
      this.#attached = await findAttached(this.#tools, device, mode);
      const networks = await ownNetworks(this.#tools.run);
      this.#addresses = (networks.get(device) ?? []).map(({ address }) => address);
      this.#documents.load();
      await Promise.race([
        this.#loop.run(async () => {
          const isDone = await this.#tryTo(() => this.#step());
          return isDone && this.#presence.isFresh ? LONGEST : AGAIN;
        }),
        this.#membership.run().then(() => new Promise<never>(() => {})),
        this.#head.run().then(() => new Promise<never>(() => {})),
        this.#leading.run().then(() => new Promise<never>(() => {})),
      ]);
    } finally {
      await this.end();
    }
  }

  /** Routers hear first that it goes: what is on the way to it is still sent on. */
  async end(): Promise<void> {
    this.#loop.stop();
    await this.#tryTo(() => this.#presence.end());
    await this.#leader.stop();
    this.#head.stop();
    this.#leading.stop();
    await this.#membership.stop();
    await this.#asking.close();
    this.#options.store.close();
  }

  async #step(): Promise<void> {
    this.#presence.lookWhetherCut(this.#services);
    const head = this.#headNow();
    try {
      if (this.#reads !== this.#head.reads) this.#documents.doubt();
      this.#reads = this.#head.reads;
      if (head && this.#head.isKnown) await this.#documents.follow(head);
      await this.#fillIfNew();
      if (this.#loaded) this.#fault = undefined;
    } catch (error) {
      if (!(error instanceof Failure) && !(error instanceof Fault)) throw error;
      this.#fault = printableLine(error.message);
      throw error;
    } finally {
      const presence = this.#presence;
      const isFilled = !this.#isDirty;
      await this.#tryTo(() => presence.seeBehind(head, isFilled));
      presence.seeFresh(head, isFilled);
      this.#tell(head);
      await presence.announce(head, this.#services, this.#standing.documents);
    }
    await this.#lookForSettled();
    this.#tell(head);
  }

  #headNow(): Head | undefined {
    const entry = this.#head.entries.get(this.#options.keys.head);
    if (!entry) return undefined;
    const head = tryParse(() => parseHead(entry.value, entry.revision));
    // A head that is none says nothing, and all stays.
    return head instanceof Fault ? undefined : head;
  }

  /** Brings the tables to what the documents say. */
  async #fillIfNew(): Promise<void> {
    const { config, tables, common } = this.#documents;
    if (!config) return;
    const from = [common, ...[...tables].map(([, { document }]) => document.wanted)].join(
      '\n',
    );
    if (!this.#loaded || from !== this.#loadedFrom) {
      await this.#load();
      this.#loadedFrom = from;
      this.#isDirty = true;
    }
    const isSame = [...tables].every(
      ([name, one]) => this.#standing.documents.get(name) === one,
    );
    if (!isSame || this.#isDirty) await this.#fill();
    this.#documents.save();
  }

  async #load(): Promise<void> {
    const { config, seed } = this.#documents;
    const known = must(config, 'the config');
    const attached = await attachedNow(this.#tools, must(this.#attached, 'the device'));
    const before = new Map(
      this.#services.flatMap(({ health }) =>
        health.destinations.map((one) => [`${health.name} ${one.name}`, one] as const),
      ),
    );
    const loaded = await loadConfig(
      this.#tools,
      attached,
      { ...known, seed },
      (service, name) => before.get(`${service} ${name}`),
      (prepared) => this.#asking.open(attached, prepared),
    );
    this.#attached = attached;
    this.#loaded = loaded;
    this.#loadedAt = new Date();
    this.#services = loaded.services.map((health, index) =>
      keptService(
        health,
        at(loaded.prepared.services, index),
        this.#services.find((one) => one.health.name === health.name),
      ),
    );
    await this.#asking.set(loaded, this.#tables.last?.state);
    const destinations = this.#services.reduce(
      (sum, { health }) => sum + health.destinations.length,
      0,
    );
    const counts = { services: this.#services.length, destinations };
    this.#journal.add({ kind: 'started', ...counts, checks: loaded.checks.length });
  }

  async #fill(): Promise<void> {
    const { prepared } = must(this.#loaded, 'the config');
    const begun = performance.now();
    const documents = this.#documents.tables;
    const services = prepared.services.map((service) => {
      const { sets } = must(documents.get(service.name), service.name).document;
      const newest = at(sets, sets.length - 1);
      const given = service.rows.map((row) =>
        must(newest.get(nameOfRow(row)), row.address),
      );
      const whole = wholeWeights(given);
      return {
        ...service,
        history: sets.slice(0, -1).map(destinationSet),
        destinations: service.destinations.map((one, place) => ({
          ...one,
          ...at(whole, place),
        })),
      };
    });
    const { attached, filled } = await this.#tables.fill(
      must(this.#attached, 'the device'),
      { ...prepared, services },
      { onlyWeights: !this.#isDirty, dryRun: false, settles: false },
    );
    this.#attached = attached;
    const took = performance.now() - begun;
    for (const service of this.#services) {
      const { name } = service.health;
      const plan = filled.plan.services.find((one) => one.name === name)?.plan;
      const kept = documents.get(name);
      if (plan && kept) this.#take(service, kept, plan, took);
    }
    const { state } = must(this.#tables.last, 'the tables');
    this.#standing.take(documents, state, prepared.services);
    this.#seed = this.#documents.seed;
    if (this.#isDirty) this.#journal.add({ kind: 'ready' });
    this.#isDirty = false;
    await this.#asking.follow(attached, filled.plan.after);
  }

  #take(
    service: Service,
    kept: KeptDocument,
    plan: Parameters<typeof takeFill>[2],
    took: number,
  ): void {
    const { name, destinations } = service.health;
    const { sets, hands, isPanic, onBackup, wanted } = kept.document;
    const before = this.#standing.documents.get(name)?.document;
    const isByHand =
      JSON.stringify([...(before?.hands ?? [])]) !== JSON.stringify([...hands]);
    const cause: Cause = !before
      ? 'start'
      : before.wanted !== wanted
        ? 'file'
        : isByHand
          ? 'hand'
          : 'health';
    for (const { name: own } of destinations) {
      const { byHand, weightByHand } = hands.get(own) ?? {};
      service.health.setByHand(own, { byHand, weightByHand });
    }
    const newest = at(sets, sets.length - 1);
    const given = destinations.map((one) => must(newest.get(one.name), one.name));
    takeFill(service, given, plan, { cause, took }, this.#journal);
    service.shares = { ...service.health.shares(performance.now()), isPanic, onBackup };
    this.#changes.count(cause, took, [plan]);
  }

  async #lookForSettled(): Promise<void> {
    const state = this.#tables.last?.state;
    const maps = this.#attached?.maps;
    const { config } = this.#documents;
    if (!state || !maps || !config) return;
    const services = this.#services.map(({ resolved }) => resolved);
    await this.#standing.look(this.#tools, maps, state, services, config);
  }

  /** Says in the store what it has and what it sees. */
  #tell(head: Head | undefined): void {
    const { keys, name } = this.#options;
    this.#membership.say(
      keys.node(name),
      formatNode({
        ...{ version: VERSION, tables: this.#standing.tables() },
        ...{ isDrained: this.#presence.isDrained(head), fault: this.#fault ?? '' },
        addresses: this.#addresses,
        seed: this.#seed,
      }),
    );
    const isBlind = isSilent(this.#asking.status());
    const seen = this.#services.map(({ health }) => {
      const votes = health.destinations.flatMap(({ name: own, key, condition }) => {
        if (key === undefined) return [];
        const vote: Vote = isBlind ? 'unknown' : voteOf(condition);
        return vote === 'up' ? [] : [[own, vote] as const];
      });
      return [health.name, new Map(votes)] as const;
    });
    this.#membership.say(keys.seen(name), formatSeen(new Map(seen)));
  }

  #trouble(what: string): void {
    this.#journal.add({ kind: 'trouble', what });
  }

  async #tryTo(work: () => unknown): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      // What the store has is untrusted: whatever is wrong with it, the tables stay.
      if (!(error instanceof Failure) && !(error instanceof Fault)) throw error;
      const words = error instanceof Failure ? inOneLine(error) : error.message;
      this.#trouble(printableLine(words));
      return false;
    }
  }
}
