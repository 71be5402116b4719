// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Blackhole routes in a table that no rule leads to: no packet takes them. They say to a
 * routing daemon on this host which addresses to announce.
 */
import { Failure } from '../../text/failure.js';
import type { Run } from '../run.js';
import { ipBatch, ipFailure } from './ask.js';
import { parseIpJson } from './json.js';

export interface Blackhole {
  address: string;
  metric: number;
}

interface RouteJson {
  type?: string;
  dst?: string;
  metric?: number;
}

/** What ip says of a table without routes: there is none. */
const NO_TABLE = /FIB table does not exist/;
const NO_IPV6 = /not supported|disabled/i;

/** The blackhole routes of single hosts in a table; other routes there are left out. */
export async function blackholesIn(run: Run, table: number): Promise<Blackhole[]> {
  const all: Blackhole[] = [];
  for (const [family, length] of [
    ['-4', '32'],
    ['-6', '128'],
  ] as const) {
    for (const { type, dst = '', metric = 0 } of await routesIn(run, family, table)) {
      const [address = '', bits = length] = dst.split('/');
      const isHost = bits === length && address !== 'default';
      if (type === 'blackhole' && isHost) all.push({ address, metric });
    }
  }
  return all;
}

async function routesIn(run: Run, family: string, table: number): Promise<RouteJson[]> {
  const args = [family, '-json', 'route', 'show', 'table', String(table)];
  const asked = await run('ip', args);
  if (asked.exitCode === 0) {
    return parseIpJson(asked.stdout, args.join(' ')) as RouteJson[];
  }
  if (NO_TABLE.test(asked.stderr)) return [];
  if (family === '-6' && NO_IPV6.test(asked.stderr)) return [];
  throw ipFailure(args.join(' '), asked);
}

/** First adds, then removes; if one cannot be added, nothing is removed. */
export async function changeBlackholes(
  run: Run,
  table: number,
  change: { add: readonly Blackhole[]; remove: readonly Blackhole[] },
): Promise<void> {
  await write(run, table, 'replace', change.add);
  await write(run, table, 'delete', change.remove);
}

/** What ip says of each line of a batch that failed, beside the reason. */
const WHICH_LINE = /^Command failed/;
/** A route that somebody else has removed meanwhile is gone, too. */
const GONE = /No such process/;

async function write(
  run: Run,
  table: number,
  verb: 'replace' | 'delete',
  routes: readonly Blackhole[],
): Promise<void> {
  if (routes.length === 0) return;
  const options = verb === 'delete' ? ['-force'] : [];
  const lines = routes.map((route) => `route ${verb} ${lineOf(route, table)}`);
  const { exitCode, stderr } = await ipBatch(run, options, lines);
  if (exitCode === 0) return;
  const wrong = stderr
    .split('\n')
    .filter((line) => line.trim() !== '' && !WHICH_LINE.test(line));
  if (verb === 'delete' && wrong.every((line) => GONE.test(line))) return;
  throw new Failure(`could not ${verb} routes in table ${table}: ${wrong[0] ?? ''}`, {
    cause: 'only root may write routes, and a kernel without IPv6 has none for it',
    next: `ip route show table ${table}`,
  });
}

/** Without a metric the kernel gives an IPv6 route 1024. */
function lineOf({ address, metric }: Blackhole, table: number): string {
  const length = address.includes(':') ? 128 : 32;
  return `blackhole ${address}/${length} table ${table} metric ${metric}`;
}
