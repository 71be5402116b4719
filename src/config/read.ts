// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Reads a config file: turns the text of l4lb.toml into a checked list of services, or
 * into all that is wrong with it, by line and key. The caller opens the files that it
 * names.
 */
import { TomlError, parse } from 'smol-toml';

import { REMEMBERS, TABLES } from '../abi/cell.js';
import type { Answering, Forward } from '../wire/forward.js';
import { hasSource, ANSWERING, FORWARDS, USUAL_FORWARD } from '../wire/forward.js';
import type { Remember, TableKind } from '../abi/cell.js';
import { TCP, UDP } from '../wire/protocols.js';
import { ANY_ADDRESS } from '../wire/address.js';
import { SERVICE_KEYS, TOP_KEYS, WAY_KEYS, namesOf } from './keys.js';
import { Section, isSection } from './section.js';
import type { OpenFile } from './rows.js';
import { readRows } from './rows.js';
import type { WantedCheck } from './check.js';
import { readCheck } from './check.js';
import type { WantedDaemon } from './daemon.js';
import { readDaemon } from './daemon.js';
import { viaFault } from './via.js';
import {
  oneOf,
  readBoolean,
  readDuration,
  readName,
  readNames,
  readSlotSeed,
  readPort,
  readProtocol,
  readServiceAddress,
  readSlots,
  readSources,
  readWays,
} from './values.js';
import { nameOfRow } from './destinations-csv.js';
import type { DestinationFile, DestinationRow } from './destinations-csv.js';
import { many } from '../text/format.js';
import { Problems, show } from './problems.js';
import type { Names } from '../wire/names.js';
import type { SlotSeed } from '../wire/slot-seed.js';
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
  /** Where UDP packets of a hot slot go. */
  udp: UdpChoice;
  /** Undefined: as the command line says, else consistent. */
  table: TableKind | undefined;
  /** Undefined: as the command line says, else the balancer. */
  remember: Remember | undefined;
  /** Undefined: as the command line says, else through a tunnel. */
  forward: Forward | undefined;
  takeSsh: boolean;
  /** Undefined: as many as the service has, or the default of a new one. */
  slots: number | undefined;
  /** A family that is missing gets the device's own address. */
  sources: Sources;
  /** Seconds; undefined: the default. */
  idle: number | undefined;
  /** Seconds; undefined: for as long as it takes. */
  drainDeadline: number | undefined;
  rows: DestinationRow[];
  /** How l4lbd learns which of them serve; undefined: all do. */
  check?: WantedCheck | undefined;
}

export interface Config {
  services: WantedService[];
  /** Whether ICMP echo to a service's address is answered. */
  echo: boolean;
  /** Who sends answers on that come through the balancer. */
  answers: Answering;
  /** Prefixes of the sources that name destinations; a family that is missing stays as it is. */
  names: Names;
  /** FILE:LINE of the names, for messages. */
  namesPlace: string;
  /** Undefined: stays as it is. */
  seed: SlotSeed | undefined;
  /** What only l4lbd needs. */
  daemon: WantedDaemon;
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
      answers: 'kernel',
      names: {},
      namesPlace: name,
      seed: undefined,
      daemon: {},
      problems: [`${name}:${error.line}: not TOML: ${reason}`],
    };
  }
  const problems = new Problems(name, new TomlLines(text));
  const top = new Section(problems, [], values);
  const keysOfServices = namesOf(SERVICE_KEYS);
  top.checkKeys([...namesOf(TOP_KEYS), 'daemon', 'service'], (key) =>
    keysOfServices.includes(key) ? 'it belongs after a line [[service]]' : undefined,
  );
  const sources = readSources(top) ?? {};
  const echo = top.get('echo', readBoolean) ?? true;
  const answers = top.get('answers', oneOf(ANSWERING)) ?? 'kernel';
  const names = readNames(top);
  const namesPlace = problems.place(top.at('names'));
  const seed = top.get('seed', readSlotSeed);
  const daemon = readDaemon(top);
  if (!top.has('service')) {
    problems.add(['service'], 'there is none; write [[service]], or service = []');
  }
  const tables = top.elements('service', 'a list of services; write [[service]]') ?? [];
  const read = tables.flatMap((value, index): Read[] => {
    const path = ['service', index];
    if (isSection(value)) {
      const section = new Section(problems, path, value);
      return [{ section, service: readService(section, open) }];
    }
    problems.add(path, `${show(value)} is not a service; write [[service]]`);
    return [];
  });
  checkTogether(read);
  checkVias(read);
  const services = read.map(({ service }) => ({
    ...service,
    sources: { ...sources, ...service.sources },
  }));
  const all = { services, echo, answers, names, namesPlace, seed, daemon };
  return { ...all, problems: problems.all() };
}

/**
 * Reads a service. A value that has a fault is replaced by a default until all is read.
 */
