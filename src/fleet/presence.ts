// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Whether routers send packets to a node: what it announces of its services, and when it
 * leaves packets to the others because it was cut off, is behind, or was told to.
 */
import type { Journal } from '../daemon/journal.js';
import type { Service } from '../daemon/kept-service.js';
import type { Context } from '../program/tools.js';
import { Link } from '../system/link.js';
import type { Keys } from './agreement/keys.js';
import type { Head } from './agreement/records.js';
import { voteOf } from './agreement/votes.js';
import type { Announcement } from './announce/routes.js';
import { Announcer, announcements } from './announcer.js';
import { Behind } from './behind.js';
import type { Documents, KeptDocument } from './documents.js';
import type { Follow } from './follow.js';
import { Freshness } from './freshness.js';
import type { Store } from './store/store.js';

export interface PresenceParts {
  tools: Pick<Context, 'run'>;
  device: string;
  /** Of the routes that are announced; undefined: nothing is. */
  table: number | undefined;
  store: Store;
  keys: Keys;
  /** Of this node. */
  name: string;
  head: Follow;
  documents: Documents;
  journal: Journal;
  /** Something is to be looked at. */
  changed: () => void;
}

export class Presence {
  readonly #parts: PresenceParts;
  readonly #announcer: Announcer | undefined;
  readonly #link: Link;
  readonly #freshness = new Freshness(performance.now());
  readonly #behind: Behind;
  #isCut = false;
  /** All destinations that it asks fail, as seen from here. */
  #seesNone = false;

  constructor(parts: PresenceParts) {
    const { tools, device, table, store, keys, name, changed } = parts;
    this.#parts = parts;
    this.#announcer = table === undefined ? undefined : new Announcer(tools, table);
    this.#link = new Link(device, changed);
    this.#behind = new Behind(store, keys, name);
  }

  /** As it was left last. */
  get announced(): readonly Announcement[] {
    return this.#announcer?.last ?? [];
  }

  /** It waits for nothing before it takes packets. */
  get isFresh(): boolean {
    return !this.#freshness.isNew && !this.#freshness.isStale;
  }

  isDrained(head: Head | undefined): boolean {
    const isTold = head?.drained.has(this.#parts.name) ?? false;
    return this.#behind.is || this.#freshness.isStale || isTold;
  }

  /**
   * It is cut off if its device has no link, or if it hears neither the store nor any
   * destination: then it is not the store alone that is away.
   */
  lookWhetherCut(services: readonly Service[]): void {
    const { head, documents } = this.#parts;
    const asked = services.flatMap(({ health }) =>
      health.destinations.filter(({ key }) => key !== undefined),
    );
    const sawNone = this.#seesNone;
    this.#seesNone =
      asked.length > 0 &&
      asked.every(({ condition }) => ['down', 'suspect'].includes(voteOf(condition)));
    const wasCut = this.#isCut;
    this.#isCut = this.#link.isDown || (this.#seesNone && !head.isKnown);
    // What it knew is old. If the store is away, that is found now, and not in a while.
    const isBack = wasCut && !this.#isCut;
    if (isBack) documents.doubt();
    if (isBack || (this.#seesNone && !sawNone)) head.again();
  }

  /** Looks whether the others have what this one cannot apply. */
  async seeBehind(head: Head | undefined, isFilled: boolean): Promise<void> {
    const { documents, head: following } = this.#parts;
    const isUpTo = head !== undefined && documents.isUpTo(head) && isFilled;
    const isLinked = following.isKnown;
    const seen = { now: performance.now(), head, isUpTo, isLinked };
    if (await this.#behind.see(seen))
      this.#tell('this node is behind the others, and leaves packets to them');
  }

  /** What is on disk may be old, and so may be what it had before a cut. */
  seeFresh(head: Head | undefined, isFilled: boolean): void {
    const { documents, head: following } = this.#parts;
    const isCurrent =
      head !== undefined && following.isKnown && documents.isUpTo(head) && isFilled;
    const seen = { now: performance.now(), isCut: this.#isCut, isCurrent };
    if (this.#freshness.see(seen) && this.#freshness.isStale)
      this.#tell('this node was cut off, and leaves packets to the others meanwhile');
  }

  /** `applied` is what the tables were filled from. */
  async announce(
    head: Head | undefined,
    services: readonly Service[],
    applied: ReadonlyMap<string, KeptDocument>,
  ): Promise<void> {
    if (!this.#announcer) return;
    const all = services.map(({ resolved: service }) => {
      const kept = applied.get(service.name);
      const isDown = kept?.document.isDown ?? false;
      return { service, isApplied: kept !== undefined, isDown };
    });
    const wanted = announcements(all, this.isDrained(head));
    if (wanted.length > 0 && this.#freshness.isNew) return;
    const before = this.#announcer.last;
    if (!(await this.#announcer.say(wanted))) return;
    const { journal, changed } = this.#parts;
    journal.add({ kind: 'followed', what: announcedInWords(before, wanted) });
    changed();
  }

  /** Takes back what it has announced. */
  async end(): Promise<void> {
    this.#link.close();
    await this.#announcer?.say([]);
  }

  #tell(what: string): void {
    this.#parts.journal.add({ kind: 'trouble', what });
  }
}

function announcedInWords(
  before: readonly Announcement[],
  now: readonly Announcement[],
): string {
  if (now.length === 0)
    return before.length === 0 ? 'announces nothing' : 'withdraws all';
  const words = now.map(({ address, isDrained }) =>
    isDrained ? `${address} (drained)` : address,
  );
  return `announces ${words.join(', ')}`;
}
