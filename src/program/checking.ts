// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The program that puts health checks on the way of the balancer's packets: l4lb_check.o. It
 * is at the device's way out as long as l4lbd runs, and reads the balancer's own tables.
 */
import { existsSync } from 'node:fs';

import { encodeKey } from '../abi/bytes.js';
import type { CheckTarget } from '../abi/check.js';
import { CHECK_PORTS, CHECK_PROGRAM_NAME, encodeCheck } from '../abi/check.js';
import { BpftoolFailure } from '../system/bpftool-text.js';
import type { MapInfo } from '../system/bpftool-text.js';
import { checkRules, liftCheckRoutes } from '../system/ip/check-routes.js';
import type { Link } from '../system/ip/links.js';
import { packaged } from '../system/package.js';
import { releasePorts } from '../system/reserved-ports.js';
import type { Ports } from '../system/reserved-ports.js';
import { filterOn, removeFilter, setFilter } from '../system/tc.js';
import { Failure } from '../text/failure.js';
import type { Attached, Maps } from './find.js';
import { mapNamed } from './find.js';
import { noObject } from './objects.js';
import { withPins } from './pins.js';
import type { Context } from './tools.js';
import { update } from '../system/entries.js';

/** Checks by number; undefined: there is none. */
export type CheckTargets = ReadonlyMap<number, CheckTarget | undefined>;

export interface Checking {
  program: number;
  checks: MapInfo;
  /** The balancer's map that it reads. */
  destinations: number;
}

/** Attaches the program with these checks, in place of one that was there before. */
export async function startChecking(
  tools: Context,
  { link, maps }: Pick<Attached, 'link' | 'maps'>,
  targets: CheckTargets,
): Promise<Checking> {
  const object = packaged('l4lb_check.o');
  if (!existsSync(object)) throw noObject(object);
  return withPins(async (pins) => {
    const pin = pins.next();
    try {
      const reuse = readMaps(maps);
      await tools.bpftool.load(object, pin, { reuse, type: 'classifier' });
    } catch (error) {
      if (!(error instanceof BpftoolFailure)) throw error;
      throw new Failure(`the kernel does not take l4lb_check.o: ${error.reason}`, {
        cause: 'the kernel is too old, or the file is from another release',
        next: `bpftool prog load ${object} /sys/fs/bpf/try type classifier, to see all that it says`,
      });
    }
    const program = await tools.bpftool.programWithMaps('pinned', pin);
    const checking = {
      program: program.id,
      checks: mapNamed(program.maps, 'checks'),
      destinations: maps.destinations.id,
    };
    await writeChecks(tools, checking, targets);
    await setFilter(tools.run, link.name, pin);
    return checking;
  });
}

function readMaps({ device, destinations, exits }: Maps): MapInfo[] {
  return [device, destinations, ...(exits ? [exits] : [])];
}

export async function writeChecks(
  { bpftool }: Pick<Context, 'bpftool'>,
  { checks }: Checking,
  targets: CheckTargets,
): Promise<void> {
  const changes = [...targets].map(([number, target]) =>
    update(checks, encodeKey(number), encodeCheck(target)),
  );
  await bpftool.write(changes, undefined);
}

/** Takes it off with all that belongs to it; the ports stay reserved if they were before. */
export async function stopChecking(
  { run }: Pick<Context, 'run'>,
  { name: device, ifindex }: Pick<Link, 'name' | 'ifindex'>,
  keepsPorts = false,
): Promise<void> {
  await removeFilter(run, device);
  const rules = (await checkRules(run)).filter((rule) => rule.ifindex === ifindex);
  await liftCheckRoutes(run, { device, ifindex }, rules);
  const [rule] = rules;
  if (rule && !keepsPorts) await releasePorts(blockOf(rule.firstPort));
}

/** The ports of a device's checks. */
export function blockOf(firstPort: number): Ports {
  return [firstPort, firstPort + CHECK_PORTS - 1];
}

/** Does so if it is there: what a killed l4lbd left behind. */
export async function sweepChecking(
  tools: Pick<Context, 'run'>,
  link: Pick<Link, 'name' | 'ifindex'>,
): Promise<void> {
  const filter = await filterOn(tools.run, link.name);
  if (filter?.name === CHECK_PROGRAM_NAME) await stopChecking(tools, link);
}
