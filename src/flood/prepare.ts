// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Prepares a flood, and finds everything that can be wrong before anything is sent. */
import { UsageFailure } from '../text/failure.js';
import type { Context } from '../program/tools.js';
import { parseMac } from '../wire/address.js';
import type { Way } from '../wire/way.js';
import { formatWay } from '../wire/way.js';
import type { FramePlan } from './frame.js';
import { addMacs, checkFlows, planFrame } from './frame.js';
import type { Flood } from './report.js';
import type { Prefix } from './target.js';
import { anySource, formatPrefix } from './target.js';
import {
  checkSize,
  findDevice,
  nextMac,
  ownSource,
  refuseDefaultRoute,
} from './way-out.js';

export interface FrameFlags {
  interface: string;
  src?: Prefix;
  randomSource?: boolean;
  flows?: number;
  size?: number;
  syn?: boolean;
  dstMac?: Buffer;
  yes?: boolean;
}

export async function prepare(
  tools: Context,
  flags: FrameFlags,
  way: Way,
): Promise<{ flood: Flood; plan: FramePlan }> {
  const device = flags.interface;
  const link = await findDevice(tools, device);
  const source =
    flags.src ??
    (flags.randomSource ? anySource(way.address) : ownSource(link, way.address));
  if (!flags.yes) await refuseDefaultRoute(tools, device);
  const { size, syn: isSyn = false } = flags;
  const plan = planFrame({ way, source, size, isSyn });
  checkSize(link, plan.length);
  if (flags.flows !== undefined) checkFlows(plan, flags.flows);
  const from = parseMac(link.mac);
  if (!from) {
    throw new UsageFailure(`${device} has no MAC address`, {
      cause: 'a flood sends Ethernet frames, and this device is for packets without them',
      next: 'ip link, and name a device with link/ether',
    });
  }
  const to = flags.dstMac ?? (await nextMac(tools, device, way.address));
  return {
    plan: addMacs(plan, to, from),
    flood: {
      interface: device,
      destination: formatWay(way),
      source: formatPrefix(source),
      flows: flags.flows,
      size: plan.length,
    },
  };
}
