// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The leader of a fleet: one node decides, by what is wanted, by what the checkers of all see
 * and by what hands decided, and writes the documents that all apply. All that it needs is in
 * the store, so whoever gets the lead next goes on.
 *
 * What it writes holds only while it leads and if nobody else has written: the store compares
 * both with the write. One that cannot decide gives its lead to another.
 */
import { nameOfRow } from '../config/destinations-csv.js';
import type { Journal } from '../daemon/journal.js';
import { Fault, tryParse } from '../text/fault.js';
import { Failure } from '../text/failure.js';
import { printableLine } from '../text/printable.js';
import { disagreements } from './agreement/disagreements.js';
import type { Document, Hand } from './agreement/document.js';
import { formatShort, parseDocument } from './agreement/document.js';
import type { Documents } from './documents.js';
import type { Keys } from './agreement/keys.js';
import { isName, living, named } from './agreement/keys.js';
import type { Head, NodeRecord } from './agreement/records.js';
import {
  formatHead,
  parseCommon,
  parseHands,
  parseHead,
  parseNode,
} from './agreement/records.js';
import { parseSeen } from './agreement/votes.js';
import { KnownWanted } from './agreement/known-wanted.js';
import { joinConfig } from './agreement/wanted.js';
import { Follow } from './follow.js';
import type { NextDocument } from './led-service.js';
import { LedService } from './led-service.js';
import type { Membership } from './membership.js';
import { portionOf } from './store/portion.js';
import type { Compare, Entry, Put, Store } from './store/store.js';

export interface LeaderParts {
  store: Store;
  keys: Keys;
  /** Of this node. */
  name: string;
  membership: Membership;
  journal: Journal;
  /** The last good documents that this node has seen. */
  known: Pick<Documents, 'common' | 'tables'>;
}

/** Milliseconds between two looks, in which something may follow from time alone. */
const LONGEST = 5000;
const SHORTEST = 50;
/** Between two looks whether the one who leads is there, and at least if it is this node. */
const LOOK = 15_000;
const OWN_LOOK = 1000;
/** For which one that gave up its lead lets others try. */
const REST = 5000;
/** Documents that are removed in one write. */
const MOST_REMOVED = 100;
/** Nodes that were there a moment ago may not have said anything yet. */
const SETTLE_AFTER = 3000;

export class Leader {
  readonly #parts: LeaderParts;
  /** All that the fleet has in the store, while this node leads. */
  #all: Follow | undefined;
  /** The revision that created its lead; undefined: it does not lead. */
  #mine: number | undefined;
  #began = 0;
  #services = new Map<string, LedService>();
  /** The entries that it was made from: what differs has changed. */
  #made = '';
  #restUntil = 0;
  #isTrying = false;
  #timer: NodeJS.Timeout | undefined;
  /** When it ends. */
  #due = Infinity;
  #work: Promise<void> = Promise.resolve();
  /** Who leads, as it was seen last. */
  #seen: Entry | undefined;
  #watch: NodeJS.Timeout | undefined;
  #disagreements: readonly string[] = [];
  readonly #wanted = new KnownWanted();
  /** What entries hold, as long as they are the same. */
  #parsed = new WeakMap<Entry, { with: string; value: unknown }>();
  readonly #told = new Set<string>();
  #isOver = false;

  constructor(parts: LeaderParts) {
    this.#parts = parts;
  }

  get leads(): boolean {
    return this.#mine !== undefined;
  }

  /** Where nodes disagree, as far as this node hears of the others, in words. */
  get disagreements(): readonly string[] {
    return this.#disagreements;
  }

