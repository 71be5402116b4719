// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** How often l4lbd has filled the tables, why, and how many slots that moved. */
import type { Cause, Changes } from '../api/status.js';
import type { Plan } from '../plan/service.js';

export class FillCounts {
  readonly #all: Record<Cause, Changes> = {
    ...{ start: none(), file: none(), health: none(), hand: none() },
  };

  get all(): Readonly<Record<Cause, Changes>> {
    return this.#all;
  }

  /** Takes one fill, which took so many milliseconds. */
  count(
    cause: Cause,
    took: number,
    plans: readonly Pick<Plan, 'slotsMoved' | 'slotsIdeal'>[],
  ): void {
    const changes = this.#all[cause];
    changes.fills++;
    changes.seconds += took / 1000;
    for (const { slotsMoved, slotsIdeal } of plans) {
      changes.slots_moved += slotsMoved;
      changes.slots_ideal += slotsIdeal;
    }
  }
}

function none(): Changes {
  return { fills: 0, slots_moved: 0, slots_ideal: 0, seconds: 0 };
}
