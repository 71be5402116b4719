// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Writes the live state as a config file. Applying the file again changes nothing.
 *
 * The maps have no names, so the names in the file are made up.
 */
import { at } from '../text/must.js';
import { reachable } from './cells.js';
import { TCP } from '../wire/protocols.js';
import type { Destination } from '../abi/destination.js';
import type { Exit } from '../abi/exit.js';
import {
  CELL_HASH_SOURCE,
  CELL_MINIMAL_TABLE,
  CELL_NAMES,
  CELL_UDP_STAYS,
} from '../abi/cell.js';
import type { Device } from '../abi/device.js';
import { DEVICE_NO_ECHO, DEVICE_XDP_ANSWERS } from '../abi/device.js';
import { SLOT_SEED } from '../wire/hash.js';
import { formatSlotSeed } from '../wire/slot-seed.js';
import { formatAddress, formatMac } from '../wire/address.js';
import { compareEndpoints, formatEndpoint } from '../wire/endpoint.js';
import { isLocal } from './local-servers.js';
import type { Tables } from './state.js';
import { ownedBy } from './state.js';
import type { Service } from './services.js';
import { keepsSsh, servicesIn } from './services.js';
import type { Way } from '../wire/way.js';
import type { Names } from '../wire/names.js';
import { formatNames } from '../wire/names.js';
import type { Family, Sources } from '../wire/outer-source.js';
import { USUAL_FORWARD, forwardIn } from '../wire/forward.js';
import { FAMILIES, formatSource, sourcesIn } from '../wire/outer-source.js';
import { formatHost, formatWay, wayKey } from '../wire/way.js';

const HEAD = `# The services of this device as they were, written by l4lb-map --export.
# Their names are not in the maps: put them in again.
`;

/** `deviceOf` tells the device of an exit, if it is still there. */
export function exportConfig(
  live: Tables,
  deviceOf: (exit: Exit) => string | undefined = () => undefined,
): string {
  const services = [...servicesIn(reachable(live)).values()].sort((a, b) => a.id - b.id);
  const device = [
    ...(live.device.flags & DEVICE_NO_ECHO ? ['echo = false'] : []),
    ...(live.device.flags & DEVICE_XDP_ANSWERS ? ['answers = "xdp"'] : []),
    ...(services.some(({ flags }) => flags & CELL_NAMES)
      ? namesLine(live.device.names)
      : []),
    ...seedLine(live.device),
  ];
  if (services.length === 0) return [HEAD, ...device, 'service = []', ''].join('\n');
  const sources = services.map(({ id }) => sourcesIn(ownedBy(live, id).values()));
  const common = FAMILIES.filter((family) => {
    const texts = sources.flatMap(({ [family]: one }) =>
      one ? [formatSource(one)] : [],
    );
    return new Set(texts).size === 1;
  });
  const own = FAMILIES.filter((family) => !common.includes(family));
  const top = [
    ...sourceLine(
      sources.reduce((all, one) => ({ ...all, ...one }), {}),
      common,
    ),
    ...device,
  ];
  const blocks = services.map((service, index) =>
    [
      '[[service]]',
      `name = ${quote(nameOf(service, services))}`,
      ...waysOf(service.ways),
      ...settingsOf(live, service),
      ...sourceLine(at(sources, index), own),
      'destinations = [',
      ...[...ownedBy(live, service.id).values()].sort(compareEndpoints).map((entry) => {
        const exit = live.exits?.get(entry.exit);
        return destinationLine(entry, exit && { device: deviceOf(exit) });
      }),
      ']',
    ].join('\n'),
  );
  return [HEAD + top.join('\n'), ...blocks]
    .map((block) => `${block.trimEnd()}\n`)
    .join('\n');
}

function seedLine({ abi, slotSeed }: Device): string[] {
  if (abi === 0 || slotSeed === SLOT_SEED) return [];
  return [`seed = ${quote(formatSlotSeed(slotSeed))}`];
}

