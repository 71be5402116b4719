// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Writes a sample as JSON. Other programs rely on these names. */
import { portsJson } from '../plan/port-use.js';
import { recordsJson } from '../plan/records.js';
import type { DestinationRates, Rates, Sample } from './sample.js';

export function sampleJson(sample: Sample): Record<string, unknown> {
  return {
    time: sample.time.toISOString(),
    interface: sample.interface,
    mode: sample.mode,
    interval_s: round(sample.interval, 6),
    destinations: sample.destinations.map((one: DestinationRates) => ({
      id: one.id,
      address: one.address,
      ...ratesJson(one),
      ...answersJson(one),
    })),
    totals: { ...ratesJson(sample.totals), ...answersJson(sample) },
    verdicts: Object.fromEntries(
      Object.entries(sample.verdicts).map(([name, rates]) => [name, ratesJson(rates)]),
    ),
    records: recordsJson(sample.records),
    ...portsJson(sample.ports),
  };
}

/** Only where answers come back and are counted. */
function answersJson({ answers }: Pick<Sample, 'answers'>): Record<string, unknown> {
  return answers ? { answers: ratesJson(answers) } : {};
}

function ratesJson({ packets, bytes, pps, bps }: Rates): Record<string, unknown> {
  return { packets, bytes, pps: round(pps, 1), bps: round(bps, 1) };
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
