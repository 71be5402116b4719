// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The table of changes below the graphs of a run, and what both are drawn with. */
import { formatCount } from '../text/format.js';
import { label } from '../text/svg.js';
import { formatChange } from './changes.js';
import type { Phase } from './judge.js';
import type { Result } from './report.js';
import { changeTime } from './report.js';

export const WIDTH = 1000;
export const LEFT = 70;
export const RIGHT = 30;
export const TABLE = 596;
export const ROW = 26;

export const COLOURS = {
  text: '#1f2933',
  quiet: '#66727f',
  grid: '#e4e7eb',
  active: '#2563a8',
  avoidable: '#c8321f',
  unavoidable: '#8794a3',
  plain: '#d9822b',
};

export function numberMark(x: number, y: number, index: number): string {
  return (
    `<circle cx="${x.toFixed(1)}" cy="${y}" r="10" fill="${COLOURS.text}"/>` +
    label(x, y + 4, String(index + 1), { fill: '#fff', anchor: 'middle', size: 11 })
  );
}

interface Column {
  title: string;
  /** The right edge. */
  at: number;
  cell: (phase: Phase, index: number) => string;
  /** Whether it tells of losses that need not have been. */
  isBad?: (phase: Phase) => boolean;
}

const LOSSES: Pick<Column, 'title' | 'cell' | 'isBad'> = {
  title: 'avoidable',
  cell: ({ avoidable }) => formatCount(avoidable),
  isBad: ({ avoidable }) => avoidable > 0,
};

function usualColumns({ record }: Result): Column[] {
  return [
    { title: 'at', at: 360, cell: (_, i) => `${changeTime(record, i).toFixed(1)} s` },
    { title: 'ideal', at: 440, cell: ({ ideal }) => formatCount(ideal) },
    { title: 'unavoidable', at: 560, cell: (one) => formatCount(one.unavoidable) },
    { ...LOSSES, at: 680 },
    {
      title: 'new after it',
      at: 820,
      cell: ({ spread }) => formatCount(spread.connections),
    },
    {
      title: 'uneven (1: chance)',
      at: WIDTH - RIGHT,
      cell: ({ spread }) =>
        spread.connections === 0 ? '-' : spread.unevenness.toFixed(1),
    },
  ];
}

function routedColumns({ record }: Result, plain?: Result): Column[] {
  const beside = (i: number): string => {
    const change = plain?.record.schedule.steps[i]?.change;
    const phase = plain?.outcome.changes[i];
    if (!phase || change?.kind === 'balancer') return '-';
    return formatCount(phase.avoidable);
  };
  return [
    { title: 'at', at: 330, cell: (_, i) => `${changeTime(record, i).toFixed(1)} s` },
    {
      title: 'moved',
      at: 420,
      cell: ({ routing }) =>
        routing && routing.flows > 0
          ? `${Math.round((100 * routing.moved) / routing.flows)} %`
          : '-',
    },
    {
      title: 'router',
      at: 510,
      cell: ({ routing }) =>
        routing?.took === undefined ? '-' : `${routing.took.toFixed(0)} ms`,
    },
    {
      title: 'longest stall',
      at: 630,
      cell: ({ routing }) => `${routing?.echo.toFixed(0) ?? '-'} ms`,
    },
    { title: 'unavoidable', at: 740, cell: (one) => formatCount(one.unavoidable) },
    { ...LOSSES, at: plain ? 830 : WIDTH - RIGHT },
    ...(plain
      ? [
          {
            title: 'with plain ECMP',
            at: WIDTH - RIGHT,
            cell: (_: Phase, i: number) => beside(i),
          },
        ]
      : []),
  ];
}

export function drawTable(result: Result, plain?: Result): string[] {
  const { record, outcome } = result;
  const columns = result.routed ? routedColumns(result, plain) : usualColumns(result);
  const head = columns.map(({ title, at }) =>
    label(at, TABLE, title, { fill: COLOURS.quiet, anchor: 'end' }),
  );
  const rule = `<line x1="${LEFT}" y1="${TABLE + 9}" x2="${WIDTH - RIGHT}" y2="${TABLE + 9}" stroke="${COLOURS.grid}"/>`;
  const rows = outcome.changes.flatMap((phase, index) => {
    const y = TABLE + ROW * (index + 1) + 3;
    const step = record.schedule.steps[index];
    return [
      numberMark(LEFT + 10, y - 4, index),
      label(LEFT + 32, y, step ? formatChange(step.change) : '', { bold: true }),
      ...columns.map(({ at, cell, isBad }) => {
        const bad = isBad?.(phase) ?? false;
        const fill = bad ? COLOURS.avoidable : COLOURS.text;
        return label(at, y, cell(phase, index), { anchor: 'end', fill, bold: bad });
      }),
    ];
  });
  const first = label(LEFT, TABLE, 'Change', { fill: COLOURS.quiet });
  return [first, ...head, rule, ...rows];
}