function readService(section: Section, open: OpenFile): WantedService {
  section.checkKeys(namesOf(SERVICE_KEYS));
  if (!section.has('name')) section.fault('name', 'it is missing; write name = "web"');
  const slots = section.get('slots', readSlots);
  const ways = readAllWays(section);
  const rows = readRows(section, open);
  const service: WantedService = {
    name: section.get('name', readName) ?? '',
    place: section.problems.place(section.path),
    slotsPlace: section.problems.place(section.at('slots')),
    ways,
    hash: section.get('hash', oneOf(['source+ports', 'source'])) ?? 'source+ports',
    udp: section.get('udp', oneOf(['current', 'previous'])) ?? 'current',
    table: section.get('table', oneOf(TABLES)),
    remember: section.get('remember', oneOf(REMEMBERS)),
    forward: section.get('forward', oneOf(FORWARDS)),
    takeSsh: section.get('take_ssh', readBoolean) ?? false,
    slots,
    sources: readSources(section) ?? {},
    idle: section.get('idle', readDuration),
    drainDeadline: section.get('drain_deadline', readDuration),
    rows,
    check: readCheck(section, ways, rows),
  };
  if (slots !== undefined && service.rows.length > slots) {
    const count = many(service.rows.length, 'destination');
    section.fault('slots', `${count} do not fit ${many(slots, 'slot')}`);
  }
  const isTunnel = (service.forward ?? USUAL_FORWARD) === 'tunnel';
  if (!hasSource(service.forward ?? USUAL_FORWARD) && section.has('source')) {
    section.fault('source', 'only tunnel and full-nat send from one');
  }
  if (!isTunnel && service.remember === 'destinations') {
    section.fault('remember', 'destinations are named in the outer header of a tunnel');
  }
  const local = service.rows.find(({ isLocal }) => isLocal);
  if (local && service.remember === 'destinations') {
    section.fault(
      'remember',
      `${nameOfRow(local)} is on this host, where nobody is named`,
    );
  }
  if (service.takeSsh && service.ways.every(({ port }) => port !== 0)) {
    section.fault(
      'take_ssh',
      'only a service on all ports leaves ssh to the host at all',
    );
  }
  return service;
}

/** Combines all addresses with all ports and protocols, or reads the ways one by one. */
function readAllWays(section: Section): Way[] {
  const named = namesOf(WAY_KEYS).filter((key) => section.has(key));
  if (section.has('ways')) {
    for (const key of named) section.fault(key, 'leave it out, since `ways` says it');
    return differing(section, 'ways', section.list('ways', readWays)?.flat() ?? []);
  }
  if (!section.has('address')) {
    section.fault('address', 'it is missing; write one, a list, or "any"');
  }
  const addresses = section.list('address', readServiceAddress) ?? [];
  const ports = section.list('ports', readPort) ?? [0];
  const protocols = section.list('protocol', readProtocol) ?? [TCP, UDP];
  if (addresses.includes(ANY_ADDRESS) && ports.some((port) => port !== 0)) {
    section.fault('ports', 'a port needs an address of its own, not "any"');
  }
  const ways = addresses.flatMap((address) =>
    ports.flatMap((port) => protocols.map((protocol) => ({ address, port, protocol }))),
  );
  return differing(section, 'address', ways);
}

function differing(section: Section, key: string, ways: Way[]): Way[] {
  const seen = new Map(ways.map((way) => [wayKey(way), way]));
  if (seen.size < ways.length) {
    const twice = ways.find((way) => !new Set(seen.values()).has(way));
    section.fault(key, `${twice ? formatWay(twice) : ''} is listed twice`);
  }
  return [...seen.values()];
}

interface Read {
  section: Section;
  service: WantedService;
}

/** Checks that no two services have a name or a way in common. */
function checkTogether(read: readonly Read[]): void {
  const names = new Map<string, WantedService>();
  const ways = new Map<string, WantedService>();
  for (const { section, service } of read) {
    const { name } = service;
    const namesake = names.get(name);
    if (name !== '' && namesake) {
      section.fault('name', `"${name}" is also the name at ${namesake.place}`);
    }
    names.set(name, namesake ?? service);

    const told = new Set<WantedService>();
    for (const way of service.ways) {
      const other = ways.get(wayKey(way));
      ways.set(wayKey(way), other ?? service);
      if (!other || told.has(other)) continue;
      told.add(other);
      const reason = `${formatWay(way)} already leads to the service at ${other.place}`;
      section.fault(section.has('ways') ? 'ways' : 'address', reason);
    }
  }
}

/** Another service may stand in the way of a check. */
function checkVias(read: readonly Read[]): void {
  const all = read.map(({ service }) => service);
  for (const { section, service } of read) {
    const { via } = service.check ?? {};
    const fault = via && viaFault(service, via, all);
    if (fault) section.problems.add([...section.at('check'), 'via'], fault);
  }
}
