// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What was counted in the last ten minutes, for whoever opens the page. */
import type { History } from '../api/history.js';
import { HISTORY_EVERY, HISTORY_FOR } from '../api/history.js';
import type { Count, ServiceStatus, Status } from '../api/status.js';

interface Sample {
  time: string;
  services: Map<string, Pick<ServiceStatus, 'counted' | 'healthy' | 'weight'>>;
  dropped: Count['packets'] | null;
}

const MOST = HISTORY_FOR / HISTORY_EVERY;

export class LastMinutes {
  readonly #samples: Sample[] = [];

  add({ time, services, verdicts }: Status): void {
    const drops = verdicts?.filter(({ action }) => action === 'DROP');
    this.#samples.push({
      time,
      services: new Map(
        services.map(({ name, counted, healthy, weight }) => [
          name,
          { counted, healthy, weight },
        ]),
      ),
      dropped: drops?.reduce((sum, { packets }) => sum + BigInt(packets), 0n) ?? null,
    });
    if (this.#samples.length > MOST) this.#samples.shift();
  }

  history(): History {
    const samples = this.#samples;
    const names = new Set(samples.flatMap(({ services }) => [...services.keys()]));
    return {
      times: samples.map(({ time }) => time),
      services: [...names].map((name) => {
        const all = samples.map(({ services }) => services.get(name));
        return {
          name,
          packets: all.map((one) => one?.counted?.packets ?? null),
          bytes: all.map((one) => one?.counted?.bytes ?? null),
          healthy: all.map((one) => one?.healthy ?? null),
          weight: all.map((one) => one?.weight ?? null),
        };
      }),
      dropped: samples.map(({ dropped }) => dropped),
    };
  }
}
