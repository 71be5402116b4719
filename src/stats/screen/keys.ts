// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Changes the dashboard's state for each key and each sample. */
import type { Sample } from '../sample.js';
import { firstOnView, scrollable } from './draw.js';
import type { History, ScreenState } from './state.js';
import { HISTORY, SORTS } from './state.js';

/** Adds a sample to the state. */
export function collect(state: ScreenState, sample: Sample): ScreenState {
  const history: History = new Map(
    sample.destinations.map(({ id, address, pps }) => {
      const before = state.latest?.history.get(id);
      const known = before?.address === address ? before.pps.slice(1 - HISTORY) : [];
      return [id, { address, pps: [...known, pps] }];
    }),
  );
  const latest = { sample, history };
  return { ...state, latest, shown: state.paused ? (state.shown ?? latest) : latest };
}

/** How many lines a key scrolls by, given the number of visible lines. */
type Steps = (page: number) => number;

const SCROLLS = new Map<string, Steps>([
  ['up', () => -1],
  ['k', () => -1],
  ['down', () => 1],
  ['j', () => 1],
  ['pageup', (page) => -page],
  ['pagedown', (page) => page],
  ['home', () => -Infinity],
  ['g', () => -Infinity],
  ['end', () => Infinity],
  ['G', () => Infinity],
]);

function scroll(state: ScreenState, top: number, steps: Steps): number {
  const list = scrollable(state);
  return firstOnView(firstOnView(top, list) + steps(list.page), list);
}

/** Handles a key: a printable character, or blessed's name (enter, pageup, C-c). */
export function reduce(state: ScreenState, key: string): ScreenState {
  if (key === 'C-c') return { ...state, quit: true };
  if (state.typing) return type(state, key);
  if (key === 'q') return { ...state, quit: true };

  const steps = SCROLLS.get(key);
  if (state.help) {
    if (['?', 'escape', 'enter'].includes(key)) return { ...state, help: false };
    return steps ? { ...state, helpTop: scroll(state, state.helpTop, steps) } : state;
  }
  if (steps) return { ...state, top: scroll(state, state.top, steps) };
  switch (key) {
    case 's': {
      const sort = SORTS[(SORTS.indexOf(state.sort) + 1) % SORTS.length] ?? 'address';
      return { ...state, sort, top: 0 };
    }
    case 'r':
      return { ...state, reversed: !state.reversed, top: 0 };
    case 'p':
    case ' ':
      return { ...state, paused: !state.paused, shown: state.latest };
    case '/':
      return { ...state, typing: true };
    case 'escape':
      return { ...state, filter: '', top: 0 };
    case '?':
      return { ...state, help: true, helpTop: 0 };
    default:
      return state;
  }
}

function type(state: ScreenState, key: string): ScreenState {
  const { filter } = state;
  if (key === 'enter') return { ...state, typing: false };
  if (key === 'escape') return { ...state, typing: false, filter: '', top: 0 };
  if (key === 'C-u') return { ...state, filter: '', top: 0 };
  if (key === 'backspace') return { ...state, filter: filter.slice(0, -1), top: 0 };
  // No address is longer than 45 characters.
  if (!/^[!-~]$/.test(key) || filter.length >= 45) return state;
  return { ...state, filter: filter + key, top: 0 };
}
