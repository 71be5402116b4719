// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The documents that a node goes by: of each service the last good one. A document that is
 * none, or that goes with the others to no config, is refused and told of, and the node keeps
 * what it has. They are kept on disk, too, so that a node comes up without its store.
 */
import { nameOfRow } from '../config/destinations-csv.js';
import type { Config } from '../config/read.js';
import type { Journal } from '../daemon/journal.js';
import { writeSaved } from '../daemon/saved.js';
import { readRegular } from '../system/regular-file.js';
import { Fault, tryParse } from '../text/fault.js';
import { fileFault } from '../text/file-fault.js';
import { Failure, inOneLine } from '../text/failure.js';
import { printableLine } from '../text/printable.js';
import type { Document } from './agreement/document.js';
import { parseDocument } from './agreement/document.js';
import {
  FORMAT,
  isList,
  isText,
  isTuple,
  isWhole,
  readFields,
} from './agreement/json.js';
import type { Keys } from './agreement/keys.js';
import type { Common, Head } from './agreement/records.js';
import { parseCommon } from './agreement/records.js';
import { KnownWanted } from './agreement/known-wanted.js';
import type { Entry, Store } from './store/store.js';

interface Kept {
  text: string;
  revision: number;
}

export interface KeptDocument extends Kept {
  document: Document;
}

interface KeptCommon extends Kept {
  common: Common;
}

type Sort = Pick<Store, 'read'>;

const LONGEST_FILE = 64 << 20;

export class Documents {
  readonly #store: Sort;
  readonly #keys: Keys;
  readonly #path: string;
  readonly #journal: Journal;
  #common: KeptCommon | undefined;
  #tables: ReadonlyMap<string, KeptDocument> = new Map();
  #config: Config | undefined;
  readonly #wanted = new KnownWanted();
  /** What was refused, and at which revision. */
  readonly #refused = new Map<string, number>();
  /** Keys that the store has with what is known, and did not lose meanwhile. */
  readonly #seen = new Set<string>();
  #isSaved = true;
  #told = '';

  constructor(store: Sort, keys: Keys, path: string, journal: Journal) {
    this.#store = store;
    this.#keys = keys;
    this.#path = path;
    this.#journal = journal;
  }

  /** All services together; undefined: nothing is known of the fleet yet. */
  get config(): Config | undefined {
    return this.#config;
  }

  /** By service. */
  get tables(): ReadonlyMap<string, KeptDocument> {
    return this.#tables;
  }

  get seed(): number | undefined {
    return this.#common?.common.seed;
  }

  /** What is common to all services, as the store had it. */
  get common(): string | undefined {
    return this.#common?.text;
  }

  /** Whether it goes by what the head tells of. */
  isUpTo(head: Head): boolean {
    return (
      this.#common?.revision === head.common &&
      this.#tables.size === head.tables.size &&
      [...head.tables].every(
        ([name, revision]) => this.#tables.get(name)?.revision === revision,
      )
    );
  }

  /** The store was away, so it may have been made anew: then a revision says nothing. */
  doubt(): void {
    this.#seen.clear();
    this.#refused.clear();
  }

