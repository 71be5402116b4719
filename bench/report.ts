// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The result in words: tables in Markdown, to be read as they are. Pure. */
import { formatCount } from '../src/text/format.js';
import type {
  ConnectionsResult,
  DpdkResult,
  Machine,
  PacketsResult,
  Result,
  Spread,
  ThroughputResult,
  ToolResult,
} from './result.js';

export function report(result: Result): string {
  const { machine, packets, throughput, connections, tools, dpdk } = result;
  return [
    describeMachine(machine),
    ...(packets.length > 0 ? [packetsTable(packets)] : []),
    ...(throughput.length > 0 ? [throughputTable(throughput)] : []),
    ...(connections.length > 0 ? [connectionsTable(connections)] : []),
    ...(tools.length > 0 ? [toolsTable(tools)] : []),
    ...(dpdk.length > 0 ? [dpdkTable(dpdk)] : []),
  ].join('\n');
}

export function describeMachine(machine: Machine): string {
  const { date, kernel, processor, processors, commit } = machine;
  return `${date}, kernel ${kernel}, ${processors} processors ${processor}, commit ${commit}\n`;
}

function packetsTable(results: readonly PacketsResult[]): string {
  const rows = results.map((one) => [
    one.group,
    one.name,
    nanoseconds(one.path),
    one.over === undefined ? '' : nanoseconds(one.over),
    one.ratio === undefined ? '' : hundredths(one.ratio),
    (1000 / one.path.median).toFixed(2),
    share(one.lost, one.packets),
    one.run?.toFixed(1) ?? '',
    inside(one),
  ]);
  return table(
    [
      ...['', '', 'path, ns', 'over the floor, ns', 'to the floor', 'Mpps', 'lost'],
      ...['own time, ns', 'instructions'],
    ],
    rows,
  );
}

/** The processor's own count where there is one, or else how long the program is. */
function inside({ hardware, instructions }: PacketsResult): string {
  if (hardware) {
    const { cycles, instructions: run } = hardware;
    return `${run.toFixed(0)} run in ${cycles.toFixed(0)} cycles`;
  }
  return instructions === undefined ? '' : `${formatCount(instructions)} long`;
}

function throughputTable(results: readonly ThroughputResult[]): string {
  const rows = results.map(({ name, rate, beside, ratio }) => [
    name,
    hundredths(rate),
    ratio === undefined ? '' : hundredths(ratio),
    beside ?? '',
  ]);
  return table(['one TCP connection', 'Gbit/s', 'ratio', 'to'], rows);
}

function connectionsTable(results: readonly ConnectionsResult[]): string {
  const rows = results.map(({ name, perSecond, ratio, failed }) => [
    name,
    formatCount(perSecond.median),
    hundredths(ratio),
    formatCount(failed),
  ]);
  return table(['', 'connections a second', 'to the straight way', 'failed'], rows);
}

function dpdkTable(results: readonly DpdkResult[]): string {
  const rows = results.map(({ name, swap, l4lb, over }) => [
    name,
    nanoseconds(swap),
    nanoseconds(l4lb),
    nanoseconds(over),
  ]);
  return table(['in DPDK', 'a MAC swap, ns', 'l4lb, ns', 'over that, ns'], rows);
}

function toolsTable(results: readonly ToolResult[]): string {
  const rows = results.map(({ name, milliseconds, kind, ratio }) => [
    name,
    milliseconds.median.toFixed(milliseconds.median < 100 ? 1 : 0),
    kind,
    hundredths(ratio),
  ]);
  return table(['', 'ms', 'of', 'to node -e 0'], rows);
}

function hundredths({ median, lower, upper }: Spread): string {
  return `${median.toFixed(2)} (${lower.toFixed(2)} to ${upper.toFixed(2)})`;
}

function nanoseconds({ median, lower, upper }: Spread): string {
  return `${median.toFixed(1)} (${lower.toFixed(1)} to ${upper.toFixed(1)})`;
}

function share(part: number, whole: number): string {
  return part === 0 ? '0' : `${((100 * part) / whole).toFixed(2)} %`;
}

/** All cells of a column as wide as its widest. */
function table(head: readonly string[], rows: readonly string[][]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0), 3),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const rule = widths.map((width) => '-'.repeat(width));
  return [line(head), line(rule), ...rows.map(line), ''].join('\n');
}
