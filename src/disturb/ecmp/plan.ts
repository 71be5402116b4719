// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Changes of the balancers behind a router: which of them each affects, and who is left. */
import { Fault } from '../../text/fault.js';
import { largest } from '../../text/lists.js';

export const ACTS = ['kill', 'cut', 'drain', 'restore', 'stop', 'start', 'add'] as const;

export type Act = (typeof ACTS)[number];

export interface BalancerChange {
  kind: 'balancer';
  act: Act;
}

/** Parses the words of a change such as "kill balancer". */
export function parseBalancerChange(
  word: string,
  rest: readonly string[],
): BalancerChange | undefined {
  const act = ACTS.find((one) => one === word);
  if (act === undefined || rest.length !== 1 || rest[0] !== 'balancer') return undefined;
  return { kind: 'balancer', act };
}

/** Announced; announced as drained; not announced; gone for good. */
type State = 'serving' | 'drained' | 'stopped' | 'gone';

/** The state that a balancer must have, and the one that it gets. */
const MOVES = new Map<Act, { from: readonly State[]; to: State }>([
  ['kill', { from: ['serving', 'drained'], to: 'gone' }],
  ['cut', { from: ['serving', 'drained'], to: 'gone' }],
  ['drain', { from: ['serving'], to: 'drained' }],
  ['restore', { from: ['drained'], to: 'serving' }],
  ['stop', { from: ['serving', 'drained'], to: 'stopped' }],
  ['start', { from: ['stopped'], to: 'serving' }],
  ['add', { from: [], to: 'serving' }],
]);

/** As testbed/fabric.sh. */
export const MOST_BALANCERS = 16;

/**
 * The balancers from change to change. A change affects the lowest number that it can; who
 * is killed or cut off is one that gets packets.
 */
export class BalancerPlan {
  readonly #states: State[];

  constructor(balancers: number) {
    this.#states = Array.from({ length: balancers }, () => 'serving');
  }

  /** The numbers of those that the router sends to. */
  get takers(): number[] {
    const serving = this.#with('serving');
    return serving.length > 0 ? serving : this.#with('drained');
  }

  /** Returns the number of the balancer that changes; throws a Fault if none can. */
  next({ act }: BalancerChange): number {
    const text = `"${act} balancer"`;
    if (this.#states.length === 0) throw new Fault(`${text} needs --ecmp`);
    const { from, to } = MOVES.get(act) ?? { from: [], to: 'gone' };
    const number = this.#choose(act, from);
    if (number === 0) throw new Fault(`${text}: at that point there is no such balancer`);
    if (number > MOST_BALANCERS) {
      throw new Fault(`${text} makes ${number} balancers; at most ${MOST_BALANCERS}`);
    }
    this.#states[number - 1] = to;
    if (this.takers.length === 0) throw new Fault(`${text} would leave no balancer`);
    return number;
  }

  /** Returns 0 if there is none. */
  #choose(act: Act, from: readonly State[]): number {
    if (act === 'add') return this.#states.length + 1;
    if (act === 'kill' || act === 'cut') return this.takers[0] ?? 0;
    return 1 + this.#states.findIndex((state) => from.includes(state));
  }

  #with(state: State): number[] {
    return this.#states.flatMap((one, index) => (one === state ? [index + 1] : []));
  }
}

/** The number of all balancers of a run, including those that are added later. */
export function allBalancers({
  balancers,
  steps,
}: {
  balancers: number;
  steps: readonly { balancer?: number | undefined }[];
}): number {
  return largest([balancers, ...steps.map(({ balancer = 0 }) => balancer)]);
}
