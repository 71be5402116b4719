// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Finds our program on a device, however it came there, and finds its maps. */
import { BpftoolFailure } from '../system/bpftool-text.js';
import type { MapInfo, ProgramInfo } from '../system/bpftool-text.js';
import type { Mode } from '../text/mode.js';
import type { Tools } from './tools.js';
import type { MapName, Build } from '../abi/maps.js';
import {
  ABI,
  DECAP_PROGRAM_NAME,
  EARLIER_SIZES,
  MAP_NAMES,
  PROGRAM_NAME,
  VALUE_SIZES,
} from '../abi/maps.js';
import { Failure, UsageFailure } from '../text/failure.js';
import type { AttachedProgram, Link } from '../system/ip/links.js';

export interface Maps extends Record<MapName, MapInfo> {
  /** Of a program from another release, perhaps not. */
  names?: MapInfo;
  memories?: MapInfo;
  /** Only in a build that records connections. */
  flows?: MapInfo;
  secret?: MapInfo;
  kept?: MapInfo;
  limits?: MapInfo;
  exits?: MapInfo;
  exit_devices?: MapInfo;
  exit_numbers?: MapInfo;
  answers?: MapInfo;
  returned?: MapInfo;
  pools?: MapInfo;
  claims?: MapInfo;
  ports?: MapInfo;
  clock?: MapInfo;
}

export interface Attached {
  link: Link;
  mode: Mode;
  program: number;
  /** Seconds by the wall clock. */
  loadedAt: number;
  build: Build;
  maps: Maps;
}

export async function findAttached(
  { ip, bpftool }: Tools,
  device: string,
  mode?: Mode,
): Promise<Attached> {
  const link = await ip.link(device);
  const attached = choose(link, mode);
  if (isDecap(attached.name)) {
    throw new Failure(
      `the program on ${device} is the decapsulation program; it has no destinations`,
      {
        cause: 'this is a destination, not the balancer',
        next: `l4lb-load -i ${device} --status`,
      },
    );
  }
  const abi = abiOf(attached.name);
  if (abi !== undefined && abi !== ABI) {
    throw new Failure(
      `the program on ${device} has ABI version ${abi}, these tools have ${ABI}`,
      {
        cause: 'program and tools come from different releases',
        next: `l4lb-load -i ${device} --replace`,
      },
    );
  }
  if (abi === undefined) throw notOurs(device, attached);
  const program = await stillThere({ ip, bpftool }, device, mode, attached.id);
  const all = asMaps(program.maps);
  if (!all) throw notOurs(device, attached);
  const maps = attached.mode === 'dpdk' ? withoutExits(all) : all;
  return {
    link,
    mode: attached.mode,
    program: program.id,
    loadedAt: program.loadedAt,
    build: buildOf(maps),
    maps,
  };
}

/**
 * Looks again under the lock, since the program may have been replaced meanwhile. If it
 * is the same, so is everything else.
 */
export async function attachedNow(tools: Tools, attached: Attached): Promise<Attached> {
  const { link, mode, program } = attached;
  const { programs } = await tools.ip.link(link.name);
  const isSame = programs.some((one) => one.mode === mode && one.id === program);
  return isSame ? attached : findAttached(tools, link.name, mode);
}

export async function mapsNow(tools: Tools, attached: Attached): Promise<Maps> {
  return (await attachedNow(tools, attached)).maps;
}

/** The program with its maps; whoever takes it off meanwhile takes these away one by one. */
async function stillThere(
  { ip, bpftool }: Tools,
  device: string,
  mode: Mode | undefined,
  id: number,
): Promise<ProgramInfo & { maps: MapInfo[] }> {
  try {
    return await bpftool.programWithMaps('id', id);
  } catch (error) {
    // Says that there is none, if that is so.
    if (error instanceof BpftoolFailure) choose(await ip.link(device), mode);
    throw error;
  }
}

