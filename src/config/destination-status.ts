// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads what l4lb-load --decap --status --json printed at a destination. */
import { DECAP_PROGRAM_NAME } from '../abi/maps.js';
import { Fault, tryParse } from '../text/fault.js';
import { parseDocuments } from '../text/json-documents.js';
import { printableLine } from '../text/printable.js';
import { formatAddress, parseAddress } from '../wire/address.js';
import type { Names } from '../wire/names.js';
import { joinNames, parseNames } from '../wire/names.js';

/** What a destination knows of a sibling. Ages are seconds before it was printed. */
export interface SiblingSeen {
  /** For how long it has known the sibling, and counted. */
  known: number;
  /** How long ago the last packet came from the sibling and found a socket. */
  found: number | undefined;
  /** How long ago the last packet named the sibling first and found a socket. */
  named: number | undefined;
  /** Whether it sends on to a MAC that is not the one its kernel knows. */
  isMisled: boolean;
}

/** One destination's program, at one moment. */
export interface DestinationStatus {
  /** When it was printed, by the destination's clock: milliseconds, as Date.now(). */
  time: number;
  names: Names;
  /** Its own addresses that can be named. */
  self: string[];
  siblings: ReadonlyMap<string, SiblingSeen>;
}

/** Reads all programs in a file, or throws a Fault about the first that is wrong. */
export function readStatuses(text: string): DestinationStatus[] {
  const documents = parseDocuments(text);
  if (documents.length === 0) throw new Fault('it is empty');
  return documents.flatMap(readDocument);
}

function readDocument(document: unknown): DestinationStatus[] {
  const status = asObject(document, 'a status');
  const device = asText(status.interface, 'interface');
  const where = printableLine(device);
  const programs = asList(status.programs, 'programs').map((one) =>
    asObject(one, 'a program'),
  );
  if (programs.length === 0) throw new Fault(`${where} had no XDP program`);
  return programs.map((program) => {
    const name = asText(program.name, 'name');
    if (/^l4lb_decap_\d+$/.test(name) && name !== DECAP_PROGRAM_NAME) {
      throw new Fault(`${where} has ${name}, which is of another version of l4lb`);
    }
    if (name !== DECAP_PROGRAM_NAME) {
      throw new Fault(
        `${where} has ${printableLine(name) || 'a nameless program'}, not the decapsulation program`,
      );
    }
    if (program.names === undefined) {
      throw new Fault(`the decapsulation program on ${where} has no --names`);
    }
    return readProgram(program, asTime(status.time, 'time'));
  });
}

function readProgram(program: Fields, time: number): DestinationStatus {
  const names = joinNames(
    asList(program.names, 'names').map((one) => parseNames(asText(one, 'names'))),
  );
  const self = asList(program.self, 'self').map((one) => asAddress(one));
  if (self.length === 0) {
    throw new Fault('it does not say which destination it is: "self" is empty');
  }
  const siblings = asList(program.siblings, 'siblings').map((one) => {
    const { address, ...fields } = asObject(one, 'a sibling');
    return [asAddress(address), readSibling(fields, time)] as const;
  });
  return { time, names, self, siblings: new Map(siblings) };
}

function readSibling(fields: Fields, time: number): SiblingSeen {
  const age = (value: unknown, name: string): number => {
    const seconds = (time - asTime(value, name)) / 1000;
    // "time" is when the reading began, and packets come meanwhile.
    if (seconds < -60) throw new Fault(`"${name}" is later than "time"`);
    return Math.max(0, seconds);
  };
  const last = (name: string): number | undefined => {
    const { last } = asObject(fields[name], name);
    return last === null ? undefined : age(last, `${name}.last`);
  };
  const { mac, neighbour } = fields;
  return {
    known: age(fields.known_since, 'known_since'),
    found: last('found'),
    named: last('named'),
    isMisled: typeof neighbour === 'string' && neighbour !== mac,
  };
}

type Fields = Record<string, unknown>;

function asObject(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Fields;
  }
  throw notPrinted(`${what} is missing`);
}

function asList(value: unknown, name: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw notPrinted(`the list "${name}" is missing`);
}

function asText(value: unknown, name: string): string {
  if (typeof value === 'string') return value;
  throw notPrinted(`"${name}" is missing`);
}

function asTime(value: unknown, name: string): number {
  const text = asText(value, name);
  const time = Date.parse(text);
  if (Number.isFinite(time)) return time;
  throw new Fault(`"${name}" is not a time: ${printableLine(text)}`);
}

function asAddress(value: unknown): string {
  const text = asText(value, 'address');
  const address = tryParse(() => parseAddress(text));
  if (address && !(address instanceof Fault)) return formatAddress(address);
  throw new Fault(`"${printableLine(text)}" is not an IP address`);
}

function notPrinted(what: string): Fault {
  return new Fault(
    `this version's l4lb-load --decap --status --json did not print it: ${what}`,
  );
}
