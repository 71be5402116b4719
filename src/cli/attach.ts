// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What load, replace and decap do: first fill if asked to, then attach. */
import type { Mode } from '../text/mode.js';
import { MODE_NAMES } from '../text/mode.js';
import { context } from '../program/tools.js';
import { refuseBesideDaemon } from './fill.js';
import { fillWishes } from './options.js';
import type { FillFlags } from './options.js';
import { print, printJson, warn } from '../system/output.js';
import type { State } from '../plan/state.js';
import type { Maps } from '../program/find.js';
import { findAttached, isDecap, isOurs } from '../program/find.js';
import type { AttachedProgram } from '../system/ip/links.js';
import { readHardware, tagNote } from '../system/ethtool.js';
import { makeReady, prepareFill } from '../fill/from-rows.js';
import { poolWarnings } from '../fill/pool-neighbours.js';
import { prepareSiblings } from '../fill/siblings.js';
import { Failure, UsageFailure } from '../text/failure.js';
import { many } from '../text/format.js';
import {
  alreadyThere,
  attachNew,
  mapsOfLoaded,
  noBlocks,
  noFlows,
  notByTools,
  programInTheWay,
} from '../load/attach.js';
import type { LoadResult } from '../load/attach.js';
import {
  describeLoaded,
  describeShared,
  loadedJson,
  sharedJson,
} from '../load/report.js';
import { checkOwn } from '../program/owner.js';
import { shareProgram, unshared, unsharedWarnings } from '../load/share.js';
import { deviceLock, withLock } from '../system/lock.js';
import { hasMap } from '../program/objects.js';
import { withPins } from '../program/pins.js';
import { sizesOf } from '../program/read.js';
import { serverWarnings, serversJson } from '../program/text/servers.js';
import {
  describePlan,
  describeRoom,
  planJson,
  planWarnings,
} from '../fill/text/service.js';
import { describeSettled, settledJson } from '../fill/text/settled.js';
import { stillHot } from '../plan/still-hot.js';
import { kernelSeconds } from '../system/clock.js';
import { replaceProgram } from '../load/replace.js';

export interface LoadFlags extends FillFlags {
  interface: string;
  mode: Mode | 'auto';
  obj?: string;
  replace?: boolean;
  unlessLoaded?: boolean;
  decap?: boolean;
  /** Files of the other destinations, for the decapsulation program. */
  siblings?: string[];
  flows?: number;
  blocks?: number;
  json?: boolean;
}

/** Throws if two flags contradict each other, before anything is tried. */
export function checkFlags(flags: LoadFlags): void {
  const { source, vip, takeSsh, slots, table, echo, remember, ...rest } = flags;
  const { forward, answers, seed, previous } = rest;
  const others = remember ?? forward ?? answers ?? seed ?? previous;
  const fills = source ?? vip ?? takeSsh ?? slots ?? table ?? echo ?? others;
  if (fills !== undefined && !flags.file) {
    throw new UsageFailure(
      '--source, --vip, --take-ssh, --slots, --table, --remember, --forward, --answers, --seed, --previous and --echo say how to fill',
      { next: 'add -f FILE, or give them to l4lb-map' },
    );
  }
  const isHost = !flags.decap && flags.mode !== 'xdpoffload';
  if (flags.flows && !isHost) throw noFlows();
  if (flags.blocks && !isHost) throw noBlocks();
  if (flags.decap && flags.file) {
    throw new UsageFailure('--decap has no destinations to fill', {
      next: 'leave -f out',
    });
  }
  checkSiblings(flags);
  if (flags.decap && flags.mode === 'xdpoffload') {
    throw new UsageFailure('--decap is not for a card: it counts per CPU', {
      next: '-m xdpdrv, or -m xdpgeneric',
    });
  }
}

/** Names are of no use to a destination that knows nobody, nor are siblings without names. */
function checkSiblings({ decap, names, siblings, file }: LoadFlags): void {
  if (siblings && !decap) {
    throw new UsageFailure('--siblings is for the decapsulation program', {
      next: 'add --decap; the balancer gets its destinations by -f',
    });
  }
  if (names && !decap && !file) {
    throw new UsageFailure('--names says how to fill, or whom a destination knows', {
      next: 'add -f FILE, or --decap and --siblings FILE, or give it to l4lb-map',
    });
  }
  if (decap && (names !== undefined) !== (siblings !== undefined)) {
    throw new UsageFailure('--names and --siblings need each other', {
      next: '--names 10.7.0.0/16 --siblings FILE, with prefix and file of the balancers',
    });
  }
}

/** Asked for what the object does not have, the kernel only says that a map is missing. */
function checkObject({ obj, flows, blocks }: LoadFlags): void {
  if (obj === undefined) return;
  if (flows !== undefined && !hasMap(obj, 'flows')) throw noFlows(obj);
  if (blocks !== undefined && !hasMap(obj, 'claims')) throw noBlocks(obj);
}

