// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What the dashboard shows, without a terminal: a state, what each key and each sample
 * does to it, and the lines it is drawn as.
 */
import { VERDICTS } from './abi.js';
import { compareAddresses } from './address.js';
import {
  formatCount,
  formatDuration,
  formatShare,
  formatTitle,
  sparkline,
} from './format.js';
import type { DestinationRates, Rates, Sample } from './sample.js';

export type Style =
  'plain' | 'title' | 'heads' | 'strong' | 'alarm' | 'notice' | 'history';
export interface Span {
  text: string;
  style: Style;
}
export type Line = Span[];

export const SORTS = ['address', 'packets/s', 'bits/s'] as const;

/** How many samples the history of a destination goes back. */
export const HISTORY = 30;

/** The address tells when an id has a new owner, whose history starts anew. */
type History = ReadonlyMap<number, { address: string; pps: readonly number[] }>;

interface View {
  sample: Sample;
  history: History;
}

/** Never changed in place, so that a pause need only keep hold of its view. */
export interface ScreenState {
  interface: string;
  /** Seconds. */
  interval: number;
  width: number;
  height: number;
  /** What came last, and what is shown: the same unless paused. */
  latest: View | undefined;
  shown: View | undefined;
  /** Why nothing new comes. */
  notice: string | undefined;
  sort: (typeof SORTS)[number];
  reversed: boolean;
  paused: boolean;
  filter: string;
  /** Keys go into the filter. */
  typing: boolean;
  help: boolean;
  /** How many rows, and lines of the help, are scrolled out above. */
  top: number;
  helpTop: number;
  quit: boolean;
}

export function initialState(options: {
  interface: string;
  interval: number;
}): ScreenState {
  return {
    interface: options.interface,
    interval: options.interval,
    width: 80,
    height: 24,
    latest: undefined,
    shown: undefined,
    notice: undefined,
    sort: 'address',
    reversed: false,
    paused: false,
    filter: '',
    typing: false,
    help: false,
    top: 0,
    helpTop: 0,
    quit: false,
  };
}

/** The state with one more sample. */
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

const SCROLLS: Record<string, (page: number) => number> = {
  up: () => -1,
  k: () => -1,
  down: () => 1,
  j: () => 1,
  pageup: (page) => -page,
  pagedown: (page) => page,
  home: () => -Infinity,
  g: () => -Infinity,
  end: () => Infinity,
  G: () => Infinity,
};

function scroll(top: number, steps: number, count: number, page: number): number {
  return Math.max(0, Math.min(top + steps, count - page));
}

