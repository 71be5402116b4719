// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Processes of l4lb-dpdk, which run the program on a port of DPDK's. The kernel does not know
 * that somebody runs it, so each process writes into a file what the tools have to know:
 * dpdk/register.h.
 */
import { readFileSync, readdirSync, statSync } from 'node:fs';

import { LOCK_FOLDER } from './lock.js';
import type { ProcessIdentity } from './processes.js';
import { lives } from './processes.js';

/** What the process alone counts; what becomes of a packet is in the program's counters. */
export const TRAFFIC = [
  'received',
  'sent',
  'missed',
  'send_full',
  'up',
  'up_full',
  'down',
  'down_full',
  'answered',
  'dropped',
] as const;

export type DpdkTraffic = Record<(typeof TRAFFIC)[number], bigint>;

export interface DpdkProcess {
  program: number;
  name: string;
  /** Keeps the tables; undefined if only the other process does. */
  holder: number | undefined;
  /** Runs packets; undefined if none does now. */
  process: number | undefined;
  port: string;
  /** Whether the device is one of the host for what is not ours, and not the port's own. */
  isException: boolean;
  traffic: DpdkTraffic;
}

/** The process for this device, or the last one whose tables are still there. */
export function dpdkOf(device: string): DpdkProcess | undefined {
  return readRegistration(`${LOCK_FOLDER}/${prefix()}${device}${SUFFIX}`);
}

/** The devices in this network namespace that have such a process, or had one. */
export function dpdkDevices(): Map<string, DpdkProcess> {
  const own = prefix();
  const all = new Map<string, DpdkProcess>();
  for (const file of listFolder()) {
    if (!file.startsWith(own) || !file.endsWith(SUFFIX)) continue;
    const device = file.slice(own.length, -SUFFIX.length);
    const there = dpdkOf(device);
    if (there) all.set(device, there);
  }
  return all;
}

const SUFFIX = '.dpdk';

function prefix(): string {
  return `${statSync('/proc/self/ns/net').ino}-`;
}

function listFolder(): string[] {
  return orNothing(() => readdirSync(LOCK_FOLDER)) ?? [];
}

/** Undefined without such a file, or if the tables are gone with the process that kept them. */
function readRegistration(path: string): DpdkProcess | undefined {
  const text = orNothing(() => readFileSync(path, 'utf8'));
  const read = text === undefined ? undefined : parseRegistration(text);
  if (!read) return undefined;
  const [holder, process] = [read.holder, read.process].map((one) =>
    lives(one) === true ? one.pid : undefined,
  );
  // Without both of them the tables are gone.
  return (holder ?? process) === undefined ? undefined : { ...read, holder, process };
}

/** Undefined for text that l4lb-dpdk does not write. */
export function parseRegistration(text: string):
  | (Omit<DpdkProcess, 'holder' | 'process'> & {
      holder: ProcessIdentity;
      process: ProcessIdentity;
    })
  | undefined {
  const fields = new Map(
    text.split('\n').map((line): [string, string[]] => {
      const [key = '', ...values] = line.split(' ');
      return [key, values];
    }),
  );
  const numbers = (key: string): number[] => (fields.get(key) ?? []).map(Number);
  const identity = (key: string): ProcessIdentity => {
    const [pid = NaN, started = NaN, namespace = NaN] = numbers(key);
    return { pid, started, namespace };
  };
  const [program = NaN] = numbers('program');
  const [name = ''] = fields.get('name') ?? [];
  const read = {
    program,
    name,
    holder: identity('holder'),
    process: identity('process'),
  };
  const whole = [
    program,
    ...[read.holder, read.process].flatMap((one) => [
      one.pid,
      one.started,
      one.namespace,
    ]),
  ];
  if (!whole.every(Number.isSafeInteger) || !/^\w+$/.test(name)) return undefined;
  return { ...read, ...restOf(fields) };
}

function restOf(
  fields: ReadonlyMap<string, string[]>,
): Pick<DpdkProcess, 'port' | 'isException' | 'traffic'> {
  const count = (key: string): bigint => {
    const [text = ''] = fields.get(key) ?? [];
    return /^\d{1,20}$/.test(text) ? BigInt(text) : 0n;
  };
  return {
    port: (fields.get('port') ?? []).join(' '),
    isException: fields.get('exception')?.[0] === 'yes',
    traffic: Object.fromEntries(TRAFFIC.map((key) => [key, count(key)])) as DpdkTraffic,
  };
}

function orNothing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