  /** Takes the last good ones from disk, if there are any. */
  load(): void {
    let text: string;
    try {
      text = readRegular(this.#path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      // The store has them, too.
      this.#tell(`cannot read ${this.#path}: ${fileFault(error)}`);
      return;
    }
    const saved = tryParse(() =>
      parseSavedDocuments(text, (one, toml, name) => this.#documentIn(one, toml, name)),
    );
    if (saved instanceof Fault) {
      this.#tell(`${this.#path} is not used: ${saved.message}`);
      return;
    }
    this.#take(saved.common, saved.tables);
    this.#isSaved = true;
  }

  /** Reads what the head tells of and is not known yet; true if anything has changed. */
  async follow(head: Head, signal?: AbortSignal): Promise<boolean> {
    const common = await this.#newCommon(head, signal);
    if (!common) return false;
    const tables = new Map<string, KeptDocument>();
    for (const [name, revision] of head.tables) {
      const next = await this.#newTable(common.common, name, revision, signal);
      const known = next ?? this.#tables.get(name);
      if (known) tables.set(name, known);
    }
    await this.#keepThoseThere(head, tables, signal);
    const isSame =
      common === this.#common &&
      tables.size === this.#tables.size &&
      [...tables].every(([name, one]) => this.#tables.get(name) === one);
    if (isSame) return false;
    return this.#takeWhatFits(common, tables);
  }

  /** A head that misses a service which the store still has is wrong, and removes nothing. */
  async #keepThoseThere(
    head: Head,
    tables: Map<string, KeptDocument>,
    signal?: AbortSignal,
  ): Promise<void> {
    for (const [name, known] of this.#tables) {
      const key = this.#keys.table(name);
      if (head.tables.has(name) || !(await this.#entry(key, signal))) continue;
      tables.set(name, known);
      const what = `${this.#keys.head} without ${name}`;
      this.#refuse(what, known.revision, 'the store has its document');
    }
  }

  /** Writes to disk what holds now. Where that fails it is told, and tried again later. */
  save(): void {
    if (!this.#common || this.#isSaved) return;
    const { text, revision } = this.#common;
    const tables = [...this.#tables].map(([name, one]) => [name, one.revision, one.text]);
    const saved = { format: FORMAT, common: [revision, text], tables };
    try {
      writeSaved(this.#path, `${JSON.stringify(saved)}\n`);
      this.#isSaved = true;
      this.#told = '';
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const what = inOneLine(error);
      if (what !== this.#told) this.#tell(what);
      this.#told = what;
    }
  }

  /** All of it, or without those that are new where these go with the rest to no config. */
  #takeWhatFits(common: KeptCommon, tables: ReadonlyMap<string, KeptDocument>): boolean {
    const fault = this.#take(common, tables);
    if (fault === undefined) return true;
    let isAnyTaken = false;
    for (const [name, one] of tables) {
      if (this.#tables.get(name) === one) continue;
      const next = new Map([...this.#tables, [name, one]]);
      const problem = this.#take(this.#common ?? common, next);
      if (problem === undefined) isAnyTaken = true;
      else this.#refuse(this.#keys.table(name), one.revision, problem);
    }
    return isAnyTaken;
  }

  /** Returns what is wrong with them as a whole; then nothing has changed. */
  #take(
    common: KeptCommon,
    tables: ReadonlyMap<string, KeptDocument>,
  ): string | undefined {
    const services = new Map(
      [...tables].map(([name, { document }]) => [name, document.wanted]),
    );
    const config = this.#wanted.join({ common: common.common.toml, services });
    const [problem] = config.problems;
    if (problem !== undefined) return problem;
    const other = config.services.find(({ name, rows }) => {
      const newest = tables.get(name)?.document.sets.at(-1);
      const names = rows.map(nameOfRow);
      return newest?.size !== names.length || !names.every((one) => newest.has(one));
    });
    if (other) return `${other.name} has other destinations than its document`;
    this.#common = common;
    this.#tables = tables;
    this.#isSaved = false;
    this.#config = config;
    return undefined;
  }

  async #newCommon(head: Head, signal?: AbortSignal): Promise<KeptCommon | undefined> {
    const known = this.#common;
    const { common: key } = this.#keys;
    const isSame = known?.revision === head.common && this.#seen.has(key);
    if (isSame || this.#refused.get(key) === head.common) return known;
    const entry = await this.#entry(key, signal);
    if (!entry) return known;
    this.#seen.add(key);
    const { value: text, revision } = entry;
    if (known?.revision === revision && known.text === text) return known;
    const common = tryParse(() => parseCommon(wholeValue(entry)));
    if (!(common instanceof Fault)) return { text, revision, common };
    this.#refuse(key, revision, common.message);
    return known;
  }

  /** Undefined: there is nothing new that is any good. */
  async #newTable(
    { toml }: Common,
    name: string,
    revision: number,
    signal?: AbortSignal,
  ): Promise<KeptDocument | undefined> {
    const key = this.#keys.table(name);
    const known = this.#tables.get(name);
    const isKnown = known?.revision === revision && this.#seen.has(key);
    if (isKnown || this.#refused.get(key) === revision) return undefined;
    const entry = await this.#entry(key, signal);
    if (!entry) return undefined;
    this.#seen.add(key);
    const { value: text } = entry;
    if (known?.revision === entry.revision && known.text === text) return undefined;
    const document = tryParse(() => this.#documentIn(wholeValue(entry), toml, name));
    if (!(document instanceof Fault)) return { text, revision: entry.revision, document };
    this.#refuse(key, entry.revision, document.message);
    return undefined;
  }

  #documentIn(text: string, toml: string, name: string): Document {
    return parseDocument(text, (wanted) => this.#wanted.weightsOf(toml, name, wanted));
  }

  async #entry(key: string, signal?: AbortSignal): Promise<Entry | undefined> {
    return (await this.#store.read(key, signal)).entries[0];
  }

  #refuse(key: string, revision: number, why: string): void {
    if (this.#refused.get(key) === revision) return;
    this.#refused.set(key, revision);
    this.#tell(`${key} at revision ${revision} is refused, and all stays: ${why}`);
  }

  #tell(what: string): void {
    this.#journal.add({ kind: 'trouble', what: printableLine(what) });
  }
}

function wholeValue({ value, fault }: Entry): string {
  if (fault === undefined) return value;
  throw new Fault(fault);
}

function parseSavedDocuments(
  text: string,
  documentIn: (text: string, toml: string, name: string) => Document,
): {
  common: KeptCommon;
  tables: Map<string, KeptDocument>;
} {
  const what = 'what a node of a fleet saved';
  const { common, tables } = readFields(text, what, LONGEST_FILE);
  const isCommon = isTuple(isWhole, isText);
  const isTable = isTuple(isText, isWhole, isText);
  if (!isCommon(common) || !isList(tables, isTable)) throw new Fault(`it is not ${what}`);
  const [revision, own] = common;
  const parsed = parseCommon(own);
  return {
    common: { text: own, revision, common: parsed },
    tables: new Map(
      tables.map(([name, at, one]) => [
        name,
        { text: one, revision: at, document: documentIn(one, parsed.toml, name) },
      ]),
    ),
  };
}