/** A key is a printable character, or blessed's name for it: enter, pageup, C-c. */
export function reduce(state: ScreenState, key: string): ScreenState {
  if (key === 'C-c') return { ...state, quit: true };
  if (state.typing) return type(state, key);
  if (key === 'q') return { ...state, quit: true };

  const steps = SCROLLS[key];
  if (state.help) {
    if (['?', 'escape', 'enter'].includes(key)) return { ...state, help: false };
    if (!steps) return state;
    const page = state.height - 1;
    const count = helpLines().length;
    return { ...state, helpTop: scroll(state.helpTop, steps(page), count, page) };
  }
  if (steps) {
    const count = matching(state).length;
    const { page } = layout(state, count);
    const top = scroll(state.top, 0, count, page);
    return { ...state, top: scroll(top, steps(page), count, page) };
  }
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

/** A destination, and its place in the order of addresses. */
interface Row {
  number: number;
  destination: DestinationRates;
}

/** The destinations that the filter lets through. */
function matching(state: ScreenState): Row[] {
  const destinations = state.shown?.sample.destinations ?? [];
  return destinations
    .map((destination, index) => ({ number: index + 1, destination }))
    .filter(({ destination }) => destination.address.includes(state.filter));
}

function sorted(state: ScreenState): Row[] {
  const rows = matching(state);
  if (state.sort === 'address') {
    // Cheap, since samples come in this order.
    rows.sort((one, other) =>
      compareAddresses(one.destination.address, other.destination.address),
    );
  } else {
    const rate = state.sort === 'packets/s' ? 'pps' : 'bps';
    rows.sort((one, other) => other.destination[rate] - one.destination[rate]);
  }
  return state.reversed ? rows.reverse() : rows;
}

/** How many lines each part gets: what matters most is served first. */
function layout(state: ScreenState, count: number) {
  const least = Math.max(1, Math.min(count, 3));
  let spare = Math.max(0, state.height - 1 - least);
  const take = (wanted: number): number => {
    const taken = Math.min(wanted, spare);
    spare -= taken;
    return taken;
  };
  const verdicts = Math.min(verdictLines(state).length, Math.max(4, state.height / 3));
  return {
    notice: take(state.notice === undefined ? 0 : 1),
    footer: take(1),
    totals: take(1),
    status: take(1),
    heads: take(1),
    verdicts: take(Math.floor(verdicts)),
    page: least + spare,
  };
}

/** Cells below each other: names at the left of their column, figures at the right. */
function align(cells: string[], widths: number[]): string {
  return cells
    .map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
    .join('  ');
}

function span(text: string, style: Style = 'plain'): Span {
  return { text, style };
}

/** The verdicts with packets, alarming ones first, side by side where there is room. */
function verdictLines(state: ScreenState, room = Infinity): Line[] {
  const rates = state.shown?.sample.verdicts;
  const counted = VERDICTS.filter(({ name }) => rates && rates[name].packets !== 0n);
  if (!rates || counted.length === 0) return [];
  const cells = [
    ...counted.filter(({ action }) => action === 'DROP'),
    ...counted.filter(({ action }) => action !== 'DROP'),
  ].map(({ name, action }) => ({
    texts: [name, formatCount(rates[name].pps), formatCount(rates[name].packets)],
    style: action === 'DROP' ? ('alarm' as const) : ('plain' as const),
  }));
  const least = [17, 11, 15];
  const widths = least.map((width, column) =>
    Math.max(width, ...cells.map(({ texts }) => texts[column]?.length ?? 0)),
  );
  const width = align(['', '', ''], widths).length;
  const abreast = Math.min(
    cells.length,
    Math.max(1, Math.floor((state.width + 4) / (width + 4))),
  );
  const shown = Math.min(cells.length, abreast * (room - 1));
  const name = shown < cells.length ? `verdict (${shown} of ${cells.length})` : 'verdict';
  const heads = align([name, 'pkts/s', 'in all'], widths);
  const lines: Line[] = [
    [span(Array.from({ length: abreast }, () => heads).join('    '), 'heads')],
  ];
  for (let start = 0; start < shown; start += abreast) {
    lines.push(
      cells
        .slice(start, Math.min(start + abreast, shown))
        .flatMap(({ texts, style }) => [span(align(texts, widths), style), span('    ')]),
    );
  }
  return lines;
}

/** Heads, rows and totals; `top` is the first row on view. */
function tableLines(state: ScreenState, sample: Sample, rows: Row[], page: number) {
  const { destinations, totals } = sample;
  const widths = [
    destinations.reduce((width, { address }) => Math.max(width, address.length), 15),
    Math.max(11, formatCount(totals.pps).length),
    Math.max(15, formatCount(totals.bps).length),
    7,
  ];
  const text = (number: string, ...cells: string[]): string =>
    `${number.padStart(4)}  ${align(cells, widths)}  `;
  const heads = text('#', 'address', 'pkts/s', 'bits/s', 'share');
  const room = Math.min(HISTORY, state.width - heads.length);
  const figures = (rates: Rates): string[] => [
    formatCount(rates.pps),
    formatCount(rates.bps),
    formatShare(rates.pps, totals.pps),
  ];
  return {
    heads: [span(`${heads}${room < 7 ? '' : 'history'}`.padEnd(state.width), 'heads')],
    rows: rows.slice(state.top, state.top + page).map(({ number, destination }): Line => {
      const { id, address } = destination;
      const history = sparkline(state.shown?.history.get(id)?.pps ?? [], room);
      const line = text(String(number), address, ...figures(destination));
      return [span(line), span(history, 'history')];
    }),
    totals: [
      span(text('', '', ...figures(totals)).replace(/^ {8}/, '[Totals]'), 'strong'),
    ],
  };
}

function emptyText(state: ScreenState): string {
  const device = state.interface;
  if (!state.shown) return `Waiting for the first sample of ${device}.`;
  if (state.shown.sample.destinations.length > 0) {
    return `No address contains "${state.filter}".`;
  }
  return `The destination table is empty. To fill it: l4lb-map -i ${device} -f FILE`;
}

function statusLine(state: ScreenState, count: number, page: number): Line {
  const last = Math.min(state.top + page, count);
  const words = [
    `${count === 0 ? 0 : state.top + 1}-${last} of ${count}`,
    `by ${state.sort}${state.reversed ? ', reversed' : ''}`,
    `every ${state.interval} s`,
  ];
  if (state.filter !== '') words.push(`filter "${state.filter}"`);
  const status = span(words.join('   '));
  return state.paused ? [span(' PAUSED ', 'notice'), span('  '), status] : [status];
}

/** Keys and what they do, in turn. */
function words(texts: string[]): Line {
  return texts.map((text, index) =>
    index % 2 === 0 ? span(` ${text} `, 'strong') : span(`${text} `),
  );
}

function footerLine(state: ScreenState): Line {
  if (state.typing) {
    return [
      span(` Filter: ${state.filter}_`, 'strong'),
      span('   Enter accepts, Esc clears'),
    ];
  }
  return words([
    ...['s', 'sort', 'r', 'reverse', 'p', 'pause', '/', 'filter'],
    ...['arrows', 'scroll', '?', 'help', 'q', 'quit'],
  ]);
}

const KEYS = [
  ['s', 'sort by address, packets/s, bits/s'],
  ['r', 'reverse the order'],
  ['p, space', 'pause: the screen stands still, the history goes on'],
  ['/', 'filter by a part of the address; Enter accepts, Esc clears'],
  ['up, down, k, j', 'scroll by a row'],
  ['PgUp, PgDn', 'scroll by a page'],
  ['Home, End, g, G', 'scroll to the first row, to the last'],
  ['?', 'this help; ? or Esc leaves it'],
  ['q, Ctrl-C', 'quit'],
] as const;

function helpLines(): Line[] {
  return [
    [span('Keys', 'title')],
    ...KEYS.map(([key, meaning]) => [
      span(`  ${key.padEnd(17)}`, 'strong'),
      span(meaning),
    ]),
    [span('Columns', 'title')],
    [span(`  ${'#'.padEnd(17)}the place in the order of addresses`)],
    [span(`  ${'share'.padEnd(17)}of the packets/s of all destinations`)],
    [span(`  ${'history'.padEnd(17)}packets/s, each row by its own largest`)],
    [span('Verdicts', 'title')],
    ...VERDICTS.map(({ name, action, meaning }) => [
      span(
        `  ${name.padEnd(15)}  ${action.padEnd(4)}  `,
        action === 'DROP' ? 'alarm' : 'plain',
      ),
      span(meaning),
    ]),
  ];
}

/** Lines and a part of a line beyond the edge are left out. */
function clip(lines: Line[], width: number, height: number): Line[] {
  return lines.slice(0, height).map((line) => {
    let room = width;
    return line.map(({ text, style }) => {
      const seen = text.slice(0, room);
      room -= seen.length;
      return { text: seen, style };
    });
  });
}

/** As many lines as the screen has, or fewer. */
export function render(state: ScreenState): Line[] {
  const { width, height } = state;
  if (state.help) {
    const page = Math.max(1, height - 1);
    const help = helpLines();
    const lines = help.slice(scroll(state.helpTop, 0, help.length, page)).slice(0, page);
    while (lines.length < page) lines.push([]);
    return clip(
      [...lines, words(['arrows', 'scroll', 'Esc', 'back', 'q', 'quit'])],
      width,
      height,
    );
  }

  const sample = state.shown?.sample;
  const all = sorted(state);
  const parts = layout(state, all.length);
  const top = scroll(state.top, 0, all.length, parts.page);
  const table = sample && tableLines({ ...state, top }, sample, all, parts.page);
  const rows = table && all.length > 0 ? table.rows : [[span(emptyText(state))]];
  while (rows.length < parts.page) rows.push([]);

  const title = [span(formatTitle(sample?.mode), 'title'), span(`  ${state.interface}`)];
  if (sample) title.push(span(`  up ${formatDuration(sample.uptime)}`));
  return clip(
    [
      title,
      ...[statusLine({ ...state, top }, all.length, parts.page)].slice(0, parts.status),
      ...[[span(state.notice ?? '', 'notice')]].slice(0, parts.notice),
      ...[table?.heads ?? []].slice(0, parts.heads),
      ...rows,
      ...[table?.totals ?? []].slice(0, parts.totals),
      ...verdictLines(state, parts.verdicts).slice(0, parts.verdicts),
      ...[footerLine(state)].slice(0, parts.footer),
    ],
    width,
    height,
  );
}
