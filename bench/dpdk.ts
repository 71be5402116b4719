// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What a packet costs in a process of DPDK's, beside one that only swaps MAC addresses. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { Failure } from '../src/text/failure.js';
import { at } from '../src/text/must.js';
import { run } from '../src/system/run.js';
import type { DpdkResult } from './result.js';
import { spreadBeside, spreadOf } from './result.js';
import { ROOT } from './started.js';
import { stoppable } from './stoppable.js';
import { Workbench } from './workbench.js';

const PROGRAM = join(ROOT, '.make/bench-dpdk');
const PACKETS = 2_000_000;
const FREE = '/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages';
const HUGE_PAGES = 50;

/** In the order of bench/dpdk.c: each pair is a swap of MAC addresses, and l4lb. */
const PLACES = ['the program alone, in memory', 'from net_null to net_null'];

/** Nothing where it is not built. */
export async function measureDpdk(
  rounds: number,
  tell: (line: string) => void,
): Promise<DpdkResult[]> {
  if (!existsSync(PROGRAM)) {
    tell('DPDK: left out, since it is not built (./setup.sh dpdk, and then make dpdk)');
    return [];
  }
  const areHuge = existsSync(FREE) && Number(readFileSync(FREE, 'utf8')) >= HUGE_PAGES;
  const pages = areHuge ? 'huge pages' : 'small pages';
  tell(`DPDK: ${rounds} rounds, with ${pages}`);
  return stoppable(run, async (stop) => {
    const bench = new Workbench(stop);
    try {
      await bench.up();
      return resultsOf(await measureOn(bench, rounds, areHuge), pages);
    } finally {
      await bench.down();
    }
  });
}

async function measureOn(
  bench: Workbench,
  rounds: number,
  areHuge: boolean,
): Promise<number[][]> {
  const device = await bench.addDevice();
  const memory = areHuge
    ? ['--in-memory', '-m', '100']
    : ['--no-huge', '--no-shconf', '-m', '100'];
  const quiet = ['--no-pci', '--no-telemetry', '--log-level=lib.eal:warning'];
  const eal = ['-l', '0', '--vdev=net_null0,copy=0,size=64', ...quiet, ...memory];
  const child = spawn(
    'ip',
    [
      'netns',
      'exec',
      bench.name,
      PROGRAM,
      device,
      String(rounds),
      String(PACKETS),
      ...eal,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const closed = once(child, 'close');
  const lines: string[] = [];
  const printed = createInterface({ input: child.stdout });
  printed.on('line', (line) => lines.push(line));
  await Promise.race([once(printed, 'line'), closed]);
  const file = join(ROOT, 'destination_samples/32_destinations.csv');
  const way = ['--vip', '198.51.100.10'];
  await bench.tool('map', '-i', device, '-f', file, ...way);
  child.stdin.end('\n');
  await closed;
  if (child.exitCode !== 0) {
    throw new Failure(`${PROGRAM} exited with ${child.exitCode}`, {
      next: 'its message is above',
    });
  }
  return lines.slice(1).map((line) => line.split(' ').map(Number));
}

function resultsOf(rounds: readonly number[][], pages: string): DpdkResult[] {
  return PLACES.map((place, index) => {
    const [swap, l4lb] = [0, 1].map((one) =>
      rounds.map((figures) => at(figures, 2 * index + one)),
    ) as [number[], number[]];
    return {
      name: `${place}, with ${pages}`,
      swap: spreadOf(swap),
      l4lb: spreadOf(l4lb),
      over: spreadBeside(l4lb, swap, (one, other) => one - other),
    };
  });
}