/** l4lb-dpdk sends by its one port, so it has no use for what the program has for others. */
function withoutExits(maps: Maps): Maps {
  const others = { ...maps };
  delete others.exits;
  delete others.exit_devices;
  delete others.exit_numbers;
  return others;
}

function choose(link: Link, mode: Mode | undefined): AttachedProgram {
  const candidates = link.programs.filter((program) => !mode || program.mode === mode);
  const [only] = candidates;
  if (!only) {
    throw new Failure(`no XDP program on ${link.name}${mode ? ` in mode ${mode}` : ''}`, {
      cause: link.programs.length
        ? `there is one in mode ${link.programs.map((program) => program.mode).join(' and ')}`
        : 'it was never loaded, or removed since',
      next: `l4lb-load -i ${link.name}`,
    });
  }
  if (candidates.length > 1) throw severalPrograms(link.name, candidates);
  return only;
}

/** A card and the host can each have a program, but a command is for one of them. */
export function severalPrograms(
  device: string,
  programs: readonly AttachedProgram[],
): UsageFailure {
  return new UsageFailure(`${device} has ${programs.length} XDP programs`, {
    next: `say which is meant: ${programs.map(({ mode }) => `-m ${mode}`).join(' or ')}`,
  });
}

/** The ABI version of a balancer, of whatever release; undefined for other programs. */
export function abiOf(name: string): number | undefined {
  const version = /^l4lb_(\d+)$/.exec(name)?.[1];
  return version === undefined ? undefined : Number(version);
}

/** Whether it is the balancer of an earlier release whose tables can be carried over. */
export function isEarlier(name: string): boolean {
  return EARLIER_SIZES.has(abiOf(name) ?? ABI);
}

/**
 * l4lb_2 is the balancer, l4lb_decap_1 the decapsulation program; the number is the ABI
 * version.
 */
export function isOurs(name: string): boolean {
  return /^l4lb_(?:decap_)?\d+$/.test(name);
}

export function isDecap(name: string): boolean {
  return name === DECAP_PROGRAM_NAME;
}

export function notOurs(device: string, { name, id, mode }: AttachedProgram): Failure {
  return new Failure(
    `the XDP program on ${device} is not l4lb, but ${name || 'one'} (id ${id})`,
    {
      cause: 'another tool uses XDP on this device',
      next: `remove it with its own tool, or: ip link set dev ${device} ${mode} off`,
    },
  );
}

/**
 * The six maps of a balancer with this name; undefined if one is missing or has another
 * size.
 */
export function asMaps(
  all: readonly MapInfo[],
  program = PROGRAM_NAME,
): Maps | undefined {
  const maps: Partial<Maps> = {};
  const sizes = { ...VALUE_SIZES, ...EARLIER_SIZES.get(abiOf(program) ?? ABI) };
  for (const name of MAP_NAMES) {
    const map = all.find((one) => one.name === name);
    if (!map || map.valueSize !== sizes[name]) return undefined;
    maps[name] = map;
  }
  const optional = [
    ...(['names', 'memories', 'flows', 'secret', 'kept', 'limits'] as const),
    ...(['exits', 'exit_devices', 'exit_numbers', 'answers'] as const),
    ...(['returned', 'pools', 'claims', 'ports', 'clock'] as const),
  ];
  for (const name of optional) {
    const map = all.find((one) => one.name === name);
    if (map) maps[name] = map;
  }
  return maps as Maps;
}

/** One map of our program. Only a program from another release lacks it. */
export function mapNamed(maps: readonly MapInfo[], name: string): MapInfo {
  const map = maps.find((one) => one.name === name);
  if (map) return map;
  throw new Failure(`the program has no map ${name}`, {
    cause: 'program and tools come from different releases',
    next: 'l4lb-load --off, and load it anew with these tools',
  });
}

/** Only the host build counts on each CPU separately. */
export function buildOf(maps: Maps): Build {
  return maps.counters.kind === 'percpu_array' ? 'host' : 'portable';
}
