// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Finds out, once, everything that the checks of l4lb-doctor judge. */
import { NotTaken, loadObject } from '../program/load.js';
import { reachable } from '../plan/cells.js';
import { isLocal } from '../plan/local-servers.js';
import { usedPools } from '../plan/pools.js';
import { checkOwn } from '../program/owner.js';
import type { Mode } from '../text/mode.js';
import type { Context } from '../program/tools.js';
import { CELL_NAMES } from '../abi/cell.js';
import { PROGRAM_NAME } from '../abi/maps.js';
import { compareAddresses, formatAddress, formatMac } from '../wire/address.js';
import type { Maps } from '../program/find.js';
import { asMaps, buildOf, severalPrograms } from '../program/find.js';
import { dpdkOf } from '../system/dpdk.js';
import { readHardware } from '../system/ethtool.js';
import { Failure } from '../text/failure.js';
import { must } from '../text/must.js';
import type { AttachedProgram, Running } from '../system/ip/links.js';
import type { Tables } from '../plan/state.js';
import { deviceLock, withLock } from '../system/lock.js';
import { objectFor } from '../program/objects.js';
import { withPins } from '../program/pins.js';
import { packaged } from '../system/package.js';
import type { Service } from '../plan/services.js';
import { servicesIn } from '../plan/services.js';
import { Unseen } from '../text/unseen.js';
import { formatSource } from '../wire/outer-source.js';
import type { Device, Namespace } from '../system/ip/namespaces.js';
import { Namespaces } from '../system/ip/namespaces.js';
import { commandsHere } from '../system/processes.js';
import { readPorts } from '../program/port-use.js';
import { readRecords } from '../program/records.js';
import { readSlots, readTables } from '../program/read.js';
import type {
  Balancer,
  DestinationFacts,
  ExitFacts,
  Facts,
  FarEnd,
  ServiceFacts,
  Towards,
} from './facts.js';
import type { Around } from './around.js';
import { findPeer, seen } from './around.js';
import { readDaemon } from './daemon.js';
import { readExits, readPeerOffloads } from './exits.js';
import { works } from './findings.js';
import { readLocal } from './local.js';
import { readPools } from './pools.js';
import { readSending } from './sending.js';
import { UNKNOWN, lookTowards } from './towards.js';
import { watches } from './watches.js';
import { watchTraffic } from './watch.js';

export interface Question {
  interface: string;
  mode: Mode | undefined;
  /** How long to watch the traffic, in seconds. */
  interval: number;
}

/** The doctor does not look into more namespaces than this. */
const MOST_NAMESPACES = 300;

export async function gather(tools: Context, question: Question): Promise<Facts> {
  const { mode: asked } = question;
  const namespaces = new Namespaces(tools.run);
  const connected = await namespaces.connected(MOST_NAMESPACES);
  const [here] = connected;
  const named = (name: string): Device | undefined =>
    here?.devices.find((one) => one.name === name);
  // Another name that the device has is only known to ip, and so are the names to choose from.
  const device =
    named(question.interface) ?? named((await tools.ip.link(question.interface)).name);
  if (!here || !device) {
    throw new Failure(`ip does not list the device ${question.interface}`);
  }
  const { name } = device;

  const offload = asked === 'xdpoffload' ? await tryOffload(tools, device) : undefined;
  // Without an offload there may still be a program on the host, which is worth a look.
  const mode = offload?.refusal === undefined ? asked : undefined;
  const program = chooseProgram(device, mode);
  const maps = program && (await mapsOf(tools, program));
  if (maps)
    await checkOwn(
      tools,
      { link: device, program: program.id, maps },
      runningIn(here, program),
    );
  const around = { here, connected };
  const peer = findPeer(device, around);
  const balancer = maps && (await readBalancer(tools, device, around, maps));
  return {
    device,
    hardware: await readHardware(tools.run, name),
    asked,
    offload,
    program,
    balancer,
    sending: program && (await readSending(tools, device, program)),
    peer,
    peerOffloads: balancer && (await readPeerOffloads(tools.run, peer)),
    farEnds: await findFarEnds(namespaces, connected.slice(1), balancer),
    // Watched last, so that the questions to neighbours are not counted.
    traffic:
      balancer &&
      (await watchTraffic(tools, device, program, balancer, question.interval)),
    // After the traffic, so that a limit that it reaches is seen.
    records: maps && balancer && (await readRecordsOf(tools, maps, balancer)),
    ports: maps && balancer && (await readPortsOf(tools, maps, balancer)),
    daemon: balancer && (await readDaemon(name)),
    dpdk: dpdkOf(name),
    addresses: here.devices.flatMap(({ addresses }) => addresses),
    passObject: packaged('testbed/pass.o'),
  };
}

/** The devices here that run this program. */
function runningIn({ devices }: Namespace, { id }: AttachedProgram): Running[] {
  return devices.flatMap(({ name, mac, programs }) =>
    programs.filter((one) => one.id === id).map(({ mode }) => ({ name, mac, mode })),
  );
}

function chooseProgram(
  device: Device,
  mode: Mode | undefined,
): AttachedProgram | undefined {
  const programs = device.programs.filter((one) => !mode || one.mode === mode);
  if (programs.length > 1) throw severalPrograms(device.name, programs);
  return programs[0];
}

