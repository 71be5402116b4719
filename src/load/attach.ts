// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Attaches programs and takes them off. Attaching is the last step and a single command,
 * so a failure leaves the program that was attached before as it was.
 */
import { basename } from 'node:path';

import { loadObject } from '../program/load.js';
import type { LoadOptions, Loaded } from '../program/load.js';
import { BpftoolFailure } from '../system/bpftool-text.js';
import type { MapInfo } from '../system/bpftool-text.js';
import type { CarriedFlows } from '../abi/carry.js';
import type { Mode } from '../text/mode.js';
import { dpdkOf } from '../system/dpdk.js';
import { printableLine } from '../text/printable.js';
import type { Context, Tools } from '../program/tools.js';
import { readTables, untouchedTables } from '../program/read.js';
import { keepSteering, stopSteering, sweepSteering } from '../program/steering.js';
import type { ServerSeen } from '../program/steering.js';
import type { Maps } from '../program/find.js';
import { asMaps, isDecap, isOurs, notOurs } from '../program/find.js';
import { fillDecap } from '../program/decap.js';
import type { Siblings } from '../program/siblings.js';
import { Failure, UsageFailure } from '../text/failure.js';
import type { AttachedProgram, Link } from '../system/ip/links.js';
import type { Pins } from '../program/pins.js';
import { fragsObjectFor, objectFor } from '../program/objects.js';
import { adviceOnAttaching } from '../program/refusal.js';
import type { Plan } from '../plan/service.js';
import type { State, Tables } from '../plan/state.js';

export interface LoadRequest {
  link: Link;
  mode: Mode | 'auto';
  /** Undefined: the object that comes with the package. */
  object: string | undefined;
  decap: boolean;
  /** The number of sets in `flows`; undefined: as many as the object has. */
  sets: number | undefined;
  /** Addresses that full-nat can send from; undefined: as many as the object has. */
  blocks: number | undefined;
  /** Plans the content of the maps. Tables that are known need not be read. */
  fill: ((maps: Maps, known?: State) => Promise<PlannedFill>) | undefined;
  /** For the decapsulation program; undefined: as they are. */
  siblings: Siblings | undefined;
  lock: number;
}

/** A fill that is planned but not yet written. */
export interface PlannedFill {
  plan: Plan;
  write: (maps: Maps) => Promise<void>;
}

export interface LoadResult {
  mode: Mode;
  program: number;
  object: string;
  /** Why `auto` used generic mode instead of driver mode. */
  refusal?: string | undefined;
  /** After a replacement: whether the old maps were kept. */
  keptMaps?: boolean;
  /** What became of the records of connections, if `flows` was replaced. */
  flows?: CarriedFlows | undefined;
  warnings: string[];
  plan?: Plan | undefined;
  maps: MapInfo[];
  /** Those on this host that packets are for. */
  servers: ServerSeen[];
}

/**
 * Returns the program that keeps another from being attached in this mode. A device can
 * have a program on its card and one on the host. But the user must ask for that: with
 * `auto`, any program is in the way.
 */
export function programInTheWay(
  link: Link,
  mode: Mode | 'auto',
): AttachedProgram | undefined {
  if (mode === 'auto') return link.programs[0];
  const isCard = mode === 'xdpoffload';
  return link.programs.find((program) => (program.mode === 'xdpoffload') === isCard);
}

export function alreadyThere(
  link: Link,
  there: AttachedProgram,
  mode: Mode | 'auto',
): Failure {
  const isOther = mode !== 'auto' && mode !== there.mode;
  const again =
    there.mode === 'xdpoffload'
      ? '--replace; or --off; or -m xdpdrv, for another one on the host'
      : '--replace, which loses no packet; or --off';
  return new Failure(
    `${link.name} already has an XDP program: ${there.name || 'one'} (id ${there.id}) in mode ${there.mode}`,
    {
      cause: isOther
        ? 'a device takes a program in driver mode or in generic mode, not both'
        : isOurs(there.name)
          ? 'it was loaded before'
          : 'another tool uses XDP on this device',
      next:
        isOurs(there.name) && !isOther
          ? `l4lb-load -i ${link.name} ${again}`
          : isOurs(there.name)
            ? `l4lb-load -i ${link.name} --off, and then this command again`
            : `ip link set dev ${link.name} ${there.mode} off, if nobody needs it`,
    },
  );
}

