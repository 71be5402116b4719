// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Fills the tables from rows of destinations: for l4lb-map, and for l4lb-load -f before
 * it attaches.
 */
import { must } from '../text/must.js';
import { randomInt } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

import { changesOf } from '../program/write.js';
import type { Remember, TableKind } from '../abi/cell.js';
import { reachable } from '../plan/cells.js';
import { CELL_MINIMAL_TABLE, CELL_NAMES } from '../abi/cell.js';
import type { Context, Tools } from '../program/tools.js';
import { parseAddress, parseMac } from '../wire/address.js';
import type { Maps } from '../program/find.js';
import type { DestinationFile, DestinationRow } from '../config/destinations-csv.js';
import { parseDestinations } from '../config/destinations-csv.js';
import { Failure } from '../text/failure.js';
import { fileFault } from '../text/file-fault.js';
import { printableLine } from '../text/printable.js';
import type { OwnSources } from './outer-source.js';
import { chooseSources, ownSources } from './outer-source.js';
import type { Link } from '../system/ip/links.js';
import type { ChosenAddress } from '../system/ip/own.js';
import { chosenAddresses } from '../system/ip/own.js';
import type { State } from '../plan/state.js';
import { ownedBy } from '../plan/state.js';
import { packaged } from '../system/package.js';
import { readStdin } from '../system/stdin.js';
import type { DestinationSet, SetDestination } from '../plan/history.js';
import type { Plan } from '../plan/service.js';
import type { WantedDestination } from '../plan/steps.js';
import { plan } from '../plan/service.js';
import type { Service } from '../plan/services.js';
import { chooseService, servicesIn } from '../plan/services.js';
import type { AskedSeed } from '../plan/device.js';
import { cannotAnswer, cannotRewrite } from '../plan/check-forward.js';
import { checkNamesUsed } from '../plan/check-names.js';
import { changesNames, checkDevice } from '../plan/device.js';
import { sessionPort } from '../system/ssh-session.js';
import type { Answering, Forward } from '../wire/forward.js';
import { answersComeBack, forwardIn } from '../wire/forward.js';
import type { Names } from '../wire/names.js';
import type { SlotSeed } from '../wire/slot-seed.js';
import type { AskedSources } from '../wire/outer-source.js';
import { sourcesIn } from '../wire/outer-source.js';
import { localDestination, resolveRows } from './resolve.js';
import { kernelSeconds } from '../system/clock.js';
import { readAllSlots, readSlots, readState } from '../program/read.js';
import type { Way } from '../wire/way.js';

/** What a fill may be asked for. A setting that is left out stays as it is. */
export interface FillWishes {
  source?: AskedSources | undefined;
  ways?: Way[] | undefined;
  takeSsh?: boolean | undefined;
  slots?: number | undefined;
  table?: TableKind | undefined;
  /** Seconds. */
  idle?: number | undefined;
  echo?: boolean | undefined;
  answers?: Answering | undefined;
  remember?: Remember | undefined;
  forward?: Forward | undefined;
  /** A family that is not named stays as it is. */
  names?: Names | undefined;
  seed?: SlotSeed | undefined;
  /** Files that the slots remember, and nothing else, as if filled from them; the oldest first. */
  previous?: readonly string[] | undefined;
}

/** All that a fill needs, already checked: nothing after this can find fault with it. */
export interface Prepared extends Omit<FillWishes, 'previous' | 'seed'> {
  /** The rows of `previous`, file by file. */
  history: DestinationSet[] | undefined;
  slotSeed?: AskedSeed | undefined;
  deviceName: string;
  destinations: WantedDestination[];
  source: AskedSources;
  ownSources: OwnSources;
  /** Asks for the addresses that connections of this host may have, which no pool may have. */
  chosenAddresses: () => Promise<readonly ChosenAddress[]>;
  sessionPort: number;
  mac: Buffer;
  mtu: number;
  ifindex?: number | undefined;
}

export async function prepareFill(
  tools: Pick<Context, 'run' | 'ip'>,
  link: Link,
  files: readonly string[],
  wishes: FillWishes,
  can: Abilities,
): Promise<Prepared> {
  const { previous, seed, ...others } = wishes;
  checkBuild(wishes, can);
  const rows = readRows(files);
  const history = previous?.map((file) => readRows([file]).map(asBefore));
  const mac = macOf(link);
  const destinations = await resolveRows(tools, link, rows, can);
  const { source } = wishes;
  return {
    destinations,
    history,
    ...others,
    slotSeed: askSeed(seed),
    source: source ?? {},
    ownSources: ownSources(link, rows),
    chosenAddresses: () => chosenAddresses(tools.run),
    sessionPort: sessionPort(),
    mac,
    mtu: link.mtu,
    ifindex: link.ifindex,
    deviceName: link.name,
  };
}

/** What is not the same for all programs, and decides whom the network is asked for. */
export type Abilities = Pick<State['sizes'], 'canLeave' | 'canRewrite'>;

/** Refuses what only the host build does before the network is asked for the destinations. */
export function checkBuild(
  { forward, answers }: Pick<FillWishes, 'forward' | 'answers'>,
  { canRewrite }: Abilities,
): void {
  if (canRewrite) return;
  if (forward && answersComeBack(forward)) throw cannotRewrite(forward);
  if (answers === 'xdp') throw cannotAnswer();
}

/** What a fill asks for by a seed that was given. */
export function askSeed(seed: SlotSeed | undefined): AskedSeed | undefined {
  if (seed === undefined) return undefined;
  const isDrawn = seed === 'random';
  return { value: isDrawn ? randomInt(2 ** 32) : seed, isDrawn };
}

