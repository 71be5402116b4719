// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A config file: the text of l4lb.toml becomes a checked list of services, or
 * all that is wrong with it, by line and key. Files that it names are
 * opened by whoever calls.
 */
import { TomlError, parse } from 'smol-toml';

import { TABLES } from '../abi/cell.js';
import type { TableKind } from '../abi/cell.js';
import { TCP, UDP } from '../wire/protocols.js';
import { ANY_ADDRESS } from '../wire/address.js';
import { SERVICE_KEYS, TOP_KEYS, WAY_KEYS, namesOf } from './keys.js';
import { Table, isTable } from './section.js';
import type { OpenFile } from './rows.js';
import { readRows } from './rows.js';
import {
  oneOf,
  readBoolean,
  readDuration,
  readName,
  readPort,
  readProtocol,
  readServiceAddress,
  readSlots,
  readSources,
  readWays,
} from './values.js';
import type { DestinationFile, DestinationRow } from './destinations-csv.js';
import { many } from '../text/format.js';
import { Problems, show } from './problems.js';
import type { Sources } from '../wire/outer-source.js';
import { TomlLines } from './toml-lines.js';
import type { Way } from '../wire/way.js';
import { formatWay, wayKey } from '../wire/way.js';

export type HashInputs = 'source+ports' | 'source';
export type UdpChoice = 'current' | 'previous';

/** A service as the file wants it. */
export interface WantedService {
  name: string;
  /** FILE:LINE, for messages. */
  place: string;
  slotsPlace: string;
  ways: Way[];
  hash: HashInputs;
  /** Where UDP goes in a hot slot. */
  udp: UdpChoice;
  /** Undefined: as the command line says, or else consistent. */
  table: TableKind | undefined;
  takeSsh: boolean;
  /** Undefined: as many as it has, or the default of a new service. */
  slots: number | undefined;
  /** A family that is missing has the device's own address. */
  sources: Sources;
  /** Seconds; undefined: the default. */
  idle: number | undefined;
  /** Seconds; undefined: for as long as it takes. */
  drainDeadline: number | undefined;
  rows: DestinationRow[];
}

export interface Config {
  services: WantedService[];
  /** Whether ICMP echo to a service's address is answered. */
  echo: boolean;
  /** `FILE:LINE: key: reason`, one for each fault. */
  problems: string[];
}

export function parseConfig({ name, text }: DestinationFile, open: OpenFile): Config {
  let values: object;
  try {
    values = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = /^(?:Invalid TOML document: )?(.*)/.exec(error.message)?.[1] ?? '';
    return {
      services: [],
      echo: true,
      problems: [`${name}:${error.line}: not TOML: ${reason}`],
    };
  }
  const problems = new Problems(name, new TomlLines(text));
  const top = new Table(problems, [], values);
  const keysOfServices = namesOf(SERVICE_KEYS);
  top.checkKeys([...namesOf(TOP_KEYS), 'service'], (key) =>
    keysOfServices.includes(key) ? 'it belongs behind a line [[service]]' : undefined,
  );
  const sources = readSources(top) ?? {};
  const echo = top.get('echo', readBoolean) ?? true;
  if (!top.has('service')) {
    problems.add(['service'], 'there is none; write [[service]], or service = []');
  }
  const tables = top.elements('service', 'a list of services; write [[service]]') ?? [];
  const read = tables.flatMap((value, index): Read[] => {
    const path = ['service', index];
    if (isTable(value)) {
      const table = new Table(problems, path, value);
      return [{ table, service: readService(table, open) }];
    }
    problems.add(path, `${show(value)} is not a service; write [[service]]`);
    return [];
  });
  checkTogether(read);
  const services = read.map(({ service }) => ({
    ...service,
    sources: { ...sources, ...service.sources },
  }));
  return { services, echo, problems: problems.all() };
}

/** Where something has a fault, a value stands in for it until all is read. */
function readService(table: Table, open: OpenFile): WantedService {
  table.checkKeys(namesOf(SERVICE_KEYS));
  if (!table.has('name')) table.fault('name', 'it is missing; write name = "web"');
  const slots = table.get('slots', readSlots);
  const service: WantedService = {
    name: table.get('name', readName) ?? '',
    place: table.problems.place(table.path),
    slotsPlace: table.problems.place(table.at('slots')),
    ways: readAllWays(table),
    hash: table.get('hash', oneOf(['source+ports', 'source'])) ?? 'source+ports',
    udp: table.get('udp', oneOf(['current', 'previous'])) ?? 'current',
    table: table.get('table', oneOf(TABLES)),
    takeSsh: table.get('take_ssh', readBoolean) ?? false,
    slots,
    sources: readSources(table) ?? {},
    idle: table.get('idle', readDuration),
    drainDeadline: table.get('drain_deadline', readDuration),
    rows: readRows(table, open),
  };
  if (slots !== undefined && service.rows.length > slots) {
    const count = many(service.rows.length, 'destination');
    table.fault('slots', `${count} do not fit ${many(slots, 'slot')}`);
  }
  if (service.takeSsh && service.ways.every(({ port }) => port !== 0)) {
    table.fault('take_ssh', 'only a service on all ports leaves ssh to the host at all');
  }
  return service;
}

/** All addresses with all ports and protocols, or the ways one by one. */
function readAllWays(table: Table): Way[] {
  const named = namesOf(WAY_KEYS).filter((key) => table.has(key));
  if (table.has('ways')) {
    for (const key of named) table.fault(key, 'it goes without saying beside `ways`');
    return differing(table, 'ways', table.list('ways', readWays)?.flat() ?? []);
  }
  if (!table.has('address')) {
    table.fault('address', 'it is missing; write one, a list, or "any"');
  }
  const addresses = table.list('address', readServiceAddress) ?? [];
  const ports = table.list('ports', readPort) ?? [0];
  const protocols = table.list('protocol', readProtocol) ?? [TCP, UDP];
  if (addresses.includes(ANY_ADDRESS) && ports.some((port) => port !== 0)) {
    table.fault('ports', 'a port needs an address of its own, not "any"');
  }
  const ways = addresses.flatMap((address) =>
    ports.flatMap((port) => protocols.map((protocol) => ({ address, port, protocol }))),
  );
  return differing(table, 'address', ways);
}

function differing(table: Table, key: string, ways: Way[]): Way[] {
  const seen = new Map(ways.map((way) => [wayKey(way), way]));
  if (seen.size < ways.length) {
    const twice = ways.find((way) => !new Set(seen.values()).has(way));
    table.fault(key, `${twice ? formatWay(twice) : ''} stands here twice`);
  }
  return [...seen.values()];
}

interface Read {
  table: Table;
  service: WantedService;
}

/** No two services may have a name or a way in common. */
function checkTogether(read: readonly Read[]): void {
  const names = new Map<string, WantedService>();
  const ways = new Map<string, WantedService>();
  for (const { table, service } of read) {
    const { name } = service;
    const namesake = names.get(name);
    if (name !== '' && namesake) {
      table.fault('name', `"${name}" is also the name at ${namesake.place}`);
    }
    names.set(name, namesake ?? service);

    const told = new Set<WantedService>();
    for (const way of service.ways) {
      const other = ways.get(wayKey(way));
      ways.set(wayKey(way), other ?? service);
      if (!other || told.has(other)) continue;
      told.add(other);
      const reason = `${formatWay(way)} leads to the service at ${other.place} already`;
      table.fault(table.has('ways') ? 'ways' : 'address', reason);
    }
  }
}
