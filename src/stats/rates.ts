// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Computes the rates between two readings of the counters. */
import type { Counter } from '../abi/counter.js';
import type { VerdictName } from '../abi/verdicts.js';
import { VERDICTS } from '../abi/verdicts.js';
import { countedUnder, totalOf } from '../program/reading.js';
import type { Reading, Subject } from '../program/reading.js';
import { must } from '../text/must.js';
import { sortedByName } from '../wire/endpoint.js';
import type { DestinationRates, Rates, Sample } from './sample.js';

/** Returns what happened between two readings. */
export function sampleBetween(
  subject: Subject,
  before: Reading,
  now: Reading,
): Omit<Sample, 'records' | 'ports'> {
  const interval = now.at - before.at;
  const rates = (counter: Counter, earlier: Counter | undefined): Rates =>
    ratesOf(counter, earlier, interval);

  const { returned } = now;
  const answersOf = (id: number): Pick<DestinationRates, 'answers'> => {
    const counter = returned?.destinations.get(id);
    return counter
      ? { answers: rates(counter, before.returned?.destinations.get(id)) }
      : {};
  };

  const destinations = inOrder(subject).map(([id, address]): DestinationRates => ({
    id,
    address,
    ...rates(
      must(now.destinations.get(id), `the counter of ${address}`),
      before.destinations.get(id),
    ),
    ...answersOf(id),
  }));

  // Balanced packets count as they were sent, with the outer header. Its length cannot be
  // subtracted, because it is unknown for ids that have no destination any more.
  const totals = rates(totalOf(now), totalOf(before));
  const verdicts = Object.fromEntries(
    VERDICTS.map((verdict) => [
      verdict.name,
      rates(countedUnder(now, verdict), countedUnder(before, verdict)),
    ]),
  ) as Record<VerdictName, Rates>;

  return {
    time: now.time,
    interface: subject.interface,
    mode: subject.mode,
    interval,
    uptime: Math.max(0, now.at - subject.loadedAt),
    destinations,
    totals,
    ...(returned && {
      answers: rates(totalOf(returned), before.returned && totalOf(before.returned)),
    }),
    verdicts,
  };
}

/** To sort thousands of addresses takes longer than all the rest of a sample. */
const orders = new WeakMap<Subject, readonly (readonly [number, string])[]>();

function inOrder(subject: Subject): readonly (readonly [number, string])[] {
  const known = orders.get(subject);
  if (known) return known;
  const sorted = sortedByName([...subject.destinations], ([, address]) => address);
  orders.set(subject, sorted);
  return sorted;
}

/** A counter that went back has a new owner, whose rate is not known yet: it is 0. */
function ratesOf(now: Counter, before: Counter | undefined, interval: number): Rates {
  const perSecond = (sum: bigint): number => Math.max(0, Number(sum) / interval);
  const isKnown = before !== undefined && interval > 0;
  return {
    ...now,
    pps: isKnown ? perSecond(now.packets - before.packets) : 0,
    bps: isKnown ? perSecond((now.bytes - before.bytes) * 8n) : 0,
  };
}