export async function attach(flags: LoadFlags): Promise<void> {
  checkFlags(flags);
  checkObject(flags);
  const tools = context();
  const link = await tools.ip.link(flags.interface);
  const there = programInTheWay(link, flags.mode);
  if (there && flags.unlessLoaded && isAsked(there, flags)) {
    sayThere(flags, there);
    return;
  }
  if (there?.mode === 'dpdk') throw notByTools(link);
  if (there && !flags.replace) throw alreadyThere(link, there, flags.mode);
  if (flags.file) await refuseBesideDaemon(link.name);
  if (flags.siblings && there && !isDecap(there.name)) {
    throw new Failure(`the program on ${link.name} is not the decapsulation program`, {
      cause: 'only a destination sends on to siblings',
      next: `l4lb-load -i ${link.name} --status, to see what is there`,
    });
  }
  // The tables would get this device's MAC, and the lock is that of this device.
  if (there && (await tools.ip.running(there.id)).length > 1) {
    await checkOwn(tools, await findAttached(tools, link.name, there.mode));
  }
  const { names, siblings: files } = flags;
  const siblings = names && files && (await prepareSiblings(tools, link, names, files));
  const isCard = [flags.mode, there?.mode].includes('xdpoffload');
  // An object of the user's own may be of the portable build, which cannot do it either.
  const isHost = !isCard && (flags.obj === undefined || hasMap(flags.obj, 'exits'));
  const can = { canLeave: isHost, canRewrite: isHost };
  const prepared =
    flags.file && (await prepareFill(tools, link, flags.file, fillWishes(flags), can));
  const result = await withLock(tools.run, deviceLock(link), (lock) =>
    withPins((pins) => {
      const request = {
        link,
        mode: flags.mode,
        object: flags.obj,
        decap: flags.decap ?? false,
        sets: flags.flows && (flags.flows << 20) / 64,
        blocks: flags.blocks,
        fill:
          prepared &&
          ((maps: Maps, known?: State) => makeReady(tools, maps, prepared, lock, known)),
        siblings,
        lock,
      };
      return there
        ? replaceProgram(tools, pins, request, there)
        : attachNew(tools, pins, request);
    }),
  );
  if (prepared && !flags.json) {
    print(`Loading file with ${many(prepared.destinations.length, 'destination')}`);
  }
  siblings?.warnings.forEach(warn);
  report(flags, result);
  if (result.plan) {
    (await poolWarnings(tools.run, result.plan.after)).forEach(warn);
    const devices = await unshared(tools, result.program, result.plan.after);
    unsharedWarnings(devices, link.name).forEach(warn);
  }
  if (flags.decap || result.mode === 'xdpoffload') return;
  const note = tagNote(link.name, await readHardware(tools.run, link.name));
  if (note !== undefined) warn(note);
}

/** Whether the program is of ours, and of the kind and in the mode that was asked for. */
function isAsked(there: AttachedProgram, { decap = false, mode }: LoadFlags): boolean {
  const isMode = mode === 'auto' || mode === there.mode;
  return isMode && isOurs(there.name) && isDecap(there.name) === decap;
}

function sayThere({ interface: device, json }: LoadFlags, there: AttachedProgram): void {
  const mode = MODE_NAMES[there.mode];
  if (json) printJson({ interface: device, mode, program: there.id, was_loaded: true });
  else print(`${device} [${mode}] has program ${there.id} already; nothing was changed`);
}

/** Runs the program of another device on this one, too. */
export async function share(flags: LoadFlags, other: string): Promise<void> {
  const tools = context();
  const from = await tools.ip.link(other);
  const { ifindex } = await tools.ip.link(flags.interface);
  const shared = await withLock(tools.run, deviceLock({ ifindex }), () =>
    withPins(async (pins) => {
      const link = await tools.ip.link(flags.interface);
      return shareProgram(tools, pins, link, from, flags.mode);
    }),
  );
  if (flags.json) printJson(sharedJson(flags.interface, other, shared));
  else describeShared(flags.interface, other, shared).forEach(print);
}

function report(flags: LoadFlags, result: LoadResult): void {
  const { plan } = result;
  const warnings = plan
    ? planWarnings(plan, sizesOf(mapsOfLoaded(result)).destinations)
    : [];
  const servers = serverWarnings(result.servers, flags.interface);
  [...result.warnings, ...warnings, ...servers].forEach(warn);
  // A load settles nothing: the next fill does, or --settle.
  const left = plan && {
    ...{ settled: 0, forgotten: 0 },
    ...stillHot(plan.after, kernelSeconds()),
  };
  if (flags.json) {
    printJson({
      ...loadedJson(flags.interface, result),
      ...(plan && { ...planJson(plan), largest_packet: plan.room }),
      ...serversJson(result.servers),
      ...(left && settledJson(left)),
    });
    return;
  }
  const where = { interface: flags.interface, mode: MODE_NAMES[result.mode] };
  describeLoaded(flags.interface, result).forEach(print);
  if (!plan) return;
  describePlan(plan, where, false).forEach(print);
  if (left) describeSettled(left, flags.interface).forEach(print);
  print(describeRoom(plan.room));
}
