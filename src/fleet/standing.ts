// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What a node has come to: what its tables were filled from, and what it still needs of that. */
import type { Config } from '../config/read.js';
import type { ResolvedService } from '../plan/all.js';
import { reachable } from '../plan/cells.js';
import { matchServices } from '../plan/match-services.js';
import type { Service } from '../plan/services.js';
import { servicesIn } from '../plan/services.js';
import type { State } from '../plan/state.js';
import { sumOfSlots } from '../plan/sum-of-slots.js';
import type { Maps } from '../program/find.js';
import type { Context } from '../program/tools.js';
import type { Applied } from './agreement/records.js';
import { destinationSet, foldOptions } from './agreement/sets.js';
import type { KeptDocument } from './documents.js';
import { neededFor } from './needed.js';

/** Milliseconds at least between two looks at what a service needs. */
const LOOK = 5000;

export class Standing {
  #documents: ReadonlyMap<string, KeptDocument> = new Map();
  #sums: ReadonlyMap<string, string> = new Map();
  /** Services whose oldest set this node needs no more. */
  readonly #settled = new Set<string>();
  readonly #lookAt = new Map<string, number>();

  /** What the tables were filled from, by service. */
  get documents(): ReadonlyMap<string, KeptDocument> {
    return this.#documents;
  }

  /** As the store has it. */
  tables(): Map<string, Applied> {
    return new Map(
      [...this.#documents].map(([name, { revision }]) => [
        name,
        {
          revision,
          sum: this.#sums.get(name) ?? '',
          isSettled: this.#settled.has(name),
        },
      ]),
    );
  }

  /** Takes what the tables have just been filled from. */
  take(
    documents: ReadonlyMap<string, KeptDocument>,
    state: State,
    services: readonly ResolvedService[],
  ): void {
    for (const [name, kept] of documents) {
      if (this.#documents.get(name) === kept) continue;
      this.#settled.delete(name);
      this.#lookAt.delete(name);
    }
    this.#documents = new Map(documents);
    this.#sums = new Map(
      liveOf(state, services).map(([name, service]) => [
        name,
        sumOfSlots(state, service),
      ]),
    );
  }

  /** Looks whether packets of late went by the oldest set of any service. */
  async look(
    tools: Pick<Context, 'bpftool'>,
    maps: Maps,
    state: State,
    services: readonly ResolvedService[],
    config: Config,
  ): Promise<void> {
    const now = performance.now();
    for (const [name, service] of liveOf(state, services)) {
      const sets = this.#documents.get(name)?.document.sets ?? [];
      const wanted = config.services.find((one) => one.name === name);
      if (sets.length < 2 || !wanted || now < (this.#lookAt.get(name) ?? 0)) continue;
      const fold = foldOptions(wanted, config.names);
      const all = sets.map(destinationSet);
      const wait = await neededFor(tools, maps, state, service, all, fold);
      if (wait <= 0) this.#settled.add(name);
      else this.#settled.delete(name);
      this.#lookAt.set(name, now + Math.max(LOOK, wait * 1000));
    }
  }
}

/** The services that the tables have, by name. */
function liveOf(state: State, services: readonly ResolvedService[]): [string, Service][] {
  const live = [...servicesIn(reachable(state)).values()];
  return [...matchServices(live, services)].map(([{ name }, service]) => [name, service]);
}
