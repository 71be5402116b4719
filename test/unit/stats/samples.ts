// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Samples for the tests of what draws them. */
import { VERDICTS } from '../../../src/abi/verdicts.js';
import type { VerdictName } from '../../../src/abi/verdicts.js';
import type { DestinationRates, Rates, Sample } from '../../../src/stats/sample.js';

/** Rates of frames of 144 bytes; a thousand seconds have passed since the load. */
export function rates(pps: number): Rates {
  const packets = BigInt(Math.round(pps)) * 1000n;
  return { packets, bytes: packets * 144n, pps, bps: pps * 144 * 8 };
}

/** A destination for each address, in the order given, ids from 1. */
export function sample(
  perDestination: Record<string, number>,
  perVerdict: Partial<Record<VerdictName, number>> = {},
): Sample {
  const destinations: DestinationRates[] = Object.entries(perDestination).map(
    ([address, pps], index) => ({ id: index + 1, address, ...rates(pps) }),
  );
  const verdicts = VERDICTS.map(({ name }) => [name, rates(perVerdict[name] ?? 0)]);
  return {
    time: new Date('2026-11-21T09:00:00Z'),
    interface: 'ens4',
    mode: 'Driver',
    interval: 1,
    uptime: 93_784,
    destinations,
    totals: rates(Object.values(perDestination).reduce((sum, pps) => sum + pps, 0)),
    verdicts: Object.fromEntries(verdicts) as Record<VerdictName, Rates>,
    records: { sets: 1 << 17, seen: 256, full: 0, limited: undefined },
  };
}

/** The same with answers of these destinations, in packets a second. */
export function withAnswers(one: Sample, back: Record<string, number>): Sample {
  const sum = Object.values(back).reduce((all, pps) => all + pps, 0);
  return {
    ...one,
    destinations: one.destinations.map((destination) => {
      const pps = back[destination.address];
      return pps === undefined ? destination : { ...destination, answers: rates(pps) };
    }),
    answers: rates(sum),
  };
}

/** Destinations 10.0.0.1, 10.0.0.2, ... 10.0.1.0, ..., each faster than the last. */
export function manyDestinations(count: number): Record<string, number> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => {
      const last = index + 1;
      return [`10.0.${last >> 8}.${last & 255}`, 1000 + index];
    }),
  );
}