/** The maps of the balancer in this version; undefined for any other program. */
async function mapsOf(
  { bpftool }: Context,
  { id, name }: AttachedProgram,
): Promise<Maps | undefined> {
  if (name !== PROGRAM_NAME) return undefined;
  return asMaps((await bpftool.programWithMaps('id', id)).maps);
}

/** Loads the portable build for the device without attaching it, and lets go of it. */
async function tryOffload(
  tools: Context,
  { name, ifindex, programs }: Device,
): Promise<Facts['offload']> {
  if (programs.some((one) => one.mode === 'xdpoffload')) return { refusal: undefined };
  try {
    await withLock(tools.run, deviceLock({ ifindex }), () =>
      withPins((pins) =>
        loadObject(tools.bpftool, pins, objectFor('xdpoffload', false), { device: name }),
      ),
    );
    return { refusal: undefined };
  } catch (error) {
    if (!(error instanceof NotTaken)) throw error;
    return { refusal: error.message };
  }
}

async function readBalancer(
  tools: Context,
  device: Device,
  around: Around,
  maps: Maps,
): Promise<Balancer> {
  const tables = await readTables(tools.bpftool, maps);
  const exits = await readExits(tools, around, tables);
  const services: ServiceFacts[] = [];
  for (const service of servicesIn(reachable(tables)).values()) {
    services.push({ ...service, emptySlots: await countEmpty(tools, maps, service) });
  }
  return {
    build: buildOf(maps),
    tables,
    services,
    destinations: await readDestinations(tools, device, exits, tables),
    exits,
    pools: await readPools(tools, device, exits, tables, maps),
    local: await readLocal(tools, device, tables),
    isWatched: commandsHere().some((words) => watches(words, device.name)),
  };
}

async function readRecordsOf(
  { bpftool }: Context,
  maps: Maps,
  { services }: Balancer,
): Promise<Facts['records']> {
  const isKept = services.some(({ flags }) => (flags & CELL_NAMES) === 0);
  return isKept ? readRecords(bpftool, maps) : undefined;
}

async function readPortsOf(
  { bpftool }: Context,
  maps: Maps,
  { tables }: Balancer,
): Promise<Facts['ports']> {
  return readPorts(bpftool, maps, usedPools(tables.destinations.values()));
}

async function countEmpty(
  { bpftool }: Context,
  maps: Maps,
  service: Service,
): Promise<number> {
  const slots = await readSlots(bpftool, maps, service);
  return [...slots.values()].filter(({ current }) => current === 0).length;
}

async function readDestinations(
  { run }: Context,
  device: Device,
  exits: readonly ExitFacts[],
  tables: Tables,
): Promise<DestinationFacts[]> {
  const owned = [...tables.destinations].filter(
    ([, entry]) => entry.service !== 0 && !isLocal(entry),
  );
  // Each by the number of its exit; 0 is the program's own device.
  const ways = new Map<number, Device | undefined>([
    [0, device.up && device.carrier ? device : undefined],
    ...exits.map((one) => [one.number, works(one) ? one.device : undefined] as const),
  ]);
  const towards = new Map<number, (address: string) => Towards>();
  await Promise.all(
    [...ways].map(async ([number, by]) => {
      const behind = owned.filter(([, { exit }]) => exit === number);
      const addresses = behind.map(([, { address }]) => formatAddress(address));
      towards.set(number, by ? await lookTowards(run, by, addresses) : () => UNKNOWN);
    }),
  );
  const all = owned.map(([id, entry]) => {
    const address = formatAddress(entry.address);
    return {
      id,
      address,
      mac: formatMac(entry.mac),
      source: formatSource({ address: entry.source, spread: entry.spread }),
      isSpread: entry.spread !== 0,
      service: entry.service,
      forward: entry.forward,
      isFound: entry.isFound,
      device: ways.get(entry.exit)?.name,
      ...must(towards.get(entry.exit), `the exit ${entry.exit}`)(address),
    };
  });
  return all.sort((one, other) => compareAddresses(one.address, other.address));
}

async function findFarEnds(
  namespaces: Namespaces,
  others: readonly Namespace[],
  balancer: Balancer | undefined,
): Promise<FarEnd[]> {
  const destinations = new Map(
    balancer?.destinations.map((one) => [one.address, one] as const),
  );
  const byLink = new Set(
    balancer?.destinations
      .filter(({ forward }) => forward === 'link')
      .map(({ address }) => address),
  );
  const ends: FarEnd[] = [];
  for (const { name, devices } of others) {
    const own = devices.flatMap(({ addresses }) => addresses);
    const here = own.filter((address) => destinations.has(address));
    if (name === undefined || here.length === 0) continue;
    const rpFilters = await seen(namespaces.rpFilters(name));
    const isStrict =
      !(rpFilters instanceof Unseen) && [...rpFilters.values()].includes('strict');
    const defaultDevices = isStrict ? await seen(namespaces.defaultDevices(name)) : [];
    for (const address of here) {
      const { mac } = destinations.get(address) as DestinationFacts;
      const device =
        devices.find((one) => one.mac === mac) ??
        devices.find((one) => one.addresses.includes(address));
      if (!device) continue;
      const arpIgnore = byLink.has(address)
        ? await seen(namespaces.arpIgnore(name, device.name))
        : undefined;
      ends.push({
        address,
        namespace: name,
        device,
        devices,
        rpFilters,
        defaultDevices,
        arpIgnore,
      });
    }
  }
  return ends;
}
