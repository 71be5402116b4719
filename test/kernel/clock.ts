// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Lets time pass without waiting: makes what the tables remember older. */
import { hex } from '../../src/system/bpftool-text.js';
import { decodeKey, encodeKey } from '../../src/abi/bytes.js';
import { encodeMemory } from '../../src/abi/slot.js';
import { isHot } from '../../src/plan/hot-slots.js';
import { servicesIn } from '../../src/plan/services.js';
import { findAttached } from '../../src/program/find.js';
import { readSlots, readTables } from '../../src/program/read.js';
import { Bpftool } from '../../src/system/bpftool.js';
import { Iproute } from '../../src/system/ip/links.js';
import { run } from '../../src/system/run.js';
import type { Network } from './network.js';

export class Clock {
  readonly #network: Network;

  constructor(network: Network) {
    this.#network = network;
  }

  /**
   * Lets whole seconds pass for the hot slots of all services; records of flows stay as
   * they are.
   */
  async passes(seconds: number): Promise<void> {
    const namespace = this.#network.namespaceOf('balancer');
    const ip = new Iproute((command, args, options) =>
      run('nsenter', [namespace, command, ...args], options),
    );
    const bpftool = new Bpftool(run);
    const { maps } = await findAttached({ ip, bpftool }, 'eth0');
    const { memories, kept } = maps;
    if (!memories || !kept) throw new Error('this program has no hot slots');
    const { cells } = await readTables(bpftool, maps);
    for (const service of servicesIn(cells).values()) {
      const slots = await readSlots(bpftool, maps, service);
      const hot = [...slots].filter(([, slot]) => isHot(slot));
      const keys = hot.map(([key]) => encodeKey(key));
      const seen = (await bpftool.lookup(kept.id, keys)).map(decodeKey);
      await bpftool.queries(
        hot.flatMap(([key, slot], index) => {
          const older = { ...slot, since: slot.since - seconds };
          const last = Math.max(0, (seen[index] ?? 0) - seconds);
          return [
            update(memories.id, key, encodeMemory(older)),
            update(kept.id, key, encodeKey(last)),
          ];
        }),
      );
    }
  }
}

function update(map: number, key: number, value: Buffer): string {
  return `map update id ${map} key hex ${hex(encodeKey(key))} value hex ${hex(value)}`;
}
