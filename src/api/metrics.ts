// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A Status as text for Prometheus. Counters only rise, and rates are left to Prometheus.
 * What is null in the Status could not be seen, and is left out.
 */
import { OF_ALL, OF_BUILD, OF_PROGRAM, OF_RELOADS } from './metrics/daemon.js';
import type { Family } from './metrics/family.js';
import { OF_FLEET, OF_FLEET_TABLE } from './metrics/fleet.js';
import { OF_CHANGES, OF_VERDICTS } from './metrics/packets.js';
import {
  OF_CHECKS,
  OF_DESTINATIONS,
  OF_SERVICES,
  OF_STATES,
} from './metrics/services.js';
import type { Status } from './status.js';

export { serves } from './metrics/services.js';

/** Each takes things of its own kind, which no other one gives it. */
const FAMILIES = [
  ...[OF_BUILD, OF_PROGRAM, OF_ALL, OF_FLEET, OF_FLEET_TABLE],
  ...[OF_RELOADS, OF_CHANGES, OF_VERDICTS],
  ...[OF_SERVICES, OF_STATES, OF_DESTINATIONS, OF_CHECKS],
] as readonly Family<unknown>[];

/** All that there is, for the reference. */
export const METRICS = FAMILIES.flatMap(({ labels, metrics }) =>
  metrics.map(({ name, type, help }) => ({ name, type, help, labels })),
);

/** What a server says of the text. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function metricsOf(status: Status): string {
  return FAMILIES.flatMap((family) => textsOf(family, status)).join('');
}

/** A text for each metric, in one piece: of pieces there would be half a million. */
function textsOf<Of>({ labels, metrics, things }: Family<Of>, status: Status): string[] {
  const named: string[] = [];
  const all: Of[] = [];
  for (const [values, thing] of things(status)) {
    // There may be thousands, which each metric tells apart by the same text.
    named.push(labelsOf(labels, values));
    all.push(thing);
  }
  return metrics.map(({ name, type, help, of }) => {
    const lines: string[] = [];
    for (const [index, thing] of all.entries()) {
      const value = of(thing);
      if (value !== null) lines.push(`${name}${named[index] ?? ''} ${value}\n`);
    }
    if (lines.length === 0) return '';
    return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
  });
}

function labelsOf(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return '';
  let text = '';
  for (const [index, name] of names.entries())
    text += `${index === 0 ? '{' : ','}${name}="${escaped(values[index] ?? '')}"`;
  return `${text}}`;
}

const ESCAPES = new Map([
  ['\\', '\\\\'],
  ['"', '\\"'],
  ['\n', '\\n'],
]);

function escaped(value: string): string {
  return /[\\"\n]/.test(value)
    ? value.replace(/[\\"\n]/g, (one) => ESCAPES.get(one) ?? one)
    : value;
}
