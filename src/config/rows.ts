// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The destinations of a service in a config file: in it, or in a CSV file. */
import type { Path } from './toml-lines.js';
import { DESTINATION_KEYS, namesOf } from './keys.js';
import { Table, isTable } from './section.js';
import { readDestination, readFileName, readMac, readWeight } from './values.js';
import type { DestinationFile, DestinationRow } from './destinations-csv.js';
import { parseDestinations } from './destinations-csv.js';

/** Opens a file that is named in the config file; throws a Fault where it cannot be read. */
export type OpenFile = (name: string) => DestinationFile;

export function readRows(table: Table, open: OpenFile): DestinationRow[] {
  if (table.has('destinations') && table.has('file')) {
    table.fault('file', 'there are `destinations` as well; take one of the two');
    return [];
  }
  if (table.has('file')) return readRowsOfFile(table, open);
  if (!table.has('destinations')) {
    table.fault('destinations', 'there are none; name them, or a file with them');
    return [];
  }
  const elements = table.elements('destinations', 'a list of destinations');
  if (elements?.length === 0) table.fault('destinations', 'there are none');
  const places = new Map<string, string>();
  return (elements ?? []).flatMap((value, index) => {
    const row = readRow(table, table.at('destinations', index), value);
    if (!row) return [];
    const first = places.get(row.address);
    places.set(row.address, first ?? row.place);
    if (first === undefined) return [row];
    const reason = `${row.address} is already on ${first}`;
    table.problems.add(table.at('destinations', index), reason);
    return [];
  });
}

function readRowsOfFile(table: Table, open: OpenFile): DestinationRow[] {
  const file = table.get('file', (value) => open(readFileName(value)));
  if (file === undefined) return [];
  const { rows, problems } = parseDestinations([file]);
  table.problems.addAll(table.at('file'), problems);
  return rows;
}

/** A table, or an address alone. */
function readRow(table: Table, path: Path, value: unknown): DestinationRow | undefined {
  const values = isTable(value) ? value : { address: value };
  const row = new Table(table.problems, path, values);
  row.checkKeys(namesOf(DESTINATION_KEYS));
  if (!row.has('address')) row.fault('address', 'it is missing');
  const address = row.get('address', readDestination);
  const mac = row.get('mac', readMac);
  const weight = row.get('weight', readWeight) ?? 1;
  return address === undefined
    ? undefined
    : { address, mac, weight, place: table.problems.place(path) };
}
