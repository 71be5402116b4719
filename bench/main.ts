// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** make bench: what a packet costs, and what there is in our place. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';

import { Failure } from '../src/text/failure.js';
import { readWhole } from '../src/cli/values.js';
import type { Run } from '../src/system/run.js';
import { run } from '../src/system/run.js';
import type { Case } from './cases.js';
import { CASES } from './cases.js';
import { measureConnections } from './connections.js';
import { measureDpdk } from './dpdk.js';
import { machineOf } from './machine.js';
import type { Effort } from './packets.js';
import { Packets } from './packets.js';
import { report } from './report.js';
import type { PacketsResult, Result } from './result.js';
import { ROOT } from './started.js';
import { removeLeftNamespaces, stoppable } from './stoppable.js';
import { drawBench } from './svg.js';
import { checkIperf, measureThroughput, throughputCases } from './throughput.js';
import { measureTools } from './tools.js';

interface Flags extends Effort {
  only: RegExp;
  throughput: boolean;
  connections: boolean;
  tools: boolean;
  output: string;
}

/** Its name for --only. */
const DPDK = 'DPDK';

/** Of connections and of tools: each takes some seconds for each case. */
const MOST_ROUNDS = 5;

function benchCommand(): Command {
  return new Command('make bench')
    .description(
      'Measure what a packet costs in l4lb, and in what there is in its place.',
    )
    .option('--rounds <number>', 'of each case', readWhole(1, 1000), 11)
    .option(
      '--packets <number>',
      'of each case, in all rounds',
      readWhole(1, 1e10),
      4_400_000,
    )
    .option(
      '--only <text>',
      'cases with this in "GROUP: NAME", a regular expression; nothing but packets and throughput then',
      readPattern,
      /(?:)/,
    )
    .option('--no-throughput', 'leave out what one TCP connection reaches')
    .option('--no-connections', 'leave out the connections')
    .option('--no-tools', 'leave out what the commands cost')
    .option(
      '--output <folder>',
      'where bench.json and bench.svg go',
      join(ROOT, '.make/results'),
    )
    .helpOption('-h, --help', 'print this help')
    .addHelpText(
      'after',
      `
Only in namespaces. The result is on stdout, what is going on on stderr. Leave the machine
alone meanwhile; the spread of the rounds tells whether it was.

Examples:
  make bench
  make bench ARGS="--only 'builds|hot slots' --rounds 31"
  make bench ARGS="--only 'ways to forward|in its place|throughput' --rounds 15"`,
    )
    .action(bench);
}

function readPattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function bench(flags: Flags): Promise<void> {
  if (process.geteuid?.() !== 0) {
    throw new Failure('this needs root', { next: 'sudo make bench' });
  }
  const cases = CASES.filter(({ group, name }) => flags.only.test(`${group}: ${name}`));
  const lines = flags.throughput ? throughputCases(flags.only) : [];
  if (cases.length + lines.length === 0 && !flags.only.test(DPDK)) {
    throw new Failure('--only leaves nothing to measure', { next: 'make bench' });
  }
  if (lines.length > 0) await checkIperf(run);
  await removeLeftNamespaces(run);
  const isWhole = cases.length === CASES.length;
  const rounds = Math.min(flags.rounds, MOST_ROUNDS);
  const result: Result = {
    machine: await machineOf(run),
    packets: await stoppable(run, (stop, own) => measurePackets(own, flags, cases, stop)),
    throughput:
      lines.length > 0 ? await measureThroughput(lines, flags.rounds, tell) : [],
    connections:
      flags.connections && isWhole ? await measureConnections(rounds, tell) : [],
    tools: flags.tools && isWhole ? await measureTools(rounds, tell) : [],
    dpdk: isWhole || flags.only.test(DPDK) ? await measureDpdk(flags.rounds, tell) : [],
  };
  mkdirSync(flags.output, { recursive: true });
  const [json, svg] = ['json', 'svg'].map((kind) => join(flags.output, `bench.${kind}`));
  if (json) writeFileSync(json, `${JSON.stringify(result, undefined, 2)}\n`);
  if (svg) writeFileSync(svg, drawBench(result));
  process.stdout.write(report(result));
  tell(`written: ${json} and ${svg}`);
}

async function measurePackets(
  own: Run,
  effort: Effort,
  cases: readonly Case[],
  stop: AbortSignal,
): Promise<PacketsResult[]> {
  if (cases.length === 0) return [];
  const folder = mkdtempSync(join(tmpdir(), 'l4lb-bench-'));
  const packets = new Packets(own, folder, cases);
  try {
    await packets.up(tell, stop);
    return await packets.measure(effort, tell, stop);
  } finally {
    await packets.down();
    rmSync(folder, { recursive: true });
  }
}

try {
  await benchCommand().parseAsync();
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  process.stderr.write(`${error.format('bench')}\n`);
  process.exitCode = error.exitCode;
}