  /** Takes who leads, as the store has it; undefined: nobody. */
  see(leader: Entry | undefined): void {
    if (this.#mine !== undefined && leader?.created !== this.#mine) this.#end('lost');
    this.#seen = leader;
    this.#watchLead();
    if (!leader) void this.#try();
  }

  /**
   * Looks now and then whether the one who leads is there. A lead may belong to nobody: it
   * was written without a lease, or by this node, which was not told that it was.
   */
  #watchLead(): void {
    clearTimeout(this.#watch);
    const lead = this.#seen;
    if (!lead || this.leads || this.#isOver) return;
    const wait = lead.value === this.#parts.name ? OWN_LOOK : LOOK * (1 + Math.random());
    this.#watch = setTimeout(() => void this.#removeDead(lead), wait).unref();
  }

  async #removeDead({ value, created }: Entry): Promise<void> {
    const { store, keys, name } = this.#parts;
    try {
      const isSame = !this.leads && this.#seen?.created === created;
      if (!isSame || this.#isTrying || this.#isOver) return;
      const isOther = isName(value) && value !== name;
      const alive = isOther ? (await store.read(keys.node(value))).entries : [];
      if (living(alive, keys.node()).length > 0) return;
      this.#tell(`${value.slice(0, 64)} leads, and is not there: its lead ends`);
      const remove = [{ key: keys.leader, remove: true as const }];
      await store.write([{ key: keys.leader, created }], remove);
    } catch (error) {
      if (!(error instanceof Failure)) throw error; // it is tried again
    } finally {
      this.#watchLead();
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#watch);
    this.#end('ended');
    await this.#work;
  }

  async #try(): Promise<void> {
    const { store, keys, name, membership } = this.#parts;
    const { lease } = membership;
    const isResting = performance.now() < this.#restUntil;
    if (this.#isOver || this.#isTrying || !lease || this.leads) return;
    if (isResting) {
      setTimeout(() => void this.#try(), this.#restUntil - performance.now()).unref();
      return;
    }
    this.#isTrying = true;
    try {
      const puts = [{ key: keys.leader, value: name, lease }];
      const mine = await store.write([{ key: keys.leader, revision: 0 }], puts);
      if (mine !== undefined) this.#begin(mine);
    } catch (error) {
      // Whoever leads is seen in a moment, and so is if nobody does.
      if (!(error instanceof Failure)) throw error;
    } finally {
      this.#isTrying = false;
    }
  }

  #begin(mine: number): void {
    // Meanwhile it was told to end: its lease ends, too.
    if (this.#isOver) return;
    const { store, keys, journal } = this.#parts;
    this.#mine = mine;
    this.#began = performance.now();
    journal.add({ kind: 'leads', begins: true });
    const all = new Follow(store, keys.root, {
      changed: () => {
        this.#wake(0);
      },
    });
    this.#all = all;
    void all.run();
  }

  #end(why: string): void {
    if (this.#mine === undefined) return;
    this.#mine = undefined;
    this.#all?.stop();
    this.#all = undefined;
    this.#services = new Map();
    this.#disagreements = [];
    this.#made = '';
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#parts.journal.add({ kind: 'leads', begins: false, why });
  }

  /** Looks after so many milliseconds, or sooner if that is due already. */
  #wake(wait: number): void {
    const due = performance.now() + Math.max(wait, SHORTEST);
    if (this.#timer && this.#due <= due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#work = this.#work.then(() => this.#look());
    }, due - performance.now());
  }

  async #look(): Promise<void> {
    if (!this.leads || !this.#all?.isKnown) return;
    try {
      this.#wake(await this.#decide(this.#all.entries));
    } catch (error) {
      if (!(error instanceof Failure) && !(error instanceof Fault)) throw error;
      this.#tell(`cannot decide: ${error.message}`);
      await this.#giveUp();
    }
  }

  /** Another one may have what this one lacks. */
  async #giveUp(): Promise<void> {
    const { store, keys } = this.#parts;
    const created = this.#mine;
    this.#restUntil = performance.now() + REST;
    this.#end('it cannot decide');
    if (created === undefined) return;
    try {
      await store.write(
        [{ key: keys.leader, created }],
        [{ key: keys.leader, remove: true }],
      );
    } catch (error) {
      if (!(error instanceof Failure)) throw error; // it goes with the lease
    }
  }

  /** Decides everything that can be decided now, and says when to look again. */
  async #decide(entries: ReadonlyMap<string, Entry>): Promise<number> {
    const { keys, journal } = this.#parts;
    const now = performance.now();
    if (!entries.has(keys.common)) return LONGEST;
    if (await this.#mendCommon(entries)) return SHORTEST;
    this.#make(entries, now);
    const nodes = this.#below(entries, keys.node(), parseNode, living);
    const seen = this.#below(entries, keys.seen(), parseSeen, living);
    this.#disagreements = disagreements(nodes);
    this.#disagreements.forEach((what) => {
      this.#tell(what);
    });
    // Whoever does not live does not vote.
    const votes = new Map([...seen].filter(([name]) => nodes.has(name)));
    let wait = LONGEST;
    const nexts: [LedService, NextDocument][] = [];
    for (const one of this.#services.values()) {
      one.take(votes, nodes.size, now);
      const next = one.next(now, journal);
      if (next) nexts.push([one, next]);
      wait = Math.min(wait, one.wait(now));
    }
    if (nexts.length > 0) {
      await this.#publish(entries, nexts);
      // What follows is decided with what this makes of the store.
      return SHORTEST;
    }
    const settled = now - this.#began >= SETTLE_AFTER && this.#settled(entries, nodes);
    if (settled) {
      await this.#publishSettled(entries, settled);
      return SHORTEST;
    }
    await this.#removeGone(entries);
    await this.#mendHead(entries);
    return wait;
  }

  /** What is common and broken is put right, if this node has seen it whole. */
  async #mendCommon(entries: ReadonlyMap<string, Entry>): Promise<boolean> {
    const { store, keys, known } = this.#parts;
    const entry = entries.get(keys.common);
    const common = tryParse(() => parseCommon(entry?.value ?? ''));
    if (!(common instanceof Fault) || !entry) return false;
    if (known.common === undefined || this.#mine === undefined) return false;
    this.#tell(
      `${keys.common} at revision ${entry.revision} is put right: ${common.message}`,
    );
    const compare = [
      { key: keys.leader, created: this.#mine },
      { key: keys.common, revision: entry.revision },
    ];
    // The head follows.
    await store.write(compare, [{ key: keys.common, value: known.common }]);
    return true;
  }

  /** Makes its services anew if what is wanted of them has changed, or their documents. */
  #make(entries: ReadonlyMap<string, Entry>, now: number): void {
    const { keys } = this.#parts;
    const places = [keys.common, keys.wanted(), keys.hand(), keys.table()];
    const parts = [...entries.values()].filter(({ key }) =>
      places.some(
        (place) => key === place || (place.endsWith('/') && key.startsWith(place)),
      ),
    );
    const revisions = parts.map(({ key, revision }) => `${key} ${revision}`);
    const made = [this.#all?.reads, ...revisions].join('\n');
    if (made === this.#made) return;
    const text = entries.get(keys.common)?.value;
    if (text === undefined) return;
    const common = parseCommon(text);
    const { toml } = common;
    const parse = (value: string, name: string): Document =>
      parseDocument(value, (wanted) => this.#wanted.weightsOf(toml, name, wanted));
    const documents = this.#below(entries, keys.table(), parse, named, toml);
    const texts = this.#texts(entries, toml, documents);
    const config = this.#wanted.join({ common: toml, services: texts });
    const hands = this.#below(entries, keys.hand(), parseHands);
    this.#services = new Map(
      config.services.map((service) => {
        const { name } = service;
        const input = {
          ...{ text: texts.get(name) ?? '', service, names: config.names },
          hands: handsOf(hands.get(name), service.rows.map(nameOfRow)),
          // What is broken in the store, this node may have seen whole.
          document: documents.get(name) ?? this.#parts.known.tables.get(name)?.document,
          isPublished: documents.has(name),
        };
        return [name, new LedService(input, this.#services.get(name), now)];
      }),
    );
    this.#made = made;
  }

  /** What is wanted of services; where that is none, as it stands in the last document. */
  #texts(
    entries: ReadonlyMap<string, Entry>,
    common: string,
    documents: ReadonlyMap<string, Document>,
  ): Map<string, string> {
    const wanted = this.#below(entries, this.#parts.keys.wanted(), (text) => text);
    const [problem] = this.#wanted.join({ common, services: wanted }).problems;
    if (problem === undefined) return wanted;
    let texts = new Map<string, string>();
    for (const [name, text] of wanted) {
      // What is broken in the store, this node may have seen whole.
      const last = documents.get(name) ?? this.#parts.known.tables.get(name)?.document;
      const tries = [text, ...(last ? [last.wanted] : [])];
      for (const one of tries) {
        const next = new Map([...texts, [name, one]]);
        const [fault] = joinConfig({ common, services: next }).problems;
        if (fault === undefined) {
          texts = next;
          break;
        }
        this.#tell(`what is wanted of ${name} is refused: ${fault}`);
      }
    }
    return texts;
  }

  /**
   * What stands below a place, by name. What is none of ours is left out, and told once. Only
   * what has changed is parsed; `also` is what else the parser goes by.
   */
  #below<T>(
    entries: ReadonlyMap<string, Entry>,
    place: string,
    parse: (text: string, name: string) => T,
    which: typeof named<Entry> = named,
    also = '',
  ): Map<string, T> {
    const all = new Map<string, T>();
    for (const [name, entry] of which(entries.values(), place)) {
      const { key, value, revision } = entry;
      const known = this.#parsed.get(entry);
      const one =
        known?.with === also
          ? (known.value as T | Fault)
          : tryParse(() => parse(value, name));
      this.#parsed.set(entry, { with: also, value: one });
      if (one instanceof Fault)
        this.#tell(`${key} at revision ${revision}: ${one.message}`);
      else all.set(name, one);
    }
    return all;
  }

  #tell(what: string): void {
    if (this.#told.has(what)) return;
    if (this.#told.size > 1000) this.#told.clear();
    this.#told.add(what);
    this.#parts.journal.add({ kind: 'trouble', what: printableLine(what) });
  }

  /** All at once, or as many as a write holds; the others follow in a moment. */
  async #publish(
    entries: ReadonlyMap<string, Entry>,
    nexts: readonly [LedService, NextDocument][],
  ): Promise<void> {
    const { journal } = this.#parts;
    const documents = nexts.map(([{ name }, { document }]) => [name, document] as const);
    const written = await this.#write(entries, new Map(documents));
    for (const [service, next] of nexts.slice(0, written)) {
      const { cause, weights, moved, ideal, forgets, document } = next;
      journal.add({
        ...{ kind: 'decided', service: service.name, cause, weights, moved, ideal },
        ...{ sets: document.sets.length, forgets },
      });
      service.published(next);
    }
  }

  /** Documents without their oldest set, where no node that lives needs it any more. */
  #settled(
    entries: ReadonlyMap<string, Entry>,
    nodes: ReadonlyMap<string, NodeRecord>,
  ): Map<string, Document> | undefined {
    const { keys } = this.#parts;
    for (const [name, service] of this.#services) {
      const { document } = service;
      const revision = entries.get(keys.table(name))?.revision;
      if (!document || document.sets.length < 2) continue;
      const isSettled = [...nodes.values()].every(({ tables }) => {
        const applied = tables.get(name);
        return applied?.revision === revision && applied?.isSettled;
      });
      if (nodes.size === 0 || !isSettled) continue;
      return new Map([[name, { ...document, sets: document.sets.slice(1) }]]);
    }
    return undefined;
  }

  async #publishSettled(
    entries: ReadonlyMap<string, Entry>,
    documents: ReadonlyMap<string, Document>,
  ): Promise<void> {
    const written = await this.#write(entries, documents);
    for (const [service, { sets }] of [...documents].slice(0, written))
      this.#parts.journal.add({ kind: 'settled', service, sets: sets.length });
  }

  async #removeGone(entries: ReadonlyMap<string, Entry>): Promise<void> {
    const { keys } = this.#parts;
    if (!entries.has(keys.common)) return;
    const gone = named(entries.values(), keys.table())
      .map(([name]) => name)
      .filter((name) => !entries.has(keys.wanted(name)))
      .slice(0, MOST_REMOVED);
    if (gone.length > 0) await this.#write(entries, new Map(), gone);
  }

  /** One that is none, or tells of other documents than there are, tells no node anything. */
  async #mendHead(entries: ReadonlyMap<string, Entry>): Promise<void> {
    const { keys } = this.#parts;
    const common = entries.get(keys.common);
    if (!common) return;
    const head = tryParse(() => headIn(entries, keys));
    const there = tablesIn(entries, keys);
    const isWhole =
      !(head instanceof Fault) &&
      head.common === common.revision &&
      head.tables.size === there.size &&
      [...there].every(([name, revision]) => head.tables.get(name) === revision);
    if (isWhole) return;
    if (!(head instanceof Fault))
      this.#tell(
        `${keys.head} at revision ${revisionIn(entries, keys.head)} is put right`,
      );
    await this.#write(entries, new Map());
  }

  /** One that is none is made anew; who was drained has to be told again. */
  #headIn(entries: ReadonlyMap<string, Entry>): Head {
    const { keys } = this.#parts;
    const head = tryParse(() => headIn(entries, keys));
    if (!(head instanceof Fault)) return head;
    this.#tell(
      `${keys.head} is made anew, without nodes that are drained: ${head.message}`,
    );
    return { common: 0, tables: tablesIn(entries, keys), drained: new Set() };
  }

  /**
   * Writes documents and the head that tells of them. Returns how many of them, from the
   * first on: 0 if it does not lead any more.
   */
  async #write(
    entries: ReadonlyMap<string, Entry>,
    documents: ReadonlyMap<string, Document>,
    gone: readonly string[] = [],
  ): Promise<number> {
    const { store, keys } = this.#parts;
    const created = this.#mine;
    if (created === undefined) return 0;
    const head = this.#headIn(entries);
    const common = parseCommon(entries.get(keys.common)?.value ?? '');
    const tables = tablesIn(entries, keys);
    const puts: Put[] = [];
    const compare: Compare[] = [
      { key: keys.leader, created },
      { key: keys.head, revision: revisionIn(entries, keys.head) },
    ];
    const texts = [...documents].map(([name, document]) => {
      const weights = this.#wanted.weightsOf(common.toml, name, document.wanted);
      return [name, formatShort(document, weights)] as const;
    });
    const count = portionOf(texts.map(([, value]) => value));
    for (const [name, value] of texts.slice(0, count)) {
      const key = keys.table(name);
      tables.set(name, 0);
      puts.push({ key, value });
      compare.push({ key, revision: revisionIn(entries, key) });
    }
    for (const name of gone) {
      tables.delete(name);
      puts.push({ key: keys.table(name), remove: true });
    }
    const revision = revisionIn(entries, keys.common);
    const value = formatHead({ ...head, common: revision, tables });
    puts.push({ key: keys.head, value });
    return (await store.write(compare, puts)) === undefined ? 0 : count;
  }
}

/** Decisions about destinations that are not there any more go with them. */
function handsOf(
  hands: ReadonlyMap<string, Hand> | undefined,
  names: readonly string[],
): Map<string, Hand> {
  const there = new Set(names);
  return new Map([...(hands ?? [])].filter(([name]) => there.has(name)));
}

function revisionIn(entries: ReadonlyMap<string, Entry>, key: string): number {
  return entries.get(key)?.revision ?? 0;
}

/** The revisions of the documents that are there. */
function tablesIn(entries: ReadonlyMap<string, Entry>, keys: Keys): Map<string, number> {
  const there = named(entries.values(), keys.table());
  return new Map(there.map(([name, { revision }]) => [name, revision]));
}

export function headIn(entries: ReadonlyMap<string, Entry>, keys: Keys): Head {
  const entry = entries.get(keys.head);
  if (!entry) return { common: 0, tables: new Map(), drained: new Set() };
  return parseHead(entry.value, entry.revision);
}