export async function attachNew(
  tools: Context,
  pins: Pins,
  request: LoadRequest,
): Promise<LoadResult> {
  const { link, mode } = request;
  const object = request.object ?? objectFor(mode, request.decap);
  await sweepSteering(tools);
  const loaded = await loadObject(tools.bpftool, pins, object, optionsFor(request, mode));
  // Nobody has written to these maps. To read them takes a quarter of a second, and more on
  // a card.
  const { plan, write } = await planLoaded(tools, request, loaded, untouchedTables);
  // Safe before attaching, because nobody uses these maps yet.
  await write(loaded);
  const servers = await steerBy(tools, request, loaded, plan ? [plan.after] : []);

  const modes: Mode[] = mode === 'auto' ? ['xdpdrv', 'xdpgeneric'] : [mode];
  const refusals: string[] = [];
  let attached: Pick<Attachment, 'loaded' | 'object'>;
  for (const candidate of modes) {
    try {
      attached = await attach(tools, pins, { loaded, object, mode: candidate, link });
    } catch (error) {
      if (!(error instanceof BpftoolFailure)) throw error;
      refusals.push(error.reason);
      continue;
    }
    const { id: program, maps } = attached.loaded;
    return {
      mode: candidate,
      program,
      servers,
      object: attached.object,
      refusal: refusals[0],
      warnings: [],
      plan,
      maps,
    };
  }
  stopSteering(link);
  throw notTaken(link, mode, refusals.join('; '));
}

/** Sees to it that packets reach the servers on this host that a balancer's tables name. */
export async function steer(
  tools: Context,
  { link, lock }: Pick<LoadRequest, 'link' | 'lock'>,
  { name, maps }: Pick<Loaded, 'name' | 'maps'>,
  later?: Tables,
): Promise<ServerSeen[]> {
  if (isDecap(name)) return [];
  const tables = await readTables(tools.bpftool, mapsOfLoaded({ maps }));
  const all = later ? [tables, later] : [tables];
  return steerBy(tools, { link, lock }, { name, maps }, all);
}

/** The same by tables that are known. */
async function steerBy(
  tools: Context,
  { link, lock }: Pick<LoadRequest, 'link' | 'lock'>,
  { name, maps }: Pick<Loaded, 'name' | 'maps'>,
  tables: readonly Tables[],
): Promise<ServerSeen[]> {
  if (isDecap(name)) return [];
  return keepSteering(tools, tables, { device: link, maps, lock, isNew: true });
}

/** Reports that a loaded program could not be attached. */
export function notTaken({ name }: Link, mode: Mode | 'auto', reason: string): Failure {
  return new Failure(
    `${name} does not take the program: ${reason}`,
    mode === 'xdpoffload'
      ? adviceOnAttaching(reason, name)
      : {
          cause:
            'its driver does not support XDP, or the MTU is too large for one buffer',
          next:
            mode === 'xdpgeneric'
              ? `ip -d link show ${name}`
              : `l4lb-load -i ${name} -m xdpgeneric`,
        },
  );
}

export interface Attachment {
  loaded: Loaded;
  object: string;
  mode: Mode;
  link: Link;
  overwrite?: boolean;
}

/** The MTU that every driver supports with one buffer. */
const ETHERNET_MTU = 1500;

/**
 * Attaches a program. Drivers differ in how much one buffer holds. If one refuses the
 * program at a large MTU, this tries the program for several buffers, with the same maps.
 */
export async function attach(
  { bpftool }: Pick<Tools, 'bpftool'>,
  pins: Pins,
  { loaded, object, mode, link, overwrite = false }: Attachment,
): Promise<Pick<Attachment, 'loaded' | 'object'>> {
  try {
    await bpftool.attach(mode, loaded.pin, link.name, { overwrite });
    return { loaded, object };
  } catch (error) {
    const frags = fragsObjectFor(object);
    const isJumbo = mode === 'xdpdrv' && link.mtu > ETHERNET_MTU;
    if (!(error instanceof BpftoolFailure) || !frags || !isJumbo) throw error;
    const again = await loadObject(bpftool, pins, frags, { reuse: loaded.maps });
    await bpftool.attach(mode, again.pin, link.name, { overwrite });
    return { loaded: again, object: frags };
  }
}

