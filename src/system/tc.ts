// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The filter that l4lbd has at a device's way out. It hangs on a clsact qdisc, which others
 * may use too: whatever is theirs stays.
 */
import { Failure } from '../text/failure.js';
import { Unseen } from '../text/unseen.js';
import type { Run, RunResult } from './run.js';
import { runIfThere } from './run.js';

/** The place of our filter among others: nobody's by chance. */
const PREFERENCE = '27700';

interface FilterJson {
  pref?: number;
  options?: { prog?: { id?: number; name?: string } };
}

export interface Filter {
  program: number;
  name: string;
}

/** The filter in our place, if there is one. */
export async function filterOn(run: Run, device: string): Promise<Filter | undefined> {
  const shown = await listed(run, ['filter', 'show', 'dev', device, 'egress']);
  return (shown as FilterJson[]).flatMap(({ pref, options }) => {
    const { id, name = '' } = options?.prog ?? {};
    return String(pref) === PREFERENCE && id !== undefined ? [{ program: id, name }] : [];
  })[0];
}

/** Puts a pinned program there, in place of the one before. */
export async function setFilter(run: Run, device: string, pin: string): Promise<void> {
  if (!(await hasClsact(run, device))) {
    const made = await run('tc', ['qdisc', 'add', 'dev', device, 'clsact']);
    if (made.exitCode !== 0) throw refused(device, 'a clsact qdisc', made);
  }
  const place = ['dev', device, 'egress', 'pref', PREFERENCE, 'handle', '1'];
  const what = ['bpf', 'direct-action', 'object-pinned', pin];
  const set = await run('tc', ['filter', 'replace', ...place, ...what]);
  if (set.exitCode !== 0) throw refused(device, 'a filter', set);
}

/** Removes our filter, and the qdisc if nobody else has a filter there. */
export async function removeFilter(run: Run, device: string): Promise<void> {
  await run('tc', ['filter', 'del', 'dev', device, 'egress', 'pref', PREFERENCE]);
  if (!(await hasClsact(run, device))) return;
  for (const way of ['ingress', 'egress']) {
    const others = await listed(run, ['filter', 'show', 'dev', device, way]);
    if (others.length > 0) return;
  }
  await run('tc', ['qdisc', 'del', 'dev', device, 'clsact']);
}

async function hasClsact(run: Run, device: string): Promise<boolean> {
  const qdiscs = await listed(run, ['qdisc', 'show', 'dev', device]);
  return (qdiscs as { kind?: string }[]).some(({ kind }) => kind === 'clsact');
}

/** Without a clsact qdisc tc says nothing at all, and without tc there is no filter. */
async function listed(run: Run, args: readonly string[]): Promise<unknown[]> {
  const said = await runIfThere(run, 'tc', ['-j', ...args]);
  if (said instanceof Unseen || said.exitCode !== 0) return [];
  const text = said.stdout.trim();
  if (!text.startsWith('[')) return [];
  return JSON.parse(text) as unknown[];
}

function refused(device: string, what: string, { stderr }: RunResult): Failure {
  const said = stderr
    .split('\n')
    .map((line) => line.replace(/^Error: /, '').trim())
    .filter((line) => line !== '' && !line.startsWith('We have an error'));
  return new Failure(`${device} does not take ${what}: ${said[0] ?? 'tc says no more'}`, {
    cause: 'the kernel lacks it, or an ingress qdisc is in its place',
    next: `tc qdisc show dev ${device}`,
  });
}
