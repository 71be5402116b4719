// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What /proc says about processes: whether one still lives, its name, what it has locked,
 * and which there are in this network namespace.
 */
import { readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';

import { bootOffset } from './clock.js';

/** Identifies a process, so that a later one with the same number is not taken for it. */
export interface ProcessIdentity {
  pid: number;
  /** Ticks since the machine was booted, as the host counts them. */
  started: number;
  /** In another PID namespace, the number means another process. */
  namespace: number;
}

const TICKS_A_SECOND = 100; // USER_HZ

export function thisProcess(): ProcessIdentity {
  const started = startOf(process.pid);
  if (started === undefined) throw new Error('/proc is not of this PID namespace');
  return { pid: process.pid, started, namespace: pidNamespace() };
}

/** Whether the process lives; undefined where this PID namespace cannot tell. */
export function lives({ pid, started, namespace }: ProcessIdentity): boolean | undefined {
  if (namespace !== pidNamespace()) return undefined;
  const now = startOf(pid);
  // The offset of a time namespace can shift the result by a tick.
  return now !== undefined && Math.abs(now - started) <= 1;
}

function pidNamespace(): number {
  return statSync('/proc/self/ns/pid').ino;
}

/** When a process started; undefined if there is none. */
function startOf(pid: number): number | undefined {
  const stat = read(`/proc/${pid}/stat`);
  // The name may contain anything; after it, this is the 20th field.
  const ticks = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return ticks === undefined
    ? undefined
    : Number(ticks) - Math.round(bootOffset() * TICKS_A_SECOND);
}

export interface Holder {
  pid: number;
  name: string;
}

/** The processes that share an open file which holds a lock on this path. */
export function holdersOf(path: string): Holder[] {
  const { dev, ino } = statSync(path);
  const isIt = (descriptor: string): boolean => {
    const there = whileItLives(() => statSync(descriptor));
    return there?.dev === dev && there.ino === ino;
  };
  return allPids().flatMap((pid) => {
    const descriptors = list(`/proc/${pid}/fd`).filter((fd) =>
      isIt(`/proc/${pid}/fd/${fd}`),
    );
    const holds = descriptors.some((fd) =>
      /^lock:.*\bFLOCK\b/m.test(read(`/proc/${pid}/fdinfo/${fd}`) ?? ''),
    );
    return holds ? [{ pid: Number(pid), name: nameOf(pid) }] : [];
  });
}

/** The command lines of the processes in this network namespace, as far as they are seen. */
export function commandsHere(): string[][] {
  const own = readlinkSync('/proc/self/ns/net');
  return allPids()
    .filter((pid) => whileItLives(() => readlinkSync(`/proc/${pid}/ns/net`)) === own)
    .map((pid) => (read(`/proc/${pid}/cmdline`) ?? '').split('\0'));
}

function allPids(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

/** The name of a process; for a script, the name of the script. */
function nameOf(pid: string): string {
  const [command = '', script = ''] = (read(`/proc/${pid}/cmdline`) ?? '').split('\0');
  const isScript = /^node/.test(basename(command)) && script.endsWith('.js');
  return isScript ? basename(script, '.js') : basename(command);
}

function list(folder: string): string[] {
  return whileItLives(() => readdirSync(folder)) ?? [];
}

function read(path: string): string | undefined {
  return whileItLives(() => readFileSync(path, 'utf8'));
}

/** A process may end at any moment, and even root cannot look into some. */
function whileItLives<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(code)) return undefined;
    throw error;
  }
}
