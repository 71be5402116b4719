// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Draws a state of the dashboard as lines that fit its screen. */
import { VERDICTS } from '../../abi/verdicts.js';
import { troubleWithPorts } from '../../plan/port-use.js';
import { describeRecords } from '../../plan/records.js';
import { sortedByName } from '../../wire/endpoint.js';
import {
  formatCount,
  formatDuration,
  formatShare,
  formatTitle,
  sparkline,
} from '../../text/format.js';
import type { DestinationRates, Rates, Sample } from '../sample.js';
import { helpLines } from './help.js';
import type { Line, Span, Style } from './line.js';
import type { ScreenState } from './state.js';
import { HISTORY } from './state.js';
import { largest } from '../../text/lists.js';
import { at, must } from '../../text/must.js';

/** A destination, and its place in the order of addresses. */
interface Row {
  number: number;
  destination: DestinationRates;
}

/** The rows of a sample by address. It is drawn anew with each key that is pressed. */
const sortedRows = new WeakMap<readonly DestinationRates[], readonly Row[]>();

function rowsByAddress(destinations: readonly DestinationRates[]): readonly Row[] {
  const known = sortedRows.get(destinations);
  if (known) return known;
  const rows = sortedByName(
    rowsOf(destinations),
    ({ destination }) => destination.address,
  );
  sortedRows.set(destinations, rows);
  return rows;
}

function rowsOf(destinations: readonly DestinationRates[]): Row[] {
  return destinations.map((destination, index) => ({ number: index + 1, destination }));
}

/** The destinations that the filter lets through. */
function matching({ shown, filter: typed }: ScreenState, isSorted = false): Row[] {
  const destinations = shown?.sample.destinations ?? NONE;
  // We write IPv6 in lower case; users may type upper case.
  const filter = typed.toLowerCase();
  const rows = isSorted ? rowsByAddress(destinations) : rowsOf(destinations);
  return rows.filter(({ destination }) => destination.address.includes(filter));
}

const NONE: readonly DestinationRates[] = [];

function sorted(state: ScreenState): Row[] {
  const rows = matching(state, state.sort === 'address');
  if (state.sort !== 'address') {
    const rate = state.sort === 'packets/s' ? 'pps' : 'bps';
    rows.sort((one, other) => other.destination[rate] - one.destination[rate]);
  }
  return state.reversed ? rows.reverse() : rows;
}

/** A list of `count` lines, of which `page` are visible. */
interface Scrollable {
  count: number;
  page: number;
}

/** Returns the list that the keys scroll at the moment. */
export function scrollable(state: ScreenState): Scrollable {
  if (state.help) {
    return { count: helpLines().length, page: Math.max(1, state.height - 1) };
  }
  const count = matching(state).length;
  return { count, page: layout(state, count).page };
}

/** Returns the first visible line: `top`, kept within the list. */
export function firstOnView(top: number, { count, page }: Scrollable): number {
  return Math.max(0, Math.min(top, count - page));
}

/** Why no samples come, or else what is wrong with the ports or the records. */
function noticeOf({ notice, shown }: ScreenState): string | undefined {
  const { ports, records } = shown?.sample ?? {};
  return notice ?? [...troubleWithPorts(ports), ...describeRecords(records)][0];
}

/** Decides how many lines each part gets; the most important parts come first. */
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
    notice: take(noticeOf(state) === undefined ? 0 : 1),
    footer: take(1),
    totals: take(1),
    status: take(1),
    heads: take(1),
    verdicts: take(Math.floor(verdicts)),
    page: least + spare,
  };
}

/** Aligns names to the left and figures to the right. Drops cells that have no column. */
function align(cells: string[], widths: number[]): string {
  return widths
    .map((width, column) => {
      const cell = cells[column] ?? '';
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    })
    .join('  ');
}

function span(text: string, style: Style = 'plain'): Span {
  return { text, style };
}

/** Lists verdicts that have packets, drops first, in as many columns as fit. */
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
    largest([width, ...cells.map(({ texts }) => at(texts, column).length)]),
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
  const { destinations, totals, answers } = sample;
  const widths = [
    destinations.reduce((width, { address }) => Math.max(width, address.length), 15),
    Math.max(11, formatCount(totals.pps).length),
    Math.max(15, formatCount(totals.bps).length),
    7,
    ...(answers
      ? [
          Math.max(11, formatCount(answers.pps).length),
          Math.max(15, formatCount(answers.bps).length),
        ]
      : []),
  ];
  const text = (number: string, cells: string[]): string =>
    `${number.padStart(4)}  ${align(cells, widths)}`;
  // A narrow screen drops whole columns from the right, because a rate that is cut off
  // would look like another rate.
  while (widths.length > 1 && text('', []).length > state.width) widths.pop();
  const heads = text('#', [
    'address',
    'pkts/s',
    'bits/s',
    'share',
    'answers/s',
    'bits/s',
  ]);
  const room = widths.length < 4 ? 0 : Math.min(HISTORY, state.width - heads.length - 2);
  const figures = (rates: Rates, back: Rates | undefined): string[] => [
    formatCount(rates.pps),
    formatCount(rates.bps),
    formatShare(rates.pps, totals.pps),
    ...(back ? [formatCount(back.pps), formatCount(back.bps)] : []),
  ];
  return {
    heads: [span(`${heads}${room < 7 ? '' : '  history'}`.padEnd(state.width), 'heads')],
    rows: rows.slice(state.top, state.top + page).map(({ number, destination }): Line => {
      const { id, address } = destination;
      const { pps } = must(state.shown?.history.get(id), `the history of ${address}`);
      const history = sparkline(pps, room);
      const line = text(String(number), [
        address,
        ...figures(destination, destination.answers),
      ]);
      return [span(`${line}  `), span(history, 'history')];
    }),
    totals: [
      span(
        text('', ['', ...figures(totals, answers)]).replace(/^ {8}/, '[Totals]'),
        'strong',
      ),
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

/** Draws texts that alternate between a key and its meaning. */
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

/** Cuts off what does not fit the screen. */
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

/** Draws at most as many lines as the screen has. */
export function render(state: ScreenState): Line[] {
  const { width, height } = state;
  if (state.help) {
    const list = scrollable(state);
    const top = firstOnView(state.helpTop, list);
    const lines = helpLines().slice(top, top + list.page);
    while (lines.length < list.page) lines.push([]);
    return clip(
      [...lines, words(['arrows', 'scroll', 'Esc', 'back', 'q', 'quit'])],
      width,
      height,
    );
  }

  const sample = state.shown?.sample;
  const all = sorted(state);
  const parts = layout(state, all.length);
  const top = firstOnView(state.top, { count: all.length, page: parts.page });
  const table = sample && tableLines({ ...state, top }, sample, all, parts.page);
  const rows = table && all.length > 0 ? table.rows : [[span(emptyText(state))]];
  while (rows.length < parts.page) rows.push([]);

  const title = [span(formatTitle(sample?.mode), 'title'), span(`  ${state.interface}`)];
  if (sample) title.push(span(`  up ${formatDuration(sample.uptime)}`));
  return clip(
    [
      title,
      ...[statusLine({ ...state, top }, all.length, parts.page)].slice(0, parts.status),
      ...[[span(noticeOf(state) ?? '', 'notice')]].slice(0, parts.notice),
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
