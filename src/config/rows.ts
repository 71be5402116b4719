// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads the destinations of a service, which are in the config file or in a CSV file. */
import type { Path } from './toml-lines.js';
import { DESTINATION_KEYS, namesOf } from './keys.js';
import { Section, isSection } from './section.js';
import {
  readBoolean,
  readDestination,
  readDevice,
  readFileName,
  readMac,
  readWeight,
} from './values.js';
import type { DestinationFile, DestinationRow } from './destinations-csv.js';
import { nameOfRow, parseDestinations } from './destinations-csv.js';

/** Opens a file that the config file names; throws a Fault if it cannot be read. */
export type OpenFile = (name: string) => DestinationFile;

export function readRows(section: Section, open: OpenFile): DestinationRow[] {
  if (section.has('destinations') && section.has('file')) {
    section.fault('file', 'there are `destinations` as well; take one of the two');
    return [];
  }
  if (section.has('file')) return readRowsOfFile(section, open);
  if (!section.has('destinations')) {
    section.fault('destinations', 'there are none; name them, or a file with them');
    return [];
  }
  const elements = section.elements('destinations', 'a list of destinations');
  if (elements?.length === 0) section.fault('destinations', 'there are none');
  const places = new Map<string, string>();
  return (elements ?? []).flatMap((value, index) => {
    const row = readRow(section, section.at('destinations', index), value);
    if (!row) return [];
    const name = nameOfRow(row);
    const first = places.get(name);
    places.set(name, first ?? row.place);
    if (first === undefined) return [row];
    const reason = `${name} is already on ${first}`;
    section.problems.add(section.at('destinations', index), reason);
    return [];
  });
}

function readRowsOfFile(section: Section, open: OpenFile): DestinationRow[] {
  const file = section.get('file', (value) => open(readFileName(value)));
  if (file === undefined) return [];
  const { rows, problems } = parseDestinations([file]);
  section.problems.addAll(section.at('file'), problems);
  return rows;
}

/** Reads a destination: a table, or only an address. */
function readRow(
  section: Section,
  path: Path,
  value: unknown,
): DestinationRow | undefined {
  const values = isSection(value) ? value : { address: value };
  const row = new Section(section.problems, path, values);
  row.checkKeys(namesOf(DESTINATION_KEYS));
  if (!row.has('address')) row.fault('address', 'it is missing');
  const host = row.get('address', readDestination);
  const mac = row.get('mac', readMac);
  const weight = row.get('weight', readWeight) ?? 1;
  const device = row.get('device', readDevice);
  const isBackup = row.get('backup', readBoolean);
  for (const key of ['mac', 'device']) {
    if (host?.isLocal && row.has(key))
      row.fault(key, 'leave it out: this is on this host');
  }
  return host === undefined
    ? undefined
    : {
        ...host,
        ...{ mac, weight, place: section.problems.place(path) },
        ...(device !== undefined && { device }),
        ...(isBackup && { isBackup }),
      };
}
