// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A service as the leader keeps it: what most checkers say, what that gives its
 * destinations, and the document that tells all nodes. What a leader knows is in the store,
 * so another one goes on where it ended.
 */
import type { Weight } from '../api/events.js';
import { nameOfRow } from '../config/destinations-csv.js';
import type { WantedService } from '../config/read.js';
import type { Journal } from '../daemon/journal.js';
import type { Service } from '../daemon/kept-service.js';
import { decide, keptService, weightsOf } from '../daemon/kept-service.js';
import type { Condition } from '../health/condition.js';
import { firstCondition, serves } from '../health/condition.js';
import type { Destination } from '../health/service.js';
import { ServiceHealth } from '../health/service.js';
import { spend, waitFor } from '../health/moves.js';
import type { Given } from '../health/weights.js';
import type { FoldOptions } from '../plan/history.js';
import { at, must } from '../text/must.js';
import type { Names } from '../wire/names.js';
import type { Document, Hand, NamedSet } from './agreement/document.js';
import { MOST_SETS } from './agreement/document.js';
import { destinationSet, foldOptions, movesBetween } from './agreement/sets.js';
import { shorten } from './agreement/shorten.js';
import { majority } from './agreement/votes.js';
import type { Seen, Verdict } from './agreement/votes.js';

/** What the store says of it. */
export interface LedInput {
  /** As it stands under `wanted`. */
  text: string;
  service: WantedService;
  names: Names;
  hands: ReadonlyMap<string, Hand>;
  document: Document | undefined;
  /** Whether the store has this document. */
  isPublished: boolean;
}

export interface NextDocument {
  document: Document;
  cause: 'file' | 'hand' | 'health';
  weights: Weight[];
  moved: number;
  ideal: number;
  /** Slots that forget a destination which is still there. */
  forgets: number;
}

const NO_CHECK = {
  ...{ interval: 0, fast: 0, onPanic: 'off' as const },
  ...{ deadAfter: Infinity, slowStart: 0 },
};
/** Milliseconds at least for which checkers may differ before anything follows. */
const LEAST_HOLD = 300;

export class LedService {
  readonly #input: LedInput;
  /** With its health; another leader of this process takes it over. */
  readonly kept: Service<WantedService>;
  readonly #hold: number;
  /** Since when the checkers say something else than what holds. */
  #differsSince: number | undefined;

  constructor(input: LedInput, before: LedService | undefined, now: number) {
    this.#input = input;
    const { service } = input;
    const health = healthOf(input, before?.kept.health, now);
    this.kept = keptService(health, service, before?.kept);
    // They do not ask at the same moment, so one tells of it a little before the next.
    this.#hold = Math.max(LEAST_HOLD, service.check?.fast ?? 0);
  }

  get name(): string {
    return this.#input.service.name;
  }

  get document(): Document | undefined {
    return this.#input.document;
  }

