// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Draws a sample as a block of lines, like the original tool. */
import Table from 'cli-table3';
import { VERDICTS } from '../abi/verdicts.js';
import { describePorts } from '../plan/port-use.js';
import { describeRecords } from '../plan/records.js';
import { formatCount, formatTitle } from '../text/format.js';
import type { Rates, Sample } from './sample.js';
import { append, largest } from '../text/lists.js';

/** Minimum widths, so that columns stay in place from block to block. */
const NUMBER = 4;
const NAME = 21;
const PACKETS = 18;
const LAST = 23;
const ANSWERS = 21;

const NO_BORDERS = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right'],
    ...['bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'],
  ].map((name) => [name, '']),
);

const BAND = 32;

/** A name and the figures beside it: two, or four where answers are counted. */
type Row = string[];

function destinationRow(name: string, rates: Rates, answers: Rates | undefined): Row {
  const row = [
    name,
    `${formatCount(rates.pps)} pkts/s`,
    `${formatCount(rates.bps)} bits/s`,
  ];
  return answers
    ? [
        ...row,
        `${formatCount(answers.pps)} answers/s`,
        `${formatCount(answers.bps)} bits/s`,
      ]
    : row;
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
  const columns = largest(rows.map((row) => row.length));
  const widths = [NAME, PACKETS, LAST, ANSWERS, LAST].slice(0, columns);
  return widths.map((least, column) =>
    rows.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), least),
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
      colAligns: colWidths.map((_, column) => (column === 0 ? 'left' : 'right')),
      colWidths,
    });
    const band = rows.slice(start, start + BAND);
    append(
      table,
      band.map((row) => colWidths.map((_, column) => row[column] ?? '')),
    );
    append(lines, table.toString().split('\n'));
  }
  return lines;
}

export function plainBlock(sample: Sample): string {
  const destinations = sample.destinations.map((destination, index) => {
    const number = String(index + 1).padStart(NUMBER);
    return destinationRow(
      `${number}  ${destination.address}`,
      destination,
      destination.answers,
    );
  });
  const verdicts = VERDICTS.filter(
    ({ name }) => sample.verdicts[name].packets !== 0n,
  ).map(({ name }) => verdictRow(name, sample.verdicts[name]));

  const lines = [formatTitle(sample.mode), ''];
  const rows: Row[] = [];
  if (destinations.length > 0) {
    const totals = destinationRow('[Totals]', sample.totals, sample.answers);
    append(rows, [...destinations, [], totals]);
  } else {
    const next = `l4lb-map -i ${sample.interface} -f FILE`;
    lines.push(`The destination table is empty. To fill it: ${next}`);
  }
  if (verdicts.length > 0) append(rows, [[], ...verdicts]);
  if (rows.length > 0) append(lines, alignRows(rows));
  const told = [...describePorts(sample.ports), ...describeRecords(sample.records)];
  if (told.length > 0) append(lines, ['', ...told]);
  return lines.map((line) => `${line.trimEnd()}\n`).join('');
}