function namesLine(names: Names): string[] {
  const texts = FAMILIES.flatMap((family) => {
    const prefix = names[family];
    return prefix ? [quote(formatNames(prefix))] : [];
  });
  return texts.length === 0 ? [] : [`names = ${oneOrList(texts)}`];
}

function sourceLine(sources: Sources, families: readonly Family[]): string[] {
  const texts = families.flatMap((family) => {
    const source = sources[family];
    return source ? [quote(formatSource(source))] : [];
  });
  return texts.length === 0 ? [] : [`source = ${oneOrList(texts)}`];
}

/** Its first way, with the protocol where only that tells it from the other services. */
function nameOf(service: Service, services: readonly Service[]): string {
  const short = shortName(service);
  const isUnique = services.every((one) => one === service || shortName(one) !== short);
  const [first] = service.ways;
  return isUnique || !first ? short : formatWay(first);
}

function shortName({ ways: [first] }: Service): string {
  return first ? formatHost(first) : '';
}

/**
 * The ways as address, ports and protocol if that gives the same ways, else one by one.
 */
function waysOf(ways: readonly Way[]): string[] {
  const addresses = distinct(ways.map(({ address }) => formatAddress(address)));
  const ports = distinct(ways.map(({ port }) => port));
  const protocols = distinct(ways.map(({ protocol }) => protocol));
  const product = addresses.length * ports.length * protocols.length;
  if (product !== distinct(ways.map(wayKey)).length) {
    return [`ways = ${listOf(ways.map((way) => quote(formatWay(way))))}`];
  }
  const all = ports.map((port) => (port === 0 ? quote('all') : String(port)));
  const names = protocols.map((protocol) => quote(protocol === TCP ? 'tcp' : 'udp'));
  return [
    `address = ${oneOrList(addresses.map(quote))}`,
    `ports = ${oneOrList(all)}`,
    `protocol = ${oneOrList(names)}`,
  ];
}

function settingsOf(live: Tables, service: Service): string[] {
  const { id, flags, log2Slots, idle, drainDeadline } = service;
  const forward = forwardIn(ownedBy(live, id).values());
  return [
    ...(flags & CELL_HASH_SOURCE ? ['hash = "source"'] : []),
    ...(flags & CELL_UDP_STAYS ? ['udp = "previous"'] : []),
    ...(flags & CELL_MINIMAL_TABLE ? ['table = "minimal"'] : []),
    ...(flags & CELL_NAMES ? ['remember = "destinations"'] : []),
    ...(forward === USUAL_FORWARD ? [] : [`forward = ${quote(forward)}`]),
    ...(keepsSsh(live, service) === false ? ['take_ssh = true'] : []),
    `slots = ${1 << log2Slots}`,
    ...(idle === 0 ? [] : [`idle = ${idle}`]),
    ...(drainDeadline === 0 ? [] : [`drain_deadline = ${drainDeadline}`]),
  ];
}

/**
 * What was looked up is left out, so that it is looked up again. A MAC is good for one
 * device only, so it is left out if that is gone.
 */
function destinationLine(
  destination: Destination,
  exit: { device: string | undefined } | undefined,
): string {
  const { mac, weight, isFound } = destination;
  const isKnown =
    !isFound && !isLocal(destination) && (!exit || exit.device !== undefined);
  const cells = [
    `address = ${quote(formatEndpoint(destination))}`,
    ...(isKnown ? [`mac = ${quote(formatMac(mac))}`] : []),
    ...(isFound || exit?.device === undefined
      ? []
      : [`device = ${JSON.stringify(exit.device)}`]),
    ...(weight === 1 ? [] : [`weight = ${weight}`]),
  ];
  return `  { ${cells.join(', ')} },`;
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}

function oneOrList(values: readonly string[]): string {
  const [only] = values;
  return values.length === 1 && only !== undefined ? only : listOf(values);
}

function listOf(values: readonly string[]): string {
  return `[${values.join(', ')}]`;
}

/** Nothing that is printed here contains a quote or a line end. */
function quote(text: string): string {
  return `"${text}"`;
}
