// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The table of destinations: what its rows say, their order, and which are shown. */
import type { DestinationStatus, ServiceStatus, Status } from '../../api/status.js';
import { conditionOf } from '../../api/words.js';

export interface Row {
  /** Of the service and the destination together. */
  key: string;
  service: string;
  name: string;
  destination: DestinationStatus;
  condition: string;
  isWell: boolean;
  weight: string;
  /** Parts of its service, from 0 to 1; null: not known. */
  expected: number;
  slotShare: number | null;
  packetShare: number | null;
  /** Packets a second. */
  rate: number | null;
  check: string;
}

/** A backup that nobody needs is well with weight 0. */
export function isWell(one: DestinationStatus): boolean {
  return conditionOf(one) === 'up' || (one.last === null && one.state === 'unknown');
}

/** Packets a second of a destination; null: not known. */
export type RateOf = (key: string) => number | null;

export function keyOf(service: string, destination: string): string {
  return `${service} ${destination}`;
}

export function rowsOf(status: Status, rateOf: RateOf, service?: string): Row[] {
  return status.services
    .filter(({ name }) => service === undefined || name === service)
    .flatMap((one) => rowsOfService(one, rateOf));
}

/**
 * Packets a second of a destination, on average: shares of fewer are chance, and so the
 * slots say more.
 */
const FEWEST = 20;

function rowsOfService(service: ServiceStatus, rateOf: RateOf): Row[] {
  const { name, destinations } = service;
  const whole = destinations.reduce((sum, { live }) => sum + live, 0);
  const rates = destinations.map((one) => rateOf(keyOf(name, one.name)));
  const allPackets = rates.reduce<number>((sum, rate) => sum + (rate ?? 0), 0);
  const isEnough = whole > 0 && allPackets >= FEWEST * rates.length;
  return destinations.map((destination, index) => {
    const rate = rates[index] ?? null;
    const { live, weight, slots } = destination;
    return {
      ...{ key: keyOf(name, destination.name), service: name, name: destination.name },
      ...{ destination, condition: conditionOf(destination) },
      isWell: isWell(destination),
      weight: live === weight ? String(weight) : `${live} of ${weight}`,
      expected: part(live, whole),
      slotShare: slots === null ? null : part(slots, service.slots),
      packetShare: isEnough ? part(rate ?? 0, allPackets) : null,
      ...{ rate, check: checkText(destination) },
    };
  });
}

function part(some: number, all: number): number {
  return all > 0 ? some / all : 0;
}

/** How its last check ended, and why. */
export function checkText({ last, reason }: DestinationStatus): string {
  if (last === null) return 'not checked';
  const word = last.passed === null ? 'said nothing' : last.passed ? 'passed' : 'failed';
  const why = last.passed === true ? reason && `before: ${reason}` : last.reason;
  return `${word} in ${last.ms} ms${why === '' ? '' : `: ${why}`}`;
}

export const COLUMNS = [
  ...(['state', 'name', 'service', 'weight', 'slots'] as const),
  ...(['share', 'packets', 'check'] as const),
] as const;
export type Column = (typeof COLUMNS)[number];

export interface Order {
  by: Column;
  isDown: boolean;
}

/** The worst first. */
const SEVERITY = [
  ...['dead', 'down', 'suspect', 'down by hand', 'drained', 'unknown', 'starting', 'up'],
];

const KEYS: Record<Column, (row: Row) => number | string> = {
  state: (row) => SEVERITY.indexOf(row.condition),
  name: (row) => row.name,
  service: (row) => row.service,
  weight: (row) => row.destination.live,
  slots: (row) => row.destination.slots ?? -1,
  /** By how far it is from what it should get. */
  share: (row) => Math.abs((row.packetShare ?? row.slotShare ?? 0) - row.expected),
  packets: (row) => row.rate ?? -1,
  check: (row) => row.destination.last?.ms ?? -1,
};

const collator = new Intl.Collator('en', { numeric: true });

/** Rows that are equal keep the order of the file. */
export function sorted(rows: readonly Row[], { by, isDown }: Order): Row[] {
  const keyed = rows.map((row) => ({ row, key: KEYS[by](row) }));
  const sign = isDown ? -1 : 1;
  keyed.sort(({ key: one }, { key: other }) =>
    typeof one === 'number' && typeof other === 'number'
      ? sign * (one - other)
      : sign * collator.compare(String(one), String(other)),
  );
  return keyed.map(({ row }) => row);
}

/** Each word has to be in the name, the service, the state or the reason. */
export function filtered(
  rows: readonly Row[],
  words: string,
  isUnwellOnly: boolean,
): Row[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    if (isUnwellOnly && row.isWell) return false;
    if (wanted.length === 0) return true;
    const text = `${row.name} ${row.service} ${row.condition} ${row.check}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}

export function percent(share: number): string {
  const value = share * 100;
  return `${value.toFixed(value < 10 ? 2 : 1)}%`;
}
