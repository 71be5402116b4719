// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The condition of a destination, as its checks show it.
 *
 *             fails            fall in a row           dead_after
 *     up ───────────▶ suspect ───────────────▶ down ───────────────▶ dead
 *      ▲ ◀─────────── passes                    │  rise in a row      │
 *      └───────────────────── starting ◀────────┴─────────────────────┘
 *            slow_start
 *
 * Nothing is known at first. Then a destination keeps what it has in the tables until its
 * own checks have spoken, because a daemon that has just been started knows less than the
 * one before it.
 *
 * Passes and fails are counted in a row. A destination that goes down again within ten
 * minutes has to pass twice as often as the last time, so that one that comes and goes
 * does not move slots each time.
 */
export const STATES = ['unknown', 'up', 'suspect', 'down', 'dead', 'starting'] as const;
export type StateName = (typeof STATES)[number];

/** Times in milliseconds of a clock that never goes back. */
export interface Condition {
  state: StateName;
  since: number;
  /** Checks in a row that ended so, and not otherwise. */
  passes: number;
  fails: number;
  /** When it went down, the latest last, as far as that still counts. */
  downs: readonly number[];
  /** Why its last check failed; empty if none has. */
  reason: string;
}

/** How many checks decide, and for how long what they decided lasts; in milliseconds. */
export interface Patience {
  rise: number;
  fall: number;
  /** A destination that is down for this long is dead. */
  deadAfter: number;
  /** The time in which a destination that is up again gets its whole share back; 0: at once. */
  slowStart: number;
  /** False: to go down again costs nothing, since those who checked have counted that. */
  isDamped?: boolean;
}

/** How a check ended. */
export interface Outcome {
  at: number;
  passed: boolean;
  /** Why not, in words; also what a check that passed has to say, such as a status. */
  reason: string;
}

/** How long a time when a destination went down counts. */
export const DAMPING_MS = 10 * 60_000;
/** Doubling ends here: 32 times the usual number of passes. */
const MOST_DOUBLINGS = 5;

/**
 * Of a destination that nobody has checked yet. One that gets packets keeps them until its
 * checks say otherwise, and one that gets none has to pass them first, as if it were down.
 */
export function firstCondition(now: number, getsPackets: boolean): Condition {
  const counts = { since: now, passes: 0, fails: 0, downs: [] };
  return getsPackets
    ? { ...counts, state: 'unknown', reason: '' }
    : { ...counts, state: 'down', reason: 'not checked yet' };
}

/** How many checks in a row have to pass until a destination is up again. */
export function riseOf(
  { downs }: Pick<Condition, 'downs'>,
  { rise, isDamped = true }: Patience,
): number {
  if (!isDamped) return rise;
  const again = Math.max(0, downs.length - 1);
  return rise * 2 ** Math.min(again, MOST_DOUBLINGS);
}

/**
 * Whether the next check comes sooner, because one more may decide. There is no hurry with
 * a destination that has come back before and gone down again.
 */
export function isInDoubt({ state, passes, fails, downs }: Condition): boolean {
  if (state === 'suspect' || state === 'unknown') return true;
  if (state === 'down' || state === 'dead') return passes > 0 && downs.length < 2;
  return fails > 0;
}

/** Whether its checks want it to get packets. */
export function serves({ state }: Pick<Condition, 'state'>): boolean {
  return state !== 'down' && state !== 'dead';
}

/** What an outcome makes of a condition. */
export function judge(
  before: Condition,
  outcome: Outcome,
  patience: Patience,
): Condition {
  const { at, passed, reason } = outcome;
  const now = pass(before, at, patience);
  const counted = {
    ...now,
    passes: passed ? now.passes + 1 : 0,
    fails: passed ? 0 : now.fails + 1,
    reason: passed ? now.reason : reason,
  };
  return passed ? better(counted, at, patience) : worse(counted, at, patience);
}

/** What time alone makes of a condition: *dead*, *up*, and downs that no longer count. */
export function pass(before: Condition, now: number, patience: Patience): Condition {
  const downs = before.downs.filter((at) => now - at < DAMPING_MS);
  const kept = downs.length === before.downs.length ? before : { ...before, downs };
  const { state, since } = kept;
  if (state === 'down' && now - since >= patience.deadAfter) {
    return { ...kept, state: 'dead', since: since + patience.deadAfter };
  }
  if (state === 'starting' && now - since >= patience.slowStart) {
    return { ...kept, state: 'up', since: since + patience.slowStart };
  }
  return kept;
}

/** When time alone changes a condition; undefined: never. */
export function changesAt(
  { state, since }: Condition,
  { deadAfter, slowStart }: Patience,
): number | undefined {
  if (state === 'down') return since + deadAfter;
  if (state === 'starting') return since + slowStart;
  return undefined;
}

function better(now: Condition, at: number, patience: Patience): Condition {
  switch (now.state) {
    case 'suspect':
      return { ...now, state: 'up', since: at, reason: '' };
    case 'unknown':
      // There is no ramp for what has its packets already.
      return now.passes < patience.rise
        ? now
        : { ...now, state: 'up', since: at, reason: '' };
    case 'down':
    case 'dead': {
      if (now.passes < riseOf(now, patience)) return now;
      const state = patience.slowStart > 0 ? 'starting' : 'up';
      return { ...now, state, since: at, reason: '' };
    }
    case 'up':
    case 'starting':
      return now;
  }
}

function worse(now: Condition, at: number, patience: Patience): Condition {
  if (now.state === 'down' || now.state === 'dead') return now;
  if (now.fails >= patience.fall) {
    return { ...now, state: 'down', since: at, downs: [...now.downs, at] };
  }
  return now.state === 'up' ? { ...now, state: 'suspect', since: at } : now;
}

/** The share of its weight that a destination has on the ramp, in STEPS steps. */
export const STEPS = 10;

export function rampOf(
  { state, since }: Pick<Condition, 'state' | 'since'>,
  now: number,
  { slowStart }: Pick<Patience, 'slowStart'>,
): number {
  if (state !== 'starting' || slowStart === 0) return 1;
  const step = Math.floor(((now - since) / slowStart) * STEPS) + 1;
  return Math.min(STEPS, Math.max(1, step)) / STEPS;
}
