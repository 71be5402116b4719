// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-map's part in settling: once, or again and again until no slot is hot. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Maps } from './attached.js';
import type { Context } from './command.js';
import type { WantedService } from './config.js';
import { many } from './format.js';
import { matchServices } from './layout.js';
import { withLock } from './lock.js';
import { DEFAULT_IDLE } from './memory.js';
import type { Service } from './services.js';
import type { Patience, Settled } from './settle.js';
import { settle } from './settle.js';

export interface SettleFlags {
  idle?: number;
  /** Turn all cold, ready or not. */
  now?: boolean;
  /** Stay until no slot is hot. */
  wait?: boolean;
}

/** No longer between two looks, since traffic may have kept a slot meanwhile. */
const LONGEST_WAIT = 30;

export async function settleSlots(
  tools: Context,
  maps: Maps,
  flags: SettleFlags,
  config: readonly WantedService[] = [],
): Promise<Settled> {
  let settled = 0;
  for (;;) {
    const result = await withLock(tools.run, 'l4lb-map', (lock) => {
      const options = {
        patience: (all: readonly Service[]) => patienceOf(all, flags, config),
        all: flags.now ?? false,
      };
      return settle(tools, maps, options, lock);
    });
    settled += result.settled;
    if (!flags.wait || result.hot === 0) return { ...result, settled };
    await sleep(Math.min(LONGEST_WAIT, result.wait + 1) * 1000);
  }
}

/** What the config file says of a service, or else the command line. */
function patienceOf(
  services: readonly Service[],
  flags: SettleFlags,
  config: readonly WantedService[],
): Map<number, Patience> {
  const idle = flags.idle ?? DEFAULT_IDLE;
  const patience = new Map<number, Patience>(services.map(({ id }) => [id, { idle }]));
  for (const [wanted, { id }] of matchServices(services, config)) {
    patience.set(id, { idle: wanted.idle ?? idle, drainDeadline: wanted.drainDeadline });
  }
  return patience;
}

export function describeSettled(
  { settled, hot, wait }: Settled,
  device: string,
): string[] {
  const lines: string[] = [];
  if (settled > 0) lines.push(`  ${many(settled, 'slot')} went cold`);
  if (hot > 0) {
    lines.push(
      `  ${many(hot, 'slot')} hot, remembering; the next may go cold in ${wait} s: l4lb-map -i ${device} --settle`,
    );
  }
  return lines;
}

export function settledJson({ settled, hot, wait }: Settled): Record<string, number> {
  return { slots_settled: settled, slots_hot: hot, next_settles_in_s: wait };
}
