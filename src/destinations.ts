// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A file of destinations: rows of `address, MAC[, weight]`. It is read whole
 * and every bad row is reported; what comes out is right or nothing.
 */
import { CsvError, parse } from 'csv-parse/sync';

import { formatMac, parseAddress, parseMac, unusableAddress } from './address.js';

export const MAX_WEIGHT = 65535;

export interface DestinationRow {
  address: string;
  /** Undefined: to be resolved. */
  mac: string | undefined;
  /** 0 takes no new connections. */
  weight: number;
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

/** Reads files as one: an address may stand in all of them only once. */
export function parseDestinations(files: readonly DestinationFile[]): ParsedDestinations {
  const rows: DestinationRow[] = [];
  const problems: string[] = [];
  const seen = new Map<string, string>();
  for (const file of files) {
    const before = rows.length + problems.length;
    for (const row of parseFile(file, problems)) {
      const first = seen.get(row.address);
      if (first === undefined) {
        seen.set(row.address, row.place);
        rows.push(row);
      } else {
        problems.push(`${row.place}: ${row.address} is already on ${first}`);
      }
    }
    if (rows.length + problems.length === before) {
      problems.push(
        `${file.name}:1: no destination in the file; a row is: address, MAC[, weight]`,
      );
    }
  }
  return { rows, problems };
}

/** What csv-parse gives with `info`; its types do not know of it. */
interface CsvRecord {
  record: string[];
  info: { lines: number };
}

function parseFile(file: DestinationFile, problems: string[]): DestinationRow[] {
  let records: CsvRecord[];
  try {
    records = parse(file.text, {
      bom: true,
      comment: '#',
      info: true,
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
    }) as unknown as CsvRecord[];
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const line = typeof error.lines === 'number' ? error.lines : 1;
    problems.push(`${file.name}:${line}: ${csvReason(error)}`);
    return [];
  }
  const rows: DestinationRow[] = [];
  records.forEach(({ record, info }, index) => {
    const place = `${file.name}:${info.lines}`;
    if (record.every((cell) => cell === '')) return;
    if (index === 0 && record[0]?.toLowerCase() === 'address') return;
    const row = parseRow(record, place);
    if (typeof row === 'string') problems.push(`${place}: ${row}`);
    else rows.push(row);
  });
  return rows;
}

/** A row, or all that is wrong with it. */
function parseRow(cells: string[], place: string): DestinationRow | string {
  const [address = '', mac = '', weight = ''] = cells;
  const faults: string[] = [];

  const parsed = parseAddress(address);
  const unusable = parsed && unusableAddress(parsed);
  if (!parsed) faults.push(`"${address}" is not an IPv4 address`);
  else if (unusable) faults.push(`${address} cannot be a destination: ${unusable}`);

  const bytes = mac === '' ? undefined : parseMac(mac);
  if (mac !== '') {
    const fault = bytes ? unusableMac(bytes) : 'it is not six pairs of hex digits';
    if (fault) faults.push(`"${mac}" is not a destination's MAC address: ${fault}`);
  }

  if (weight !== '' && !(/^\d{1,5}$/.test(weight) && Number(weight) <= MAX_WEIGHT)) {
    faults.push(`"${weight}" is not a weight from 0 to ${MAX_WEIGHT}`);
  }
  if (cells.length > 3) faults.push(`${cells.length} columns, of at most 3`);

  if (faults.length > 0) return faults.join('; ');
  return {
    address,
    mac: bytes && formatMac(bytes),
    weight: weight === '' ? 1 : Number(weight),
    place,
  };
}

function unusableMac(mac: Buffer): string | undefined {
  if (mac.every((byte) => byte === 0)) return 'it is all zero';
  if ((mac[0] ?? 0) & 1) return 'it is a group address';
  return undefined;
}

function csvReason(error: CsvError): string {
  if (error.code === 'CSV_QUOTE_NOT_CLOSED') return 'a quote is opened and never closed';
  if (error.code === 'INVALID_OPENING_QUOTE') return 'a quote stands inside a cell';
  return error.message;
}
