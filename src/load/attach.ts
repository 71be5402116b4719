// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Attaches programs and takes them off. Whatever fails, what was attached before
 * stays as it was: attaching is the last step, and a single command.
 */
import { loadObject } from '../program/load.js';
import type { LoadOptions, Loaded } from '../program/load.js';
import { BpftoolFailure } from '../system/bpftool-text.js';
import type { MapInfo } from '../system/bpftool-text.js';
import type { CarriedFlows } from '../abi/carry.js';
import type { Mode } from '../text/mode.js';
import type { Tools } from '../program/tools.js';
import type { Maps } from '../program/find.js';
import { asMaps, isDecap, isOurs, notOurs } from '../program/find.js';
import { fillDecap } from '../program/decap.js';
import { Failure, UsageFailure } from '../text/failure.js';
import type { AttachedProgram, Link } from '../system/ip/links.js';
import type { Pins } from '../program/pins.js';
import { fragsObjectFor, objectFor } from '../program/objects.js';
import { adviceOnAttaching } from '../program/refusal.js';
import type { Plan } from '../plan/service.js';

export interface LoadRequest {
  link: Link;
  mode: Mode | 'auto';
  /** None: the one that comes with the package. */
  object: string | undefined;
  decap: boolean;
  /** Sets of flows; none: as many as the object has. */
  sets: number | undefined;
  /** Plans what is to be in the maps. */
  fill: ((maps: Maps) => Promise<PlannedFill>) | undefined;
  lock: number;
}

/** A fill that is yet to be written. */
export interface PlannedFill {
  plan: Plan;
  write: (maps: Maps) => Promise<void>;
}

export interface LoadResult {
  mode: Mode;
  program: number;
  object: string;
  /** Why not in driver mode, where `auto` took generic mode instead. */
  refusal?: string | undefined;
  /** After a replacement: whether the maps are still the same. */
  keptMaps?: boolean;
  /** What became of records of connections, where their map is another. */
  flows?: CarriedFlows | undefined;
  warnings: string[];
  plan?: Plan | undefined;
  maps: MapInfo[];
}

/**
 * The program that is in the way of another in this mode. A card's and the host's can
 * be on one device together, but that has to be said: `auto` adds none to one there.
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
  tools: Tools,
  pins: Pins,
  request: LoadRequest,
): Promise<LoadResult> {
  const { link, mode } = request;
  const object = request.object ?? objectFor(mode, request.decap);
  const loaded = await loadObject(tools.bpftool, pins, object, optionsFor(request, mode));
  const { plan, write } = await planLoaded(tools, request, loaded);
  // Nobody uses these maps yet.
  await write(loaded);

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
      object: attached.object,
      refusal: refusals[0],
      warnings: [],
      plan,
      maps,
    };
  }
  throw notTaken(link, mode, refusals.join('; '));
}

/** It is loaded, and could not be attached. */
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

/** What every driver takes in one buffer. */
const ETHERNET_MTU = 1500;

/**
 * How much one buffer holds is the driver's own affair. So where it refuses at a
 * large MTU, the program for several buffers is tried, with the same maps.
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

/** For --flows where no slot remembers. */
export function noFlows(): UsageFailure {
  return new UsageFailure('--flows is for the balancer on the host', {
    next: 'leave --flows out: a card and a destination remember no connections',
  });
}

export function optionsFor(request: LoadRequest, mode: Mode | 'auto'): LoadOptions {
  return {
    device: mode === 'xdpoffload' ? request.link.name : undefined,
    sets: request.sets,
    lock: request.lock,
  };
}

/** What is to be in a program's maps: destinations of files, or the host's addresses. */
export interface Filling {
  plan: Plan | undefined;
  write: (loaded: { maps: MapInfo[] }) => Promise<void>;
}

/** Plans it, so that it cannot be refused any more once it is to be written. */
export async function planLoaded(
  tools: Tools,
  { fill, lock }: Pick<LoadRequest, 'fill' | 'lock'>,
  loaded: Pick<Loaded, 'name' | 'maps'>,
): Promise<Filling> {
  const planned = await fill?.(mapsOfLoaded(loaded));
  const write: Filling['write'] = async ({ maps }) => {
    if (isDecap(loaded.name)) await fillDecap(tools, maps, lock);
    await planned?.write(mapsOfLoaded({ maps }));
  };
  return { plan: planned?.plan, write };
}

export function mapsOfLoaded({ maps }: { maps: MapInfo[] }): Maps {
  const named = asMaps(maps);
  if (!named) {
    throw new Failure('this program has no destination table to fill', {
      cause: 'it decapsulates, or its maps have other sizes than these tools know',
      next: 'leave -f out',
    });
  }
  return named;
}

/** Takes our programs off, in one mode or in all; says what it took. */
export async function takeOff(
  { ip }: Pick<Tools, 'ip'>,
  link: Link,
  mode: Mode | 'auto',
): Promise<AttachedProgram[]> {
  const programs = link.programs.filter((one) => mode === 'auto' || one.mode === mode);
  const foreign = programs.find(({ name }) => !isOurs(name));
  if (foreign) throw notOurs(link.name, foreign);
  for (const program of programs) await ip.detach(link.name, program.mode);
  return programs;
}
