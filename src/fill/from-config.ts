// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Turns a config file into writes, and the maps into a config file. */
import { dirname, join, normalize } from 'node:path';

import { Fault } from '../text/fault.js';
import { reachable } from '../plan/cells.js';
import type { Context, Tools } from '../program/tools.js';
import type { Maps } from '../program/find.js';
import type { Config } from '../config/read.js';
import { parseConfig } from '../config/read.js';
import type { DestinationFile } from '../config/destinations-csv.js';
import { exportConfig } from '../plan/export.js';
import { Failure } from '../text/failure.js';
import { printableLine } from '../text/printable.js';
import type { Abilities, Planned, Warm } from './from-rows.js';
import { chooseVias } from './check-via.js';
import { chooseSources, ownSources } from './outer-source.js';
import { askSeed, checkBuild, macOf, readFile } from './from-rows.js';
import { senderOf } from '../system/ip/links.js';
import { readRegular } from '../system/regular-file.js';
import { resolveRows } from './resolve.js';
import type { Link } from '../system/ip/links.js';
import { chosenAddresses } from '../system/ip/own.js';
import { layOut } from '../plan/match-services.js';
import type { State } from '../plan/state.js';
import type { ConfigPlan, ResolvedService, Surroundings } from '../plan/all.js';
import { planConfig } from '../plan/all.js';
import type { Service } from '../plan/services.js';
import { servicesIn } from '../plan/services.js';
import { SlotTable } from '../plan/slots.js';
import { sessionPort } from '../system/ssh-session.js';
import { kernelSeconds } from '../system/clock.js';
import { USUAL_FORWARD } from '../wire/forward.js';
import type { Sources } from '../wire/outer-source.js';
import { familyOfText } from '../wire/outer-source.js';
import { readAllSlots, readState, readTables } from '../program/read.js';

export interface PreparedConfig {
  services: ResolvedService[];
  surroundings: Surroundings;
}

const CONFIG = 'name a config file, such as l4lb.example.toml';

/** Reads the file and checks all of it, without looking at the device. */
export function readConfig(name: string): Omit<Config, 'problems'> {
  const file = readFile(name, CONFIG, readRegular);
  const { problems, ...config } = parseConfig(file, (other) => open(name, other));
  if (problems.length === 0) return config;
  throw badConfig(problems);
}

export function badConfig(problems: readonly string[]): Failure {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  return new Failure(`${count}, nothing was written\n${problems.join('\n')}`, {
    next: 'fix the file and run this command again',
  });
}

/**
 * Opens a file that a config file names: relative to the config file, wherever the tool
 * was started.
 */
export function open(config: string, name: string): DestinationFile {
  const folder = config === '-' ? '.' : dirname(config);
  const path = name.startsWith('/') ? name : normalize(join(folder, name));
  try {
    // With `./` in front the name means neither stdin nor a sample.
    const file = path.startsWith('/') ? path : `./${path}`;
    const { text } = readFile(file, undefined, readRegular);
    return { name: printableLine(path), text };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { cause = error.message } = error.advice;
    throw new Fault(`cannot read ${printableLine(path)}: ${cause}`);
  }
}

/** Refuses names that no service uses, as --names is without --remember destinations. */
export function checkConfigNames({
  services,
  names,
  namesPlace,
}: Pick<Config, 'services' | 'names' | 'namesPlace'>): void {
  const isUsed = services.some(({ remember }) => remember === 'destinations');
  if (isUsed || Object.keys(names).length === 0) return;
  throw new Failure(
    `${namesPlace}: names: there is no service whose destinations remember`,
    {
      cause: 'where the balancer remembers, its packets name nobody',
      next: 'write remember = "destinations" into a service, or leave names out',
    },
  );
}

/** Asks the network for what the file leaves open. */
export async function prepareConfig(
  tools: Pick<Context, 'run' | 'ip'>,
  link: Link,
  config: Omit<Config, 'problems'>,
  can: Abilities,
): Promise<PreparedConfig> {
  checkConfigNames(config);
  const wanted = await chooseVias(tools.run, config.services, can.canRewrite ?? false);
  const { echo, answers, names, seed } = config;
  for (const { forward } of wanted) checkBuild({ forward, answers }, can);
  const mac = macOf(link);
  const rows = wanted.flatMap((service) => service.rows);
  const destinations = await resolveRows(tools, link, rows, can);
  // The device's own addresses are looked up once for all services.
  const needing = wanted.flatMap(({ forward, sources, rows: own }) =>
    own.filter(
      ({ address }) =>
        (forward ?? USUAL_FORWARD) === 'tunnel' && !sources[familyOfText(address)],
    ),
  );
  const defaults = chooseSources({}, {}, ownSources(link, needing), 'tunnel');
  const hasPools = wanted.some(({ forward }) => forward === 'full-nat');
  const chosen = hasPools ? await chosenAddresses(tools.run) : [];
  const poolsOf = ({ sources, rows: own }: (typeof wanted)[number]): Sources =>
    chooseSources(sources, {}, ownSources(link, own, chosen), 'full-nat');
  let at = 0;
  const services = wanted.map((service) => {
    const count = service.rows.length;
    at += count;
    return {
      ...service,
      forward: service.forward ?? USUAL_FORWARD,
      sources:
        service.forward === 'full-nat'
          ? poolsOf(service)
          : { ...defaults, ...service.sources },
      destinations: destinations.slice(at - count, at),
    };
  });
  const { mtu, ifindex } = link;
  const device = { mac, mtu, ifindex, echo, answers, names, slotSeed: askSeed(seed) };
  const deviceName = link.name;
  const surroundings = { sessionPort: sessionPort(), deviceName, ...device };
  return { services, surroundings };
}

/**
 * Reads the live tables, unless they are known, and plans the way from them to what is
 * wanted, which may depend on them.
 */
export async function planPrepared(
  { bpftool }: Pick<Tools, 'bpftool'>,
  maps: Maps,
  wanted: PreparedConfig | ((live: State) => PreparedConfig),
  warm?: Warm,
): Promise<Planned<ConfigPlan>> {
  const tables = warm?.state ?? (await readState(bpftool, maps));
  const { services, surroundings } =
    typeof wanted === 'function' ? wanted(tables) : wanted;
  const layout = layOut(tables, services);
  const all = [
    ...servicesIn(reachable(tables)).values(),
    ...layout.fills.filter(({ isNew }) => isNew).map(({ service }) => service),
  ];
  const cold = all.filter(({ id }) => !warm?.slotsOf.has(id));
  const live = await withSlots(bpftool, maps, tables, cold);
  const now = maps.memories && kernelSeconds();
  const plan = planConfig(live, layout, { ...surroundings, now });
  return { plan, live, services: all };
}

async function withSlots(
  bpftool: Tools['bpftool'],
  maps: Maps,
  tables: State,
  services: readonly Service[],
): Promise<State> {
  // Slots that nobody ever wrote are zero, so they need not be read.
  if (tables.device.abi === 0 || services.length === 0) return tables;
  const read = await readAllSlots(bpftool, maps, services);
  const slots = tables.slots.size === 0 ? read : new SlotTable([tables.slots, read]);
  return { ...tables, slots };
}

export async function readExport({ bpftool, ip }: Tools, maps: Maps): Promise<string> {
  const live = await readTables(bpftool, maps);
  if (!live.exits?.size) return exportConfig(live);
  const all = await ip.senders();
  return exportConfig(live, (exit) => senderOf(all, exit)?.name);
}