  /** Takes what the checkers say. */
  take(seen: ReadonlyMap<string, Seen>, live: number, now: number): void {
    const { health } = this.kept;
    const asked = health.destinations.filter(({ key }) => key !== undefined);
    const names = asked.map(({ name }) => name);
    const said = majority(health.name, names, seen, live).flatMap((verdict, index) =>
      verdict === undefined ? [] : [{ name: at(names, index), verdict }],
    );
    const differs = said.some(({ name, verdict }) => isOther(health, name, verdict));
    this.#differsSince = differs ? (this.#differsSince ?? now) : undefined;
    const isDue = now >= (this.#differsSince ?? Infinity) + this.#hold;
    for (const { name, verdict } of said) {
      if (isOther(health, name, verdict) && !isDue) continue;
      for (const passed of OUTCOMES[verdict](health, name)) {
        health.judge(name, { at: now, passed, reason: 'most checkers say so' });
      }
    }
    if (isDue) this.#differsSince = undefined;
    health.pass(now);
  }

  /** In how many milliseconds something follows from time alone. */
  wait(now: number): number {
    const { health, isPostponed, moves, most } = this.kept;
    const change = (health.nextChange(now) ?? Infinity) - now;
    const held = (this.#differsSince ?? Infinity) + this.#hold - now;
    return Math.min(change, held, isPostponed ? waitFor(moves, most) : Infinity);
  }

  /** The document that has to follow; undefined: the one that is there is right. */
  next(now: number, journal: Journal): NextDocument | undefined {
    const { document, hands, text, isPublished } = this.#input;
    const given = decide(this.kept, now, journal);
    const { isPanic, onBackup, healthy, whole } = this.kept.shares;
    const isDown = healthy === 0 && whole > 0 && !onBackup;
    const names = this.kept.health.destinations.map(({ name }) => name);
    const newest: NamedSet = new Map(given.map((one, index) => [at(names, index), one]));
    const before = document?.sets ?? [];
    const isMoved = !isSameSet(before.at(-1), newest);
    const isByFile = document?.wanted !== text;
    const isByHand =
      JSON.stringify([...(document?.hands ?? [])]) !== JSON.stringify([...hands]);
    const isOther =
      document?.isPanic !== isPanic ||
      document.onBackup !== onBackup ||
      document.isDown !== isDown;
    if (isPublished && !isMoved && !isByFile && !isByHand && !isOther) return undefined;
    const sets = isMoved ? [...before, newest] : before;
    const fold = this.#fold();
    const { kept, forgets } = shorten(sets.map(destinationSet), MOST_SETS, fold);
    const [moved, ideal] = movesBetween(before.at(-1), newest, fold);
    return {
      document: {
        ...{ wanted: text, hands, isPanic, onBackup, isDown },
        sets: kept.map((index) => at(sets, index)),
      },
      cause: isByFile ? 'file' : isByHand ? 'hand' : 'health',
      ...{ weights: weightsOf(this.kept, given), moved, ideal, forgets },
    };
  }

  /** Takes what has been published. */
  published({ document, cause, moved }: NextDocument): void {
    const { kept } = this;
    this.#input.document = document;
    this.#input.isPublished = true;
    const newest = document.sets.at(-1) ?? new Map<string, Given>();
    kept.live = kept.health.destinations.map(
      ({ name }): Given => newest.get(name) ?? { weight: 0, isForgotten: false },
    );
    kept.health.setLive(kept.live);
    // What the file or a hand changed is not health's.
    if (cause === 'health') kept.moves = spend(kept.moves, moved);
  }

  #fold(): FoldOptions {
    return foldOptions(this.#input.service, this.#input.names);
  }
}

/** Whether a destination would come or go by this. */
function isOther(health: ServiceHealth, name: string, verdict: Verdict): boolean {
  const { condition } = must(health.find(name), name);
  return serves(condition) !== (verdict !== 'down');
}

/** What checks would have had to say: two that fail are the end, and one is a doubt. */
const OUTCOMES: Record<Verdict, (health: ServiceHealth, name: string) => boolean[]> = {
  up: (health, name) => (health.find(name)?.condition.state === 'up' ? [] : [true]),
  suspect: (health, name) => {
    const { state } = must(health.find(name), name).condition;
    if (state === 'suspect' || state === 'starting') return [];
    return state === 'up' ? [false] : [true, false];
  },
  down: (health, name) => {
    const { condition } = must(health.find(name), name);
    return serves(condition) ? [false, false] : [];
  },
};

/** Conditions go on from leader to leader as far as the document tells them. */
function healthOf(
  { service, hands, document }: LedInput,
  before: ServiceHealth | undefined,
  now: number,
): ServiceHealth {
  const { name, rows, check } = service;
  const newest = document?.sets.at(-1);
  const live = rows.map(
    (row): Given =>
      newest?.get(nameOfRow(row)) ?? {
        weight: newest ? 0 : row.weight,
        isForgotten: false,
      },
  );
  const destinations = rows.map((row, index): Destination => {
    const own = nameOfRow(row);
    const there = before?.find(own);
    const hand = hands.get(own);
    const isKnown = there?.key !== undefined && check !== undefined;
    return {
      ...{ name: own, key: check && own, weight: row.weight },
      isBackup: row.isBackup ?? false,
      ...{ byHand: hand?.byHand, weightByHand: hand?.weightByHand },
      condition: isKnown
        ? there.condition
        : conditionOf(at(live, index), !check || !newest || row.weight === 0, now),
    };
  });
  const { interval, fast, onPanic, deadAfter, slowStart } = check ?? NO_CHECK;
  const settings = {
    patience: { deadAfter, slowStart, rise: 1, fall: 2, isDamped: false },
    ...{ onPanic, interval, fast },
  };
  return new ServiceHealth(name, settings, destinations, live);
}

function conditionOf(live: Given, isWell: boolean, now: number): Condition {
  const first = firstCondition(now, isWell || live.weight > 0);
  return live.isForgotten && first.state === 'down' ? { ...first, state: 'dead' } : first;
}

function isSameSet(one: NamedSet | undefined, other: NamedSet): boolean {
  return (
    one?.size === other.size &&
    [...other].every(([name, { weight, isForgotten }]) => {
      const own = one.get(name);
      return own?.weight === weight && own.isForgotten === isForgotten;
    })
  );
}
