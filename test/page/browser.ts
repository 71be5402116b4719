// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Debian's chromium, driven by playwright; both are there for tests and pictures only. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import type { Browser } from 'playwright-core';

const CHROMIUM = '/usr/bin/chromium';
/** Of /proc: clock ticks of Linux are always that many a second. */
const TICKS = 100;

export const hasChromium = (): boolean => existsSync(CHROMIUM);

export interface Launched {
  browser: Browser;
  /** Seconds that all its processes have computed. */
  seconds: () => number;
  close: () => Promise<void>;
}

/** Root can have no sandbox, and what is looked at is ours. */
export async function launch(): Promise<Launched> {
  // It takes long to load, and most runs skip what needs it.
  const { chromium } = await import('playwright-core');
  const server = await chromium.launchServer({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  const browser = await chromium.connect(server.wsEndpoint());
  const pid = server.process().pid ?? 0;
  return { browser, seconds: () => secondsOf(pid), close: () => server.close() };
}

function secondsOf(root: number): number {
  const parents = new Map<number, number>();
  const ticks = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((one) => /^\d+$/.test(one))) {
    const stat = statOf(name);
    if (!stat) continue;
    // Behind the name of the program, which may have anything in it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    parents.set(Number(name), Number(fields[1]));
    ticks.set(Number(name), Number(fields[11]) + Number(fields[12]));
  }
  const isBelow = (pid: number): boolean =>
    pid === root || (pid > 1 && isBelow(parents.get(pid) ?? 0));
  const own = [...ticks].filter(([pid]) => isBelow(pid));
  return own.reduce((sum, [, count]) => sum + count, 0) / TICKS;
}

/** Undefined: it has ended. */
function statOf(pid: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}
