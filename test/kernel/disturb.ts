// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Runs l4lb-disturb with few connections, and looks for what it left behind. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';

import { ROOT } from './network.js';

export interface Outcome {
  exitCode: number;
  stdout: string;
  stderr: string;
  /** Namespaces, files and processes that are still there. */
  left: string[];
}

/** Runs it, and stops it when it has printed `stopAt`. */
export async function disturb(
  args: string[],
  stopAt?: RegExp,
  signal: NodeJS.Signals = 'SIGINT',
): Promise<Outcome> {
  const scratch = mkdtempSync(join(tmpdir(), 'disturb-test-'));
  const env = { TMPDIR: scratch };
  // Taking the network down may take longer than execa would wait before SIGKILL.
  const patience = { timeout: 60_000, forceKillAfterDelay: false } as const;
  const options = { cwd: ROOT, reject: false, env, ...patience } as const;
  const running = execa(join(ROOT, 'bin/l4lb-disturb.js'), args, options);
  let said = '';
  running.stderr.on('data', (text: Buffer) => {
    const before = stopAt?.test(said);
    said += text.toString();
    if (stopAt?.test(said) && !before) running.kill(signal);
  });
  const { exitCode, stdout, stderr } = await running;
  const name = `disturb-${running.pid ?? 0}`;
  const spaces = readdirSync('/run/netns').filter((one) => one.includes(`-${name}-`));
  const files = readdirSync(scratch);
  rmSync(scratch, { recursive: true });
  if (existsSync(`/run/l4lb-testbed/${name}`)) files.push(name);
  const left = [...spaces, ...files, ...processesWith(`TMPDIR=${scratch}`)];
  return { exitCode: exitCode ?? -1, stdout, stderr, left };
}

/** Everything that it starts inherits its environment. */
function processesWith(variable: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => readProcess(pid, 'environ').split('\0').includes(variable))
    .map((pid) => readProcess(pid, 'cmdline').replaceAll('\0', ' '));
}

function readProcess(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // it has ended meanwhile
  }
}

export interface ResultJson {
  connections: number;
  changes: {
    change: string;
    at: number;
    lost_avoidable: number;
    lost_unavoidable: number;
    ideal: number;
  }[];
  lost_avoidable: number;
  lost_unavoidable: number;
  opened: number;
  active: number;
  sent: number;
  received: number;
  dropped: number;
  flood: { packets: number } | null;
  balancer: { packets: number; dropped: number };
  half_open: { completed: number; expired: number };
  per_destination: { address: string; opened: number; lost_unavoidable: number }[];
}

export const FEW = ['--connections', '100', '--destinations', '4'];
/** Each change reads and writes all slots, and usually there are 65,536. */
export const SMALL = [...FEW, '--slots', '1024'];
