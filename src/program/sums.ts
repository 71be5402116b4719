// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Loads the program that adds up what each processor has counted: see programs/l4lb_sum.c.
 * It reads the maps of a balancer, and bpftool runs it, so nothing of it is on the way of a
 * packet.
 */
import type { Bpftool } from '../system/bpftool.js';
import { BpftoolFailure } from '../system/bpftool-text.js';
import { packaged } from '../system/package.js';
import type { Attached } from './find.js';
import type { Pins } from './pins.js';

/**
 * Returns the pin of the program for these maps; undefined where it cannot be: a card keeps
 * its maps to itself, the portable build has one counter for all processors, and a kernel
 * before 5.19 cannot read those of others.
 */
export async function loadSums(
  bpftool: Pick<Bpftool, 'load'>,
  pins: Pick<Pins, 'next'>,
  { mode, build, maps }: Pick<Attached, 'mode' | 'build' | 'maps'>,
): Promise<string | undefined> {
  if (mode === 'xdpoffload' || build !== 'host') return undefined;
  const { device, slots, counters, verdicts } = maps;
  // A program from an earlier release may not count answers; nobody asks for them then.
  const returned = { ...(maps.returned ?? counters), name: 'returned' };
  const pin = pins.next();
  try {
    const reuse = [device, slots, counters, verdicts, returned];
    await bpftool.load(packaged('l4lb_sum.o'), pin, { reuse });
    return pin;
  } catch (error) {
    if (error instanceof BpftoolFailure) return undefined;
    throw error;
  }
}
