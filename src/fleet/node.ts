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
import type { ByHandResult, Cause, Changes, Status } from '../api/status.js';
import type { WantedDaemon } from '../config/daemon.js';
import type { Journal } from '../daemon/journal.js';
import { Asking } from '../daemon/asking.js';
import type { Action } from '../daemon/by-hand.js';
import { Conflict } from '../daemon/by-hand.js';
import type { Controller } from '../daemon/daemon.js';
import type { Service } from '../daemon/kept-service.js';
import { keptService, takeFill } from '../daemon/kept-service.js';
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
import { Link } from '../system/link.js';
import { VERSION } from '../system/package.js';
import { Fault, tryParse } from '../text/fault.js';
import { Failure, inOneLine } from '../text/failure.js';
import type { Mode } from '../text/mode.js';
import { at, must } from '../text/must.js';
import { printableLine } from '../text/printable.js';
import { wholeWeights } from '../health/weights.js';
import { Announcer, announcements } from './announcer.js';
import { changeByHand } from './by-hand.js';
import { Documents } from './documents.js';
import type { KeptDocument } from './documents.js';
import { Follow } from './follow.js';
import { Freshness } from './freshness.js';
import type { Keys } from './agreement/keys.js';
import { leaderIn, living } from './agreement/keys.js';
import type { Head } from './agreement/records.js';
import { formatNode, parseHead, parseNode } from './agreement/records.js';
import { destinationSet } from './agreement/sets.js';
import { formatSeen } from './agreement/votes.js';
import type { Vote } from './agreement/votes.js';
import { Leader } from './leader.js';
import { Membership } from './membership.js';
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
/** After this long behind the others, a node leaves packets to them. */
const BEHIND = 10_000;

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
  readonly #announcer: Announcer | undefined;
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
  #behindSince: number | undefined;
  #isBehind = false;
  readonly #freshness = new Freshness(performance.now());
  readonly #link: Link;
  #isCut = false;
  /** All destinations that it asks fail, as seen from here. */
  #seesNone = false;
  readonly #changes: Record<Cause, Changes> = {
    ...{ start: noChanges(), file: noChanges(), health: noChanges(), hand: noChanges() },
  };
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
    this.#link = new Link(options.device, changed);
    this.#announcer =
      options.table === undefined ? undefined : new Announcer(tools, options.table);
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
      ...{ warm: this.#tables.last, changes: this.#changes, seen },
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
      drained: this.#isDrained(head),
      announced: (this.#announcer?.last ?? []).map(({ address }) => address),
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
    return this.#services.map(({ health: { name, destinations }, shares }) => ({
      ...{ name, isPanic: shares.isPanic, destinations },
    }));
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
          return isDone && !this.#freshness.isNew && !this.#freshness.isStale
            ? LONGEST
            : AGAIN;
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
    this.#link.close();
    await this.#tryTo(() => this.#announcer?.say([]));
    await this.#leader.stop();
    this.#head.stop();
    this.#leading.stop();
    await this.#membership.stop();
    await this.#asking.close();
    this.#options.store.close();
  }

  async #step(): Promise<void> {
    this.#lookWhetherCut();
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
      await this.#tryTo(() => this.#seeBehind(head));
      this.#seeFresh(head);
      this.#tell(head);
      await this.#announce(head);
    }
    await this.#lookForSettled();
    this.#tell(head);
  }

  /**
   * It is cut off if its device has no link, or if it hears neither the store nor any
   * destination: then it is not the store alone that is away.
   */
  #lookWhetherCut(): void {
    const asked = this.#services.flatMap(({ health }) =>
      health.destinations.filter(({ key }) => key !== undefined),
    );
    const sawNone = this.#seesNone;
    this.#seesNone =
      asked.length > 0 &&
      asked.every(({ condition }) => isDoubt(voteOf(condition.state)));
    const wasCut = this.#isCut;
    this.#isCut = this.#link.isDown || (this.#seesNone && !this.#head.isKnown);
    // What it knew is old. If the store is away, that is found now, and not in a while.
    const isBack = wasCut && !this.#isCut;
    if (isBack) this.#documents.doubt();
    if (isBack || (this.#seesNone && !sawNone)) this.#head.again();
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
    const changes = this.#changes[cause];
    changes.fills++;
    changes.slots_moved += plan.slotsMoved;
    changes.slots_ideal += plan.slotsIdeal;
    changes.seconds += took / 1000;
  }

  async #lookForSettled(): Promise<void> {
    const state = this.#tables.last?.state;
    const maps = this.#attached?.maps;
    const { config } = this.#documents;
    if (!state || !maps || !config) return;
    const services = this.#services.map(({ resolved }) => resolved);
    await this.#standing.look(this.#tools, maps, state, services, config);
  }

  /** Whether the others have what this one cannot apply. */
  async #seeBehind(head: Head | undefined): Promise<void> {
    const isUpTo = !head || (this.#documents.isUpTo(head) && !this.#isDirty);
    const now = performance.now();
    this.#behindSince = isUpTo ? undefined : (this.#behindSince ?? now);
    if (isUpTo || !this.#head.isKnown) {
      this.#isBehind = this.#isBehind && !isUpTo;
      return;
    }
    if (now - (this.#behindSince ?? now) < BEHIND) return;
    const { store, keys, name } = this.#options;
    const { entries } = await store.read(keys.node());
    const isAnyAhead = living(entries, keys.node()).some(
      ([other, { value }]) => other !== name && hasAll(value, head),
    );
    if (!this.#isBehind && isAnyAhead)
      this.#trouble('this node is behind the others, and leaves packets to them');
    this.#isBehind = isAnyAhead;
  }

  #isDrained(head: Head | undefined): boolean {
    return (
      this.#isBehind ||
      this.#freshness.isStale ||
      (head?.drained.has(this.#options.name) ?? false)
    );
  }

  async #announce(head: Head | undefined): Promise<void> {
    if (!this.#announcer) return;
    const services = this.#services.map(({ resolved }) => {
      const kept = this.#standing.documents.get(resolved.name);
      return {
        service: resolved,
        isApplied: kept !== undefined,
        isDown: kept?.document.isDown ?? false,
      };
    });
    const wanted = announcements(services, this.#isDrained(head));
    if (wanted.length > 0 && this.#freshness.isNew) return;
    const before = this.#announcer.last;
    if (!(await this.#announcer.say(wanted))) return;
    this.#journal.add({ kind: 'followed', what: announcedInWords(before, wanted) });
    this.#loop.wake();
  }

  /** What is on disk may be old, and so may be what it had before a cut. */
  #seeFresh(head: Head | undefined): void {
    const isCurrent =
      head !== undefined &&
      this.#head.isKnown &&
      this.#documents.isUpTo(head) &&
      !this.#isDirty;
    const seen = { now: performance.now(), isCut: this.#isCut, isCurrent };
    if (this.#freshness.see(seen) && this.#freshness.isStale)
      this.#trouble('this node was cut off, and leaves packets to the others meanwhile');
  }

  /** Says in the store what it has and what it sees. */
  #tell(head: Head | undefined): void {
    const { keys, name } = this.#options;
    this.#membership.say(
      keys.node(name),
      formatNode({
        ...{ version: VERSION, tables: this.#standing.tables() },
        ...{ isDrained: this.#isDrained(head), fault: this.#fault ?? '' },
        addresses: this.#addresses,
        seed: this.#seed,
      }),
    );
    const isBlind = isSilent(this.#asking.status());
    const seen = this.#services.map(({ health }) => {
      const votes = health.destinations.flatMap(({ name: own, key, condition }) => {
        if (key === undefined) return [];
        const vote: Vote = isBlind ? 'unknown' : voteOf(condition.state);
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

/** Whether a node has what the head tells of, and takes packets. */
function hasAll(text: string, head: Head): boolean {
  const node = tryParse(() => parseNode(text));
  return (
    !(node instanceof Fault) &&
    !node.isDrained &&
    [...head.tables].every(
      ([service, revision]) => node.tables.get(service)?.revision === revision,
    )
  );
}

function voteOf(state: View['destinations'][0]['condition']['state']): Vote {
  if (state === 'unknown' || state === 'suspect') return state;
  return state === 'down' || state === 'dead' ? 'down' : 'up';
}

const isDoubt = (vote: Vote): boolean => vote === 'down' || vote === 'suspect';

function announcedInWords(
  before: readonly { address: string }[],
  now: readonly { address: string; isDrained: boolean }[],
): string {
  if (now.length === 0)
    return before.length === 0 ? 'announces nothing' : 'withdraws all';
  const words = now.map(({ address, isDrained }) =>
    isDrained ? `${address} (drained)` : address,
  );
  return `announces ${words.join(', ')}`;
}

function noChanges(): Changes {
  return { fills: 0, slots_moved: 0, slots_ideal: 0, seconds: 0 };
}
