// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The tables as l4lbd has left them, in memory, so that a change of weights need not read
 * them. Whoever else writes to them raises their generation; then they are read anew.
 */
import type { Attached } from '../program/find.js';
import { attachedNow } from '../program/find.js';
import type { Context } from '../program/tools.js';
import { fillAndSettle } from '../fill/apply.js';
import type { Filled } from '../fill/apply.js';
import type { PreparedConfig } from '../fill/from-config.js';
import { planPrepared } from '../fill/from-config.js';
import type { Warm } from '../fill/from-rows.js';
import type { ConfigPlan } from '../plan/all.js';
import { readGeneration } from '../watch/servers.js';
import { foundIn, withLiveHop } from './live.js';

interface Known extends Warm {
  program: number;
}

export interface FillOptions {
  /** Only weights differ from what was filled last. */
  onlyWeights: boolean;
  dryRun: boolean;
  /** False: no slot goes cold but those that the history has so. */
  settles?: boolean;
}

export class WarmTables {
  readonly #tools: Context;
  #known: Known | undefined;
  /** Whether all was written that is known: a fill that failed may have written a part. */
  #isWhole = false;

  constructor(tools: Context) {
    this.#tools = tools;
  }

  /** As they were left last; undefined before the first fill. */
  get last(): Warm | undefined {
    return this.#known;
  }

  async fill(
    known: Attached,
    wanted: PreparedConfig,
    { onlyWeights, dryRun, settles = true }: FillOptions,
  ): Promise<{ attached: Attached; filled: Filled<ConfigPlan> }> {
    const wasWhole = this.#isWhole;
    this.#isWhole = dryRun && wasWhole;
    /** The program's, if it was replaced meanwhile. */
    const used = { maps: known.maps };
    const flags = { dryRun, ...(!settles && { settle: false }) };
    const filled = await fillAndSettle(this.#tools, known, flags, async (maps) => {
      used.maps = maps;
      const isSame = maps === known.maps;
      const isWarm = onlyWeights && wasWhole && isSame;
      const warm = isWarm ? await this.#stillTrue(known) : undefined;
      return planPrepared(
        this.#tools,
        maps,
        (live) => {
          const found = foundIn(live);
          const services = wanted.services.map((service) => ({
            ...service,
            destinations: service.destinations.map((one) =>
              withLiveHop(one, found, live),
            ),
          }));
          return { ...wanted, services };
        },
        warm,
      );
    });
    const isSame = used.maps === known.maps;
    const attached = isSame ? known : await attachedNow(this.#tools, known);
    if (!dryRun) {
      this.#known = { ...filled.after, program: attached.program };
      this.#isWhole = true;
    }
    return { attached, filled };
  }

  async #stillTrue(attached: Attached): Promise<Warm | undefined> {
    const known = this.#known;
    if (known?.program !== attached.program) return undefined;
    const generation = await readGeneration(this.#tools, attached);
    return generation === known.state.device.generation ? known : undefined;
  }
}