/** Rejects --flows for a program without hot slots, on a card or of an object. */
export function noFlows(object?: string): UsageFailure {
  if (object !== undefined) {
    return hasNot(object, '--flows', 'remembers no connections');
  }
  return new UsageFailure('--flows is for the balancer on the host', {
    next: 'leave --flows out: a card and a destination remember no connections',
  });
}

/** Rejects --blocks for a program that has no full-nat, on a card or of an object. */
export function noBlocks(object?: string): UsageFailure {
  if (object !== undefined) return hasNot(object, '--blocks', 'has no full-nat');
  return new UsageFailure('--blocks is for the balancer on the host', {
    next: 'leave --blocks out: a card and a destination have no full-nat',
  });
}

function hasNot(object: string, option: string, what: string): UsageFailure {
  return new UsageFailure(`${printableLine(basename(object))} ${what}`, {
    cause: 'it is not of the host build',
    next: `load l4lb_xdp_host.o, or leave ${option} out`,
  });
}

export function optionsFor(request: LoadRequest, mode: Mode | 'auto'): LoadOptions {
  return {
    device: mode === 'xdpoffload' ? request.link.name : undefined,
    sets: request.sets,
    blocks: request.blocks,
    lock: request.lock,
  };
}

/** The planned content of a program's maps: destinations of files, or host addresses. */
export interface Filling {
  plan: Plan | undefined;
  write: (loaded: { maps: MapInfo[] }) => Promise<void>;
}

/**
 * Plans the content completely, so that nothing can be refused when it is written. Tables
 * that `tablesOf` knows are not read.
 */
export async function planLoaded(
  tools: Tools,
  { fill, siblings, lock }: Pick<LoadRequest, 'fill' | 'siblings' | 'lock'>,
  loaded: Pick<Loaded, 'name' | 'maps'>,
  tablesOf?: (maps: Maps) => State,
): Promise<Filling> {
  // Maps that the tools do not know are refused even if nothing is to be filled.
  const tables = isDecap(loaded.name) && !fill ? undefined : mapsOfLoaded(loaded);
  const planned = tables && (await fill?.(tables, tablesOf?.(tables)));
  const write: Filling['write'] = async ({ maps }) => {
    if (isDecap(loaded.name)) await fillDecap(tools, maps, lock, siblings);
    await planned?.write(mapsOfLoaded({ maps }));
  };
  return { plan: planned?.plan, write };
}

export function mapsOfLoaded({ maps }: { maps: MapInfo[] }, program?: string): Maps {
  const named = asMaps(maps, program);
  if (!named) {
    throw new Failure('this program has no destination table to fill', {
      cause: 'it decapsulates, or its maps have other sizes than these tools know',
      next: 'leave -f out',
    });
  }
  return named;
}

/** Only the process that runs a program of DPDK's can start and stop it. */
export function notByTools({ name }: Pick<Link, 'name'>): Failure {
  const there = dpdkOf(name);
  const holder = there?.holder;
  const tables =
    holder === undefined
      ? 'that forgets the tables'
      : `kill ${holder} forgets the tables`;
  return new Failure(`l4lb-dpdk runs the program of ${name}, not the kernel`, {
    cause:
      'only that process can start and stop it; its tables are filled like any others',
    next:
      there?.process === undefined
        ? `start l4lb-dpdk again, which takes up the tables; or ${tables}`
        : `kill ${there.process} ends it, and a new start takes up the tables; ${tables}`,
  });
}

/** Takes our programs off, in one mode or in all. Returns the programs it took off. */
export async function takeOff(
  { ip }: Pick<Tools, 'ip'>,
  link: Link,
  mode: Mode | 'auto',
): Promise<AttachedProgram[]> {
  const programs = link.programs.filter((one) => mode === 'auto' || one.mode === mode);
  const foreign = programs.find(({ name }) => !isOurs(name));
  if (foreign) throw notOurs(link.name, foreign);
  if (programs.some((one) => one.mode === 'dpdk')) throw notByTools(link);
  for (const program of programs) await ip.detach(link.name, program.mode);
  if (programs.length === link.programs.length) stopSteering(link);
  return programs;
}
