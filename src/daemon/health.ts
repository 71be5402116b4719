// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Makes the health of the services of a file, from what the tables hold now. */
import type { WantedCheck } from '../config/check.js';
import { checkedPort } from '../config/check.js';
import { addressesOf } from '../config/via.js';
import type { DestinationRow } from '../config/destinations-csv.js';
import { nameOfRow } from '../config/destinations-csv.js';
import type { Check } from '../health/check.js';
import { keyOf } from '../health/check.js';
import type { Condition } from '../health/condition.js';
import { firstCondition } from '../health/condition.js';
import type { Decided, Destination } from '../health/service.js';
import { ServiceHealth } from '../health/service.js';
import type { Given } from '../health/weights.js';
import { unscaled } from '../health/weights.js';
import type { ResolvedService } from '../plan/all.js';
import { endpointOf } from './live.js';

/** What is known of a destination from before: of this process, or of one before it. */
export interface Known extends Decided {
  condition: Condition;
}

/** What the tables give to a destination of a service; undefined: it is not there. */
export type LiveOf = (service: string, row: DestinationRow) => Given | undefined;
export type KnownOf = (service: string, name: string) => Known | undefined;

export interface Health {
  services: ServiceHealth[];
  checks: Check[];
}

const NO_CHECK: Omit<
  WantedCheck,
  'question' | 'port' | 'timeout' | 'via' | 'isViaWanted' | 'viaPlace'
> = {
  ...{ interval: 0, fast: 0, rise: 1, fall: 1, deadAfter: Infinity, slowStart: 0 },
  ...{ onPanic: 'off', allDown: 'serve', mostMoves: 100 },
};

export function makeHealth(
  services: readonly ResolvedService[],
  liveOf: LiveOf,
  knownOf: KnownOf,
  now: number,
): Health {
  const checks = new Map<string, Check>();
  const made = services.map((service) => {
    const { name, check, rows } = service;
    const live = unscaled(
      rows.map((row) => liveOf(name, row)),
      rows.map(({ weight }) => weight),
    );
    // In a service that is new, there is nothing that could be kept.
    const isNew = live.every((one) => one === undefined);
    const destinations = rows.map((row, index): Destination => {
      const one = check && checkOf(check, service, row);
      if (one) checks.set(one.key, one);
      const known = knownOf(name, nameOfRow(row));
      const getsPackets =
        isNew || !check || (live[index]?.weight ?? 0) > 0 || row.weight === 0;
      return {
        ...{ name: nameOfRow(row), key: one?.key, weight: row.weight },
        isBackup: row.isBackup ?? false,
        ...{ byHand: known?.byHand, weightByHand: known?.weightByHand },
        condition: known?.condition ?? firstCondition(now, getsPackets),
      };
    });
    const { interval, fast, onPanic, ...patience } = check ?? NO_CHECK;
    const given = live.map(
      (one, index) =>
        one ?? { weight: isNew ? (rows[index]?.weight ?? 0) : 0, isForgotten: false },
    );
    return new ServiceHealth(
      name,
      { patience, onPanic, interval, fast },
      destinations,
      given,
    );
  });
  return { services: made, checks: [...checks.values()] };
}

/** By the tables it goes to the addresses of the service; a server on this host has none. */
function checkOf(
  check: WantedCheck,
  service: ResolvedService,
  row: DestinationRow,
): Check {
  const { question, interval, timeout, via = 'address' } = check;
  const port = checkedPort(check, service.ways, row);
  if (via === 'address' || row.isLocal) {
    const probe = { ...question, address: row.address, port };
    return { key: keyOf(probe, interval, timeout), probe, interval, timeout };
  }
  const [address = '', ...alsoAt] = addressesOf(service);
  const probe = { ...question, address, port, ...(alsoAt.length > 0 && { alsoAt }) };
  const through = { service: service.name, destination: endpointOf(row) };
  const key = keyOf(probe, interval, timeout, through);
  return { key, probe, interval, timeout, through };
}
