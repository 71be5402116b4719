// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The documents that a node goes by: of each service the last good one. A document that is
 * none, or that goes with the others to no config, is refused and told of, and the node keeps
 * what it has. They are kept on disk, too, so that a node comes up without its store.
 */
import { dirname } from 'node:path';

import type { Config } from '../config/read.js';
import type { Journal } from '../daemon/journal.js';
import { writeSaved } from '../daemon/saved.js';
import { readRegular } from '../system/regular-file.js';
import { Fault, tryParse } from '../text/fault.js';
import { fileFault } from '../text/file-fault.js';
import { Failure } from '../text/failure.js';
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
import { joinConfig, weightsOf } from './agreement/wanted.js';
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
  /** What was refused, and at which revision. */
  readonly #refused = new Map<string, number>();

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

  /** Takes the last good ones from disk, if there are any. */
  load(): void {
    let text: string;
    try {
      text = readRegular(this.#path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw new Failure(`cannot read ${this.#path}`, {
        cause: fileFault(error),
        next: `look at: ls -ld ${dirname(this.#path)}`,
      });
    }
    const saved = tryParse(() => parseSavedDocuments(text));
    if (saved instanceof Fault) {
      // The store has them, too.
      this.#tell(`${this.#path} is not used: ${saved.message}`);
      return;
    }
    this.#take(saved.common, saved.tables);
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
    const isSame =
      common === this.#common &&
      tables.size === this.#tables.size &&
      [...tables].every(([name, one]) => this.#tables.get(name) === one);
    if (isSame) return false;
    return this.#takeWhatFits(common, tables);
  }

  /** Writes to disk what holds now. */
  save(): void {
    if (!this.#common) return;
    const { text, revision } = this.#common;
    const tables = [...this.#tables].map(([name, one]) => [name, one.revision, one.text]);
    const saved = { format: FORMAT, common: [revision, text], tables };
    writeSaved(this.#path, `${JSON.stringify(saved)}\n`);
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
    const config = joinConfig({ common: common.common.toml, services });
    const [problem] = config.problems;
    if (problem !== undefined) return problem;
    this.#common = common;
    this.#tables = tables;
    this.#config = config;
    return undefined;
  }

  async #newCommon(head: Head, signal?: AbortSignal): Promise<KeptCommon | undefined> {
    const known = this.#common;
    const { common: key } = this.#keys;
    if (known?.revision === head.common || this.#refused.get(key) === head.common) {
      return known;
    }
    const entry = await this.#entry(key, signal);
    if (!entry) return known;
    const { value: text, revision } = entry;
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
    const isKnown = this.#tables.get(name)?.revision === revision;
    if (isKnown || this.#refused.get(key) === revision) return undefined;
    const entry = await this.#entry(key, signal);
    if (!entry) return undefined;
    const { value: text } = entry;
    const document = tryParse(() => documentIn(wholeValue(entry), toml, name));
    if (!(document instanceof Fault)) return { text, revision: entry.revision, document };
    this.#refuse(key, entry.revision, document.message);
    return undefined;
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

function documentIn(text: string, toml: string, name: string): Document {
  const document = parseDocument(text, (wanted) => weightsOf(toml, wanted));
  const services = new Map([[name, document.wanted]]);
  const [problem] = joinConfig({ common: toml, services }).problems;
  if (problem !== undefined) throw new Fault(problem);
  return document;
}

function parseSavedDocuments(text: string): {
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
