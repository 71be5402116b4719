// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Where a fleet keeps what its balancers agree on: keys with values, and revisions. etcd.ts
 * and file.ts are the two stores; open.ts opens one by its name.
 *
 * A key is a path such as /l4lb/FLEET/head. A place is what a read or a watch is about: one
 * key, or all keys below a path if it ends in a slash. So /a/b/ does not have /a/bc in it.
 *
 * Whoever can write to the store may be broken or hostile. So a store checks keys and sizes,
 * but not what is in a value: that is for its reader.
 */
import { Failure } from '../../text/failure.js';

/** A key with its value. Revisions are the store's, and only grow. */
export interface Entry {
  key: string;
  /** Text. Empty if the store has something that is no value of ours: see `fault`. */
  value: string;
  /** The revision that changed it last. */
  revision: number;
  /** The revision that made it: a key that was removed and put again has another. */
  created: number;
  /** It goes when nobody keeps its lease. Any other stays until somebody removes it. */
  isLeased: boolean;
  /** Why the value was not taken: it is too large, or no text. */
  fault?: string | undefined;
}

export type Event =
  { kind: 'put'; entry: Entry } | { kind: 'delete'; key: string; revision: number };

/**
 * What must be true for a write: the revision of the key's last change, or of its creation.
 * 0 means that there is no such key.
 */
export type Compare =
  { key: string; revision: number } | { key: string; created: number };

export type Put =
  | { key: string; value: string; lease?: Lease | undefined }
  | { key: string; remove: true };

/** Entries that were put with a lease go when nobody keeps it. */
export interface Lease {
  id: string;
  /** How long it lasts after each keep, as the store has granted it. etcd grants 2 or more. */
  seconds: number;
}

export interface Snapshot {
  /** A watch after this revision misses nothing. */
  revision: number;
  /** By key. */
  entries: Entry[];
}

export interface Batch {
  /** A watch after this revision misses nothing. */
  revision: number;
  /** In the order of their revisions; one revision is never in two batches. */
  events: Event[];
}

/**
 * Everything throws a Failure when it does not succeed, and has a time limit. A signal ends
 * it sooner, by throwing its reason; nobody knows then whether a write was made.
 */
export interface Store {
  /** As the user has named it, without anything secret, for messages. */
  readonly name: string;
  /** What the user should know about it, such as that nothing protects it. */
  readonly warnings: readonly string[];

  /** The newest state of a place: no write that has ended is missing. */
  read(place: string, signal?: AbortSignal): Promise<Snapshot>;

  /**
   * All or nothing. Returns the revision that it made, or undefined if a comparison failed.
   * Throws MaybeWritten if nobody knows, and LeaseGone if one of the leases is gone.
   */
  write(
    compare: readonly Compare[],
    puts: readonly Put[],
    signal?: AbortSignal,
  ): Promise<number | undefined>;

  /**
   * What changed after a revision. The first batch comes as soon as the store watches, and
   * often has no events. Others without events follow each few seconds in which nothing
   * changed: the store was heard, and nothing is known to be missing. It ends when the signal
   * says so. It throws a Failure when the store ends it or is not heard any more, and TooOld
   * when the store does not know what came after the revision: then read anew.
   */
  watch(place: string, after: number, signal: AbortSignal): AsyncGenerator<Batch, void>;

  /** Begins a lease. */
  lease(seconds: number, signal?: AbortSignal): Promise<Lease>;
  /** Makes it last anew; false: it is gone. Takes no longer than the lease lasts. */
  keep(lease: Lease, signal?: AbortSignal): Promise<boolean>;
  /** Ends it, and removes its entries. It may be gone already. */
  drop(lease: Lease, signal?: AbortSignal): Promise<void>;

  /** Ends all connections, watches and what is still asked. Leases last on until their time. */
  close(): void;
}

/** The write may have been made, or not: read anew to know. */
export class MaybeWritten extends Failure {}

/** A write names a lease that is gone. It wrote nothing. */
export class LeaseGone extends Failure {}

/** What is in the store after the revision is not kept any more: read anew. */
export class TooOld extends Failure {}

/** Bytes of a value. etcd takes requests of up to 1.5 MiB. */
export const MOST_VALUE = 1 << 20;
/** Bytes of all values in a write. */
export const MOST_WRITE = 1_400_000;
/** Keys in a write, as etcd has it. */
export const MOST_KEYS = 128;
/** Bytes of an answer. */
export const MOST_ANSWER = 64 << 20;
/** Bytes of a key. */
export const MOST_KEY = 512;
