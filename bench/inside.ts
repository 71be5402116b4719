// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the kernel tells of a program: its time, its length, and the hardware's counters. */
import { readFileSync, writeFileSync } from 'node:fs';

import type { Run } from '../src/system/run.js';
import { expectDone } from './started.js';

const SWITCH = '/proc/sys/kernel/bpf_stats_enabled';

/** The kernel counts runs and their time meanwhile, which costs time itself. */
export async function withStatistics<T>(work: () => Promise<T>): Promise<T> {
  const before = readFileSync(SWITCH, 'utf8');
  writeFileSync(SWITCH, '1');
  try {
    return await work();
  } finally {
    writeFileSync(SWITCH, before);
  }
}

interface Statistics {
  runs: number;
  nanoseconds: number;
  /** Of the translated program, with all of its functions. */
  instructions: number;
}

interface ProgramJson {
  run_cnt?: number;
  run_time_ns?: number;
  bytes_xlated: number;
}

const BYTES_OF_INSTRUCTION = 8;

export async function statisticsOf(run: Run, id: number): Promise<Statistics> {
  const args = ['-j', 'prog', 'show', 'id', String(id)];
  const text = await expectDone(run('bpftool', args), ['bpftool', ...args]);
  const { run_cnt, run_time_ns, bytes_xlated } = JSON.parse(text) as ProgramJson;
  return {
    runs: run_cnt ?? 0,
    nanoseconds: run_time_ns ?? 0,
    instructions: bytes_xlated / BYTES_OF_INSTRUCTION,
  };
}

/** Of the whole path, each packet's. */
export interface Hardware {
  cycles: number;
  instructions: number;
}

/** As perf is to be run in front of a command, so that it counts all that a processor does. */
export function perfArguments(processor: number): string[] {
  return [
    'stat',
    '-x',
    ',',
    '-a',
    '-C',
    String(processor),
    '-e',
    'cycles,instructions',
    '--',
  ];
}

/** Undefined where the machine has no such counters, or keeps them to itself. */
export function readPerf(text: string, packets: number): Hardware | undefined {
  const perPacket = (name: string): number | undefined => {
    const [, value] = new RegExp(`^(\\d+),[^,]*,${name}[,:]`, 'm').exec(text) ?? [];
    return value === undefined ? undefined : Number(value) / packets;
  };
  const [cycles, instructions] = [perPacket('cycles'), perPacket('instructions')];
  return cycles && instructions ? { cycles, instructions } : undefined;
}
