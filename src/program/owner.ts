// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Whose tables a program has that runs on several devices: those of the device that they
 * were filled for, whose MAC address they have.
 */
import type { Device } from '../abi/device.js';
import { decodeDevice } from '../abi/device.js';
import { valueOf } from '../system/bpftool-text.js';
import type { Link, Running } from '../system/ip/links.js';
import { Failure } from '../text/failure.js';
import { at } from '../text/must.js';
import { parseMac } from '../wire/address.js';
import type { Attached } from './find.js';
import type { Context } from './tools.js';

/**
 * Refuses a device that only shares the program: the tables are another one's. Which devices
 * run it is asked, unless it is known.
 */
export async function checkOwn(
  tools: Asking,
  attached: OfDevice,
  running?: readonly Running[],
): Promise<void> {
  const owner = await ownerOf(tools, attached, running);
  if (owner === undefined) return;
  throw new Failure(`${attached.link.name} only shares the program of ${owner}`, {
    cause: `the tables are those of ${owner}, with its MAC address`,
    next: `this command again, with -i ${owner}`,
  });
}

export type Asking = Pick<Context, 'ip' | 'bpftool'>;
type OfDevice = Pick<Attached, 'program' | 'maps'> & { link: Pick<Link, 'name' | 'mac'> };

/** The device whose program this one only shares, if another one is there and has it. */
export async function ownerOf(
  tools: Asking,
  { link, program, maps }: OfDevice,
  running?: readonly Running[],
): Promise<string | undefined> {
  const all = running ?? (await tools.ip.running(program));
  if (all.every(({ name }) => name === link.name)) return undefined;
  const { abi, mac } = await readDevice(tools, maps);
  if (abi === 0) return undefined;
  const isOwner = ({ mac: text }: Pick<Running, 'mac'>): boolean =>
    parseMac(text)?.equals(mac) === true;
  return isOwner(link) ? undefined : all.find(isOwner)?.name;
}

/** Whether somebody has filled the tables. */
export async function isFilled(
  tools: Pick<Asking, 'bpftool'>,
  maps: Attached['maps'],
): Promise<boolean> {
  return (await readDevice(tools, maps)).abi !== 0;
}

async function readDevice(
  { bpftool }: Pick<Asking, 'bpftool'>,
  { device }: Attached['maps'],
): Promise<Device> {
  const [dump = []] = await bpftool.dumps([device.id]);
  return decodeDevice(valueOf(at(dump, 0)));
}