function readRows(files: readonly string[]): DestinationRow[] {
  const { rows, problems } = parseDestinations(files.map((name) => readFile(name)));
  if (problems.length > 0) throw badRows(problems);
  return rows;
}

/** A row of an earlier file: of what is gone only its share of the table matters. */
function asBefore(row: DestinationRow): SetDestination {
  if (row.isLocal) return localDestination(row);
  const { address, port, weight } = row;
  return { address: must(parseAddress(address), address), port, weight };
}

export function macOf({ name, mac }: Link): Buffer {
  const bytes = parseMac(mac);
  if (bytes) return bytes;
  throw new Failure(`${name} has no Ethernet address, so it has no neighbours`);
}

/** A plan and what it was made from. */
export interface Planned<P> {
  plan: P;
  live: State;
  /** The services whose slots were read. */
  services: Service[];
}

/** The tables as somebody has just left them, with the slots of some services. */
export interface Warm {
  state: State;
  /** Ids of the services whose slots are in it. */
  slotsOf: ReadonlySet<number>;
}

/**
 * Reads the live tables, unless they are known, and plans the way from them to what is
 * wanted.
 */
export async function planFill(
  { bpftool }: Pick<Tools, 'bpftool'>,
  maps: Maps,
  prepared: Prepared,
  known?: State,
): Promise<Planned<Plan>> {
  const tables = known ?? (await readState(bpftool, maps));
  const chosen = chooseService(
    reachable(tables),
    prepared.ways,
    tables.sizes,
    prepared.slots,
  );
  const service = withSettings(chosen.service, prepared);
  const all = servicesIn(reachable(tables)).set(service.id, service);
  checkNamesUsed(prepared, all.values());
  // Slots that nobody ever wrote are zero, so they need not be read.
  const isUntouched = tables.device.abi === 0;
  const slots = isUntouched ? tables.slots : await readSlots(bpftool, maps, service);
  const touched = changesNames(tables.device, prepared)
    ? await readAllSlots(bpftool, maps, servicesIn(reachable(tables)).values())
    : slots;
  checkDevice({ ...tables, slots: touched }, prepared);
  const now = maps.memories && kernelSeconds();
  const live = { ...tables, slots };
  const entries = chosen.isNew ? [] : [...ownedBy(tables, service.id).values()];
  const forward = prepared.forward ?? forwardIn(entries);
  // The host may have got an address of a pool that the service keeps.
  const chosenOnes = forward === 'full-nat' ? await prepared.chosenAddresses() : [];
  const own = { ...prepared.ownSources, chosen: chosenOnes };
  const sources = chooseSources(prepared.source, sourcesIn(entries), own, forward);
  const { isNew } = chosen;
  const wanted = { ...prepared, service, forward, sources, isNew, now };
  return { plan: plan(live, wanted), live, services: [service] };
}

/** Gives the service the settings that were asked for; the others stay as they are. */
function withSettings(service: Service, { table, idle, remember }: Prepared): Service {
  const set = (flags: number, flag: number, isSet: boolean | undefined): number =>
    isSet === undefined ? flags : (flags & ~flag) | (isSet ? flag : 0);
  const minimal = set(service.flags, CELL_MINIMAL_TABLE, table && table === 'minimal');
  return {
    ...service,
    flags: set(minimal, CELL_NAMES, remember && remember === 'destinations'),
    idle: idle ?? service.idle,
  };
}

/** A fill that nothing can refuse any more, but that is not yet written. */
export interface ReadyFill {
  plan: Plan;
  /**
   * Writes to the maps that the fill was planned for, or to others that hold the same.
   */
  write: (maps: Maps) => Promise<void>;
}

export async function makeReady(
  tools: Pick<Tools, 'bpftool'>,
  maps: Maps,
  prepared: Prepared,
  lock: number,
  known?: State,
): Promise<ReadyFill> {
  const planned = await planFill(tools, maps, prepared, known);
  const write = (to: Maps): Promise<void> => applyPlan(tools, to, planned, lock);
  return { plan: planned.plan, write };
}

export async function applyPlan(
  { bpftool }: Pick<Tools, 'bpftool'>,
  maps: Maps,
  { plan, live }: Pick<Planned<Pick<Plan, 'writes'>>, 'plan' | 'live'>,
  lock: number,
): Promise<void> {
  if (plan.writes.length === 0) return;
  await bpftool.write(changesOf(maps, plan.writes, live.slots), lock);
}

const ROWS = 'name a file with rows of: address, MAC[, weight]';

type ReadText = (path: string) => string;

export function readFile(
  name: string,
  next = ROWS,
  read: ReadText = (path) => readFileSync(path, 'utf8'),
): DestinationFile {
  const shown = printableLine(name);
  try {
    if (name === '-') return { name: 'stdin', text: readStdin().toString('utf8') };
    return { name: shown, text: read(samplePath(name) ?? name) };
  } catch (error) {
    throw new Failure(`cannot read ${shown}`, { cause: fileFault(error), next });
  }
}

/**
 * Finds a sample by its name alone, unless the current directory has a file of that name.
 */
function samplePath(name: string): string | undefined {
  if (basename(name) !== name || existsSync(name)) return undefined;
  const sample = packaged(`destination_samples/${name}`);
  return name.endsWith('.csv') && existsSync(sample) ? sample : undefined;
}

export function badRows(problems: string[]): Failure {
  const count = problems.length === 1 ? '1 bad row' : `${problems.length} bad rows`;
  return new Failure(`${count}, nothing was written\n${problems.join('\n')}`, {
    next: 'fix the rows and run this command again',
  });
}
