// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A store in etcd. A revision is etcd's own, of all that is in it. */
import { Failure } from '../../text/failure.js';
import { largest } from '../../text/lists.js';
import type { Access } from './options.js';
import { checkPlace, checkSeconds, checkWrite } from './check.js';
import {
  change,
  comparison,
  entryIn,
  rangeOf,
  revisionIn,
  revisionOf,
  watchOf,
  watchedIn,
} from './etcd-messages.js';
import { Gateway } from './gateway.js';
import { Strange, fields, flag, integer, list, text } from './json.js';
import { SILENT, linesOf, within } from './lines.js';
import type { Following, Patience } from './request.js';
import { unanswered } from './request.js';
import type { Batch, Compare, Lease, Put, Snapshot, Store } from './store.js';
import { LeaseGone, MOST_ANSWER, MaybeWritten, TooOld } from './store.js';
import { NOT_FOUND, Refused, Unanswered } from './trouble.js';

export class EtcdStore implements Store {
  readonly name: string;
  readonly warnings: readonly string[];
  readonly #gateway: Gateway;
  readonly #patience: Patience;

  constructor(
    endpoints: readonly URL[],
    access: Access,
    patience: Patience,
    warnings: readonly string[] = [],
  ) {
    this.name = `etcd:${endpoints.map(({ origin }) => origin).join(',')}`;
    this.warnings = warnings;
    this.#patience = patience;
    this.#gateway = new Gateway(endpoints, access, patience);
  }

  async read(place: string, signal?: AbortSignal): Promise<Snapshot> {
    checkPlace(place);
    const answer = await this.#gateway.ask('/v3/kv/range', rangeOf(place), { signal });
    const entries = list(answer.kvs).flatMap((kv) => entryIn(kv, place) ?? []);
    return { revision: revisionOf(answer), entries };
  }

  async write(
    compare: readonly Compare[],
    puts: readonly Put[],
    signal?: AbortSignal,
  ): Promise<number | undefined> {
    checkWrite(compare, puts);
    const body = { compare: compare.map(comparison), success: puts.map(change) };
    try {
      const answer = await this.#gateway.ask('/v3/kv/txn', body, {
        signal,
        isWrite: true,
      });
      return flag(answer.succeeded) ? revisionOf(answer) : undefined;
    } catch (error) {
      if (error instanceof Refused && isNoLease(error)) {
        throw new LeaseGone('a lease of this write is gone', {
          cause: 'nobody kept it in time, or etcd was away for longer than it lasts',
        });
      }
      if (error instanceof Strange) throw new MaybeWritten(error.message);
      throw error;
    }
  }

  async *watch(
    place: string,
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<Batch, void> {
    checkPlace(place);
    let following: Following | undefined;
    try {
      following = await this.#gateway.follow('/v3/watch', watchOf(place, after), signal);
      yield* this.#batches(place, after, following, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (following && !(error instanceof TooOld))
        this.#gateway.avoid(following.endpoint);
      if (!(error instanceof Unanswered)) throw error;
      throw new Failure(`etcd ended a watch: ${error.message}`);
    } finally {
      following?.end();
    }
  }

  async *#batches(
    place: string,
    after: number,
    following: Following,
    signal: AbortSignal,
  ): AsyncGenerator<Batch, void> {
    const { answer, silence } = this.#patience;
    const lines = linesOf(following.answer, MOST_ANSWER);
    let revision = after;
    let isWatching = false;
    /** The watch has not yet brought what is known to have changed. */
    let expected = after;
    const look = async (): Promise<void> => {
      expected = await this.#newest(place, revision, following.endpoint, signal);
    };
    for (let next = nextOf(lines); ;) {
      const isWaiting = isWatching && expected <= revision;
      const line = await within(next, isWaiting ? silence : answer);
      if (line === SILENT) {
        if (!isWaiting) throw new Failure("etcd's watch does not bring what it should");
        await look();
        if (expected <= revision) yield { revision, events: [] };
        continue;
      }
      if (line.done) throw new Failure('etcd ended a watch');
      next = nextOf(lines);
      const { isBegun, head, events } = watchedIn(line.value, place);
      revision = largest([revision, ...events.map(revisionIn)]);
      // A member that is behind says so, too; a question to all of them decides.
      if (isBegun && head < after) await look();
      isWatching ||= isBegun;
      if (isBegun || events.length > 0) yield { revision, events };
    }
  }

  /**
   * Asks the endpoint of a silent watch for the last change in its place that it knows of.
   * etcd answers only if most of its members hear each other.
   */
  async #newest(
    place: string,
    known: number,
    endpoint: URL,
    signal: AbortSignal,
  ): Promise<number> {
    const newest = {
      sort_order: 'DESCEND',
      sort_target: 'MOD',
      limit: '1',
      keys_only: true,
    };
    const body = { ...rangeOf(place), ...newest };
    const answer = await this.#gateway.askAt(endpoint, '/v3/kv/range', body, signal);
    const head = revisionOf(answer);
    if (head < known) {
      throw new TooOld(`etcd is at revision ${head} and was at ${known}`, {
        cause: 'it was made anew, or restored from a copy',
      });
    }
    return integer(list(answer.kvs)[0]?.mod_revision);
  }

  async lease(seconds: number, signal?: AbortSignal): Promise<Lease> {
    checkSeconds(seconds);
    const answer = await this.#gateway.ask(
      '/v3/lease/grant',
      { TTL: String(seconds) },
      { signal },
    );
    // Its numbers have 63 bits, which only text holds.
    const id = text(answer.ID);
    const granted = integer(answer.TTL);
    if (!/^-?\d{1,19}$/.test(id) || granted < 1) throw new Strange('no lease');
    return { id, seconds: granted };
  }

  async keep({ id, seconds }: Lease, signal?: AbortSignal): Promise<boolean> {
    const asked = { signal, within: seconds * 1000 };
    const answer = await this.#gateway.ask('/v3/lease/keepalive', { ID: id }, asked);
    return integer(fields(answer.result).TTL) > 0;
  }

  async drop({ id }: Lease, signal?: AbortSignal): Promise<void> {
    try {
      await this.#gateway.ask('/v3/lease/revoke', { ID: id }, { signal });
    } catch (error) {
      if (!(error instanceof Refused) || !isNoLease(error)) throw error;
    }
  }

  close(): void {
    this.#gateway.close();
  }
}

function isNoLease({ code, said }: Refused): boolean {
  return code === NOT_FOUND && said.includes('lease not found');
}

/** Its error is thrown by whoever waits for it, if anybody does. */
function nextOf(
  lines: AsyncIterator<string, void>,
): Promise<IteratorResult<string, void>> {
  const next = lines.next().catch((error: unknown) => {
    throw error instanceof Failure ? error : unanswered(error as Error, false);
  });
  void next.then(undefined, () => {});
  return next;
}
