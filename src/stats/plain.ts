// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Draws a sample as a block of lines, like the original tool. */
import Table from 'cli-table3';
import { VERDICTS } from '../abi/verdicts.js';
import { describeRecords } from '../plan/records.js';
import { formatCount, formatTitle } from '../text/format.js';
import type { Rates, Sample } from './sample.js';
import { append } from '../text/lists.js';
import { at } from '../text/must.js';

/** Minimum widths, so that columns stay in place from block to block. */
const NUMBER = 4;
const NAME = 21;
const PACKETS = 18;
const LAST = 23;

const NO_BORDERS = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right'],
    ...['bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'],
  ].map((name) => [name, '']),
);

const BAND = 32;

/** A name and the two figures beside it. */
type Row = [name: string, packets: string, last: string];

const BLANK: Row = ['', '', ''];

function destinationRow(name: string, rates: Rates): Row {
  return [name, `${formatCount(rates.pps)} pkts/s`, `${formatCount(rates.bps)} bits/s`];
}

function verdictRow(name: string, rates: Rates): Row {
  return [
    name,
    `${formatCount(rates.pps)} pkts/s`,
    `${formatCount(rates.packets)} in all`,
  ];
}

/** Computes the widths for all rows, because each band is laid out by itself. */
function columnWidths(rows: Row[]): number[] {
  const widths = [NAME, PACKETS, LAST];
  return widths.map((least, column) =>
    rows.reduce((width, row) => Math.max(width, at(row, column).length), least),
  );
}

/**
 * Lays rows out in bands, because cli-table3 compares every cell with all cells above it.
 * For 4,096 destinations that would take seconds.
 */
function alignRows(rows: Row[]): string[] {
  const colWidths = columnWidths(rows);
  const lines: string[] = [];
  for (let start = 0; start < rows.length; start += BAND) {
    const table = new Table({
      chars: { ...NO_BORDERS, middle: '  ' },
      style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
      colAligns: ['left', 'right', 'right'],
      colWidths,
    });
    append(table, rows.slice(start, start + BAND));
    append(lines, table.toString().split('\n'));
  }
  return lines;
}

export function plainBlock(sample: Sample): string {
  const destinations = sample.destinations.map((destination, index) => {
    const number = String(index + 1).padStart(NUMBER);
    return destinationRow(`${number}  ${destination.address}`, destination);
  });
  const verdicts = VERDICTS.filter(
    ({ name }) => sample.verdicts[name].packets !== 0n,
  ).map(({ name }) => verdictRow(name, sample.verdicts[name]));

  const lines = [formatTitle(sample.mode), ''];
  const rows: Row[] = [];
  if (destinations.length > 0) {
    append(rows, [...destinations, BLANK, destinationRow('[Totals]', sample.totals)]);
  } else {
    const next = `l4lb-map -i ${sample.interface} -f FILE`;
    lines.push(`The destination table is empty. To fill it: ${next}`);
  }
  if (verdicts.length > 0) append(rows, [BLANK, ...verdicts]);
  if (rows.length > 0) append(lines, alignRows(rows));
  const told = describeRecords(sample.records);
  if (told.length > 0) append(lines, ['', ...told]);
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}
