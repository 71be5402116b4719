// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What the tools cost: to start one, to fill tables, and to look at the counters. All
 * beside `node -e 0`, which no tool on Node can be faster than.
 */
import { formatCount } from '../src/text/format.js';
import type { ToolResult } from './result.js';
import { spreadBeside, spreadOf } from './result.js';
import { run } from '../src/system/run.js';
import { stoppable } from './stoppable.js';
import { Workbench } from './workbench.js';

interface Case {
  name: string;
  kind: ToolResult['kind'];
  /** What is not measured, before each time. */
  prepare?: () => Promise<void>;
  /** In milliseconds. */
  measure: () => Promise<number>;
}

/** The milliseconds of each round. */
interface Measured extends Pick<Case, 'name' | 'kind'> {
  rounds: number[];
}

const HOST = 'l4lb_xdp_host.o';
const PORTABLE = 'l4lb_xdp.o';
const SLOTS = 65_536;
/** As many as the portable build has. */
const FEW_SLOTS = 512;
/** Between a long run of l4lb-stats and a short one. */
const TICKS = 20;

/** The first result is what the others' ratios are to. */
export async function measureTools(
  rounds: number,
  tell: (line: string) => void,
): Promise<ToolResult[]> {
  return stoppable(run, async (stop) => {
    const bench = new Workbench(stop);
    try {
      tell('tools: loading and filling what is watched');
      await bench.up();
      return toolResults(await measure(await casesOn(bench), rounds, tell));
    } finally {
      await bench.down();
    }
  });
}

async function casesOn(bench: Workbench): Promise<Case[]> {
  const device = await bench.addDevice();
  return [
    { name: 'node -e 0', kind: 'clock', measure: () => bench.clock('-e', '0') },
    ...['map', 'stats'].map((tool): Case => ({
      name: `start l4lb-${tool} --help`,
      kind: 'clock',
      measure: () => bench.clockTool(tool, '--help'),
    })),
    fill(bench, device, { destinations: 512, slots: FEW_SLOTS, object: PORTABLE }),
    ...[32, 512, 4096].map((destinations) =>
      fill(bench, device, { destinations, slots: SLOTS, object: HOST }),
    ),
    refill(bench, device, 512),
    ...(await ticks(bench, 512)),
    ...(await ticks(bench, 4096)),
  ];
}

interface Filled {
  destinations: number;
  slots: number;
  object: string;
}

function fill(
  bench: Workbench,
  device: string,
  { destinations, slots, object }: Filled,
): Case {
  const rows = rowsIn(bench, destinations);
  const build = object === PORTABLE ? ', portable build' : '';
  return {
    name: `fill ${many(destinations)} in ${formatCount(slots)} slots${build}`,
    kind: 'clock',
    prepare: () => bench.load(device, object),
    measure: () => bench.clockTool('map', '-i', device, ...rows, ...slotsOf(slots)),
  };
}

/** With one destination fewer. */
function refill(bench: Workbench, device: string, destinations: number): Case {
  const before = rowsIn(bench, destinations);
  const after = rowsIn(bench, destinations - 1);
  return {
    name: `take one of ${many(destinations)} out of ${formatCount(SLOTS)} slots`,
    kind: 'clock',
    prepare: async () => {
      await bench.load(device, HOST);
      await bench.tool('map', '-i', device, ...before, ...slotsOf(SLOTS));
    },
    measure: () => bench.clockTool('map', '-i', device, ...after),
  };
}

/** What one more sample costs, once all is running. */
async function ticks(bench: Workbench, destinations: number): Promise<Case[]> {
  const device = await bench.addDevice();
  await bench.load(device, HOST);
  await bench.tool('map', '-i', device, ...rowsIn(bench, destinations));
  const perTick = async (
    place: 'pipe' | 'terminal',
    ...options: string[]
  ): Promise<number> => {
    const run = (count: number): Promise<number> => {
      const often = ['--interval', '0.1', '--count', String(count)];
      return bench.processor(place, 'stats', '-i', device, ...often, ...options);
    };
    const short = await run(1);
    return ((await run(1 + TICKS)) - short) / TICKS;
  };
  return [
    {
      name: `a tick of l4lb-stats --json at ${many(destinations)}`,
      kind: 'processor',
      measure: () => perTick('pipe', '--json'),
    },
    {
      name: `a tick of its full screen at ${many(destinations)}`,
      kind: 'processor',
      measure: () => perTick('terminal'),
    },
  ];
}

const many = (destinations: number): string =>
  `${formatCount(destinations)} destinations`;

const slotsOf = (slots: number): string[] => ['--slots', String(slots)];

function rowsIn(bench: Workbench, destinations: number): string[] {
  return ['-f', bench.write(`${destinations}.csv`, destinationRows(destinations))];
}

/** With MACs, so that nothing has to be resolved. */
export function destinationRows(count: number): string {
  const rows = Array.from({ length: count }, (_, index) => {
    const [high, low] = [1 + (index >> 7), 1 + (index & 127)];
    const bytes = [10, 0, high, low];
    const mac = bytes.map((byte) => byte.toString(16).padStart(2, '0'));
    return `${bytes.join('.')}, 02:00:${mac.join(':')}\n`;
  });
  return `address, MAC\n${rows.join('')}`;
}

async function measure(
  cases: readonly Case[],
  rounds: number,
  tell: (line: string) => void,
): Promise<Measured[]> {
  const all = cases.map((one) => ({ ...one, rounds: [] as number[] }));
  for (let round = 1; round <= rounds; round++) {
    for (const one of all) {
      await one.prepare?.();
      const milliseconds = await one.measure();
      one.rounds.push(milliseconds);
      const place = `round ${round} of ${rounds}`;
      tell(`tools: ${place}: ${one.name}: ${milliseconds.toFixed(1)} ms`);
    }
  }
  return all;
}

export function toolResults(all: readonly Measured[]): ToolResult[] {
  const node = all[0]?.rounds ?? [];
  return all.map(({ name, kind, rounds }) => ({
    name,
    kind,
    milliseconds: spreadOf(rounds),
    ratio: spreadBeside(rounds, node, (one, other) => one / other),
  }));
}
