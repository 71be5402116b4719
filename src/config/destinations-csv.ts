// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Reads a file of destinations: rows of `address, MAC[, weight]`. It reads the whole file
 * and reports every bad row. The result is either completely right or not there at all.
 */
import { at } from '../text/must.js';
import { parse } from 'csv-parse/sync';

import { Fault, tryParse } from '../text/fault.js';
import {
  ANY_ADDRESS,
  formatAddress,
  formatMac,
  fromIpv4,
  parseMac,
} from '../wire/address.js';
import type { Endpoint } from '../wire/endpoint.js';
import { formatEndpoint, parseEndpoint } from '../wire/endpoint.js';

export const MAX_WEIGHT = 65535;

export interface DestinationRow {
  /** Of its host, in one form, however it was written. */
  address: string;
  /** That its packets get; undefined: they keep theirs. */
  port?: number | undefined;
  /** A server on this host. */
  isLocal?: true | undefined;
  /** Undefined: l4lb looks it up. */
  mac: string | undefined;
  /** The device that leads to it; undefined: l4lb finds it, or takes its own for a row with a MAC. */
  device?: string | undefined;
  /** 0: takes no new connections. */
  weight: number;
  /** It stands in when no other one serves. */
  isBackup?: true | undefined;
  /** FILE:LINE, for messages. */
  place: string;
}

export interface DestinationFile {
  name: string;
  text: string;
}

export interface ParsedDestinations {
  rows: DestinationRow[];
  /** `FILE:LINE: reason`, one for each fault. */
  problems: string[];
}

/** What tells a row from the others of its service, as the user writes it. */
export function nameOfRow({ address, port = 0, isLocal }: DestinationRow): string {
  const host = address.includes(':') && port !== 0 ? `[${address}]` : address;
  return `${isLocal ? 'local:' : ''}${port === 0 ? host : `${host}:${port}`}`;
}

/** Reads files as one: a destination may stand in all of them only once. */
export function parseDestinations(files: readonly DestinationFile[]): ParsedDestinations {
  const rows: DestinationRow[] = [];
  const problems: string[] = [];
  const seen = new Map<string, string>();
  for (const file of files) {
    const parsed = parseFile(file);
    if (parsed.length === 0) {
      problems.push(
        `${file.name}:1: no destination in the file; a row is: address, MAC[, weight]`,
      );
    }
    for (const { place, row } of parsed) {
      const first = row instanceof Fault ? undefined : seen.get(nameOfRow(row));
      if (row instanceof Fault) {
        problems.push(`${place}: ${row.message}`);
      } else if (first !== undefined) {
        problems.push(`${place}: ${nameOfRow(row)} is already on ${first}`);
      } else {
        seen.set(nameOfRow(row), place);
        rows.push(row);
      }
    }
  }
  return { rows, problems };
}

interface ParsedRow {
  place: string;
  row: DestinationRow | Fault;
}

/**
 * csv-parse gets the lines that hold something: its own count of lines takes as long as
 * half of its parsing. No cell of ours contains a comma or a line break, so it need not
 * know quotes. An unclosed quote then does not swallow the next rows.
 */
function parseFile({ name, text }: DestinationFile): ParsedRow[] {
  const lines = text
    .replace(/^\ufeff/, '')
    .split(/\r\n?|\n/)
    .map((line, index) => ({ text: withoutComment(line), place: `${name}:${index + 1}` }))
    .filter((line) => line.text !== '');
  const records = parse(lines.map((line) => line.text).join('\n'), {
    quote: false,
    record_delimiter: '\n',
    relax_column_count: true,
  });
  const rows = lines
    .map(({ place }, index) => ({ cells: at(records, index).map(cellOf), place }))
    .filter(({ cells }) => cells.some((cell) => cell !== ''));
  const isHeader = rows[0]?.cells[0]?.toLowerCase() === 'address';
  return rows
    .slice(isHeader ? 1 : 0)
    .map(({ cells, place }) => ({ place, row: tryParse(() => parseRow(cells, place)) }));
}

function withoutComment(line: string): string {
  const start = line.indexOf('#');
  return (start < 0 ? line : line.slice(0, start)).trim();
}

/** Without the quotes that spreadsheets like to put around a cell. */
function cellOf(text: string): string {
  const cell = text.trim();
  const inner = cell.startsWith('"') ? /^"(.*)"$/.exec(cell)?.[1] : undefined;
  return inner === undefined ? cell : inner.trim();
}

/**
 * Messages print a cell as JSON, since it may hold anything, escape sequences included.
 */
function parseRow(cells: string[], place: string): DestinationRow {
  const [address = '', mac = '', weight = ''] = cells;
  if (cells.some((cell) => cell.includes('"'))) {
    throw new Fault('a quote stands inside a cell, or is never closed');
  }
  const faults: string[] = [];

  const parsed = tryParse(() => parseEndpoint(address));
  if (parsed instanceof Fault) faults.push(parsed.message);

  const bytes = mac === '' ? undefined : parseMac(mac);
  if (mac !== '') {
    const fault = bytes ? unusableMac(bytes) : 'it is not six pairs of hex digits';
    if (fault)
      faults.push(`${JSON.stringify(mac)} is not a destination's MAC address: ${fault}`);
  }

  if (weight !== '' && !(/^\d{1,5}$/.test(weight) && Number(weight) <= MAX_WEIGHT)) {
    faults.push(`${JSON.stringify(weight)} is not a weight from 0 to ${MAX_WEIGHT}`);
  }
  const isLocal = !(parsed instanceof Fault) && parsed.forward === 'local';
  if (isLocal && mac !== '') faults.push(`${address} is on this host: leave its MAC out`);
  if (cells.length > 3) faults.push(`${cells.length} columns, of at most 3`);

  if (parsed instanceof Fault || faults.length > 0) throw new Fault(faults.join('; '));
  return {
    ...hostOf(parsed),
    mac: bytes && formatMac(bytes),
    weight: weight === '' ? 1 : Number(weight),
    place,
  };
}

const ANY = [ANY_ADDRESS, fromIpv4(Buffer.alloc(4))].map(formatAddress);

/** What a row has of its endpoint. */
export function hostOf({
  address,
  port,
  forward,
}: Endpoint): Pick<DestinationRow, 'address' | 'port' | 'isLocal'> {
  const host = { address: formatAddress(address), ...(port !== undefined && { port }) };
  if (forward !== 'local') return host;
  if (ANY.includes(host.address)) {
    throw new Fault(
      'name one address of this host; a server that listens on all of them listens there too',
    );
  }
  if (port !== undefined) return { ...host, isLocal: true };
  const name = formatEndpoint({ address, port: 223, forward });
  throw new Fault(`a server on this host needs the port that it listens on: ${name}`);
}

/** Why an address cannot be that of a destination, or undefined. */
export function unusableMac(mac: Buffer): string | undefined {
  if (mac.every((byte) => byte === 0)) return 'it is all zero';
  if (at(mac, 0) & 1) return 'it is a group address';
  return undefined;
}
