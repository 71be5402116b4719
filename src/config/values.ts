// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads the values of a config file, one function for each kind. */
import { Fault, tryParse } from '../text/fault.js';
import { TCP, UDP } from '../wire/protocols.js';
import { storableTime } from '../abi/cell.js';
import {
  ANY_ADDRESS,
  NO_ADDRESS,
  addressFault,
  formatAddress,
  formatMac,
  parseAddress,
  parseMac,
  unusableAddress,
} from '../wire/address.js';
import type { Reader, Section } from './section.js';
import { MAX_WEIGHT, hostOf, unusableMac } from './destinations-csv.js';
import { parseEndpoint } from '../wire/endpoint.js';
import { nearestOf, show } from './problems.js';
import type { Names, NamesPrefix } from '../wire/names.js';
import { joinNames, parseNames } from '../wire/names.js';
import type { SlotSeed } from '../wire/slot-seed.js';
import { parseSlotSeed } from '../wire/slot-seed.js';
import type { Source, Sources } from '../wire/outer-source.js';
import { TWO_SOURCES, joinSources, parseSource } from '../wire/outer-source.js';
import type { Way } from '../wire/way.js';
import { parseWays } from '../wire/way.js';

/** A week. A longer time means to wait for ever. */
export const MAX_SECONDS = 604_800;
const UNITS = new Map([
  ['', 1],
  ['s', 1],
  ['m', 60],
  ['h', 3600],
]);

export function readName(value: unknown): string {
  if (typeof value === 'string' && /^[A-Za-z0-9[][\w.:/[\]-]{0,62}$/.test(value))
    return value;
  throw new Fault(
    `${show(value)} is not a name: at most 63 letters, digits and _ . : / - [ ], ` +
      'with a letter, a digit or [ in front',
  );
}

export function readBoolean(value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new Fault(`${show(value)} is neither true nor false`);
}

export function readFileName(value: unknown): string {
  if (typeof value === 'string' && /^[^\0]+$/.test(value)) return value;
  throw new Fault(`${show(value)} is not the name of a file`);
}

/** Reads one of several words. */
export function oneOf<T extends string>(words: readonly T[]): Reader<T> {
  return (value) => {
    const word = words.find((one) => one === value);
    if (word !== undefined) return word;
    const nearest = typeof value === 'string' ? nearestOf(value, words) : undefined;
    const all = words.map((one) => `"${one}"`).join(' or ');
    throw new Fault(
      `${show(value)} is not ${all}` +
        (nearest === undefined ? '' : `; did you mean "${nearest}"?`),
    );
  };
}

export function readSlots(value: unknown): number {
  const isPower =
    typeof value === 'number' &&
    Number.isInteger(value) &&
    value > 0 &&
    value <= 1 << 23 &&
    (value & (value - 1)) === 0;
  if (isPower) return value;
  throw new Fault(`${show(value)} is not a power of two, such as 65536`);
}

/** Reads seconds, as a number or with a unit, as exactly as the maps can hold them. */
export function readDuration(value: unknown): number {
  const [, digits, unit] = /^(\d{1,7})([smh]?)$/.exec(String(value)) ?? [];
  const seconds = Number(digits) * (UNITS.get(unit ?? '') ?? NaN);
  const isText = typeof value === 'number' || typeof value === 'string';
  if (isText && seconds >= 1 && seconds <= MAX_SECONDS) return storableTime(seconds);
  throw new Fault(
    `${show(value)} is not a time from 1 to ${MAX_SECONDS} seconds, such as 300, "300s" or "5m"`,
  );
}

/** Reads the address of a destination, with a port or not. */
export function readDestination(value: unknown): ReturnType<typeof hostOf> {
  if (typeof value === 'string') return hostOf(parseEndpoint(value));
  throw new Fault(`${show(value)} ${NO_ADDRESS}`);
}

/** Returns the address as text in its one form, which messages need. */
function readHost(what: string): Reader<string> {
  return (value) => {
    const address = typeof value === 'string' ? parseAddress(value) : undefined;
    if (!address) throw new Fault(`${show(value)} ${addressFault(String(value))}`);
    const unusable = unusableAddress(address);
    if (unusable) throw new Fault(`${String(value)} cannot be ${what}: ${unusable}`);
    return formatAddress(address);
  };
}
const readService = readHost("a service's address");

function readSource(value: unknown): Source {
  if (typeof value === 'string') return parseSource(value);
  throw new Fault(`${show(value)} ${NO_ADDRESS}`);
}

/** Reads one source, or a list with one for each family. */
export function readSources(section: Section): Sources | undefined {
  const sources = joinSources(section.list('source', readSource) ?? []);
  if (!sources) section.fault('source', TWO_SOURCES);
  return sources;
}

function readNamesPrefix(value: unknown): NamesPrefix {
  if (typeof value === 'string') return parseNames(value);
  throw new Fault(`${show(value)} is not a prefix, such as "10.7.0.0/16"`);
}

/** Reads the prefixes of sources that name destinations, one for each family at most. */
export function readNames(section: Section): Names {
  const all = section.list('names', readNamesPrefix) ?? [];
  const names = tryParse(() => joinNames(all));
  if (!(names instanceof Fault)) return names;
  section.fault('names', names.message);
  return {};
}

/** Reads the seed of slots. A message must not show it. */
export function readSlotSeed(value: unknown): SlotSeed {
  if (typeof value === 'string') return parseSlotSeed(value);
  throw new Fault('the seed is no text, such as "random"');
}

export function readServiceAddress(value: unknown): Buffer {
  if (value === 'any') return ANY_ADDRESS;
  return parseAddress(readService(value)) ?? ANY_ADDRESS;
}

/** Reads a port; 0 stands for all. */
export function readPort(value: unknown): number {
  if (value === 'all') return 0;
  const isPort =
    typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535;
  if (isPort) return value;
  throw new Fault(`${show(value)} is not a port from 1 to 65535, nor "all"`);
}

export function readProtocol(value: unknown): number {
  return oneOf(['tcp', 'udp'])(value) === 'tcp' ? TCP : UDP;
}

export function readWays(value: unknown): Way[] {
  const ways = tryParse(() => {
    if (typeof value === 'string') return parseWays(value);
    throw new Fault('it is not of the form ADDR[:PORT][/PROTO]');
  });
  if (!(ways instanceof Fault)) return ways;
  throw new Fault(`${show(value)} is not a way: ${ways.message}`);
}

export function readMac(value: unknown): string {
  const mac = typeof value === 'string' ? parseMac(value) : undefined;
  const fault = mac ? unusableMac(mac) : 'it is not six pairs of hex digits';
  if (mac && fault === undefined) return formatMac(mac);
  throw new Fault(`${show(value)} is not a destination's MAC address: ${fault ?? ''}`);
}

/** Reads the name of a device, as the kernel allows it. */
export function readDevice(value: unknown): string {
  const isName =
    typeof value === 'string' &&
    /^[^\s/:\p{Cc}]{1,15}$/u.test(value) &&
    !/^[-.]/.test(value);
  if (isName) return value;
  throw new Fault(`${show(value)} is not the name of a device, such as "eth1"`);
}

export function readWeight(value: unknown): number {
  const isWeight =
    typeof value === 'number' &&
    Number.isInteger(value) &&
    value >= 0 &&
    value <= MAX_WEIGHT;
  if (isWeight) return value;
  throw new Fault(`${show(value)} is not a weight from 0 to ${MAX_WEIGHT}`);
}
