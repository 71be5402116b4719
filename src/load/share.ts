// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * One program on several devices: the answers come in by other devices
 * than clients do, and are turned back by the same tables. The device that the tables are
 * filled for is the program's own; the others share it.
 */
import { DEVICE_XDP_ANSWERS } from '../abi/device.js';
import { PROGRAM_NAME } from '../abi/maps.js';
import { asMaps, isDecap, isOurs, notOurs } from '../program/find.js';
import type { Asking } from '../program/owner.js';
import { isFilled, ownerOf } from '../program/owner.js';
import type { Pins } from '../program/pins.js';
import type { Context, Tools } from '../program/tools.js';
import { BpftoolFailure } from '../system/bpftool-text.js';
import type { AttachedProgram, Link } from '../system/ip/links.js';
import type { Mode } from '../text/mode.js';
import { Failure } from '../text/failure.js';
import type { State } from '../plan/state.js';
import type { EntryForward } from '../wire/forward.js';
import { answersAreCounted, answersComeBack } from '../wire/forward.js';
import { alreadyThere, notByTools, notTaken, programInTheWay } from './attach.js';

export interface Shared {
  mode: Mode;
  program: number;
  /** Why `auto` used generic mode instead of driver mode. */
  refusal: string | undefined;
  /** It was there before. */
  isOld: boolean;
}

/** Runs the program of `from` on `link`, too. */
export async function shareProgram(
  tools: Tools,
  pins: Pins,
  link: Link,
  from: Link,
  mode: Mode | 'auto',
): Promise<Shared> {
  if (link.name === from.name) throw withItself(link);
  const program = shareable(from);
  const there = programInTheWay(link, mode);
  if (there?.id === program) {
    return { mode: there.mode, program, refusal: undefined, isOld: true };
  }
  if (there) {
    throw isOurs(there.name) ? otherThere(link, there) : alreadyThere(link, there, mode);
  }
  const pin = pins.next();
  await tools.bpftool.pin(program, pin);
  const refusals: string[] = [];
  for (const one of mode === 'auto' ? (['xdpdrv', 'xdpgeneric'] as const) : [mode]) {
    try {
      await tools.bpftool.attach(one, pin, link.name);
      return { mode: one, program, refusal: refusals[0], isOld: false };
    } catch (error) {
      if (!(error instanceof BpftoolFailure)) throw error;
      refusals.push(error.reason);
    }
  }
  throw notTaken(link, mode, refusals.join('; '));
}

function withItself({ name }: Link): Failure {
  return new Failure(`${name} has nothing to share with itself`, {
    cause: 'the program is shared with the other devices that answers come in by',
    next: `l4lb-load -i DEVICE --share ${name}`,
  });
}

/** Replacing it would keep its tables, which are not those of the device to share with. */
function otherThere({ name }: Link, { id }: AttachedProgram): Failure {
  return new Failure(`${name} has a program of its own (id ${id})`, {
    cause: 'it was loaded here, or was shared by a device that has another one by now',
    next: `l4lb-load -i ${name} --off, and then this command again`,
  });
}

function shareable({ name, programs }: Link): number {
  const [program] = programs;
  if (!program) {
    throw new Failure(`${name} has no XDP program to share`, {
      cause: 'the balancer is loaded on the device that clients come in by',
      next: `l4lb-load -i ${name}`,
    });
  }
  if (!isOurs(program.name)) throw notOurs(name, program);
  if (program.mode === 'dpdk') throw notByTools({ name });
  if (isDecap(program.name) || program.mode === 'xdpoffload') {
    throw new Failure(`the program on ${name} is nothing to share`, {
      cause: isDecap(program.name)
        ? 'it decapsulates, and has no tables'
        : 'it runs on a card, which cannot rewrite packets',
      next: `l4lb-load -i ${name} --status`,
    });
  }
  return program.id;
}

/** Puts the new program in place of the old one on the other devices that share that. */
export async function swapShared(
  { ip, bpftool }: Pick<Tools, 'ip' | 'bpftool'>,
  link: Link,
  old: number,
  pin: string,
): Promise<string[]> {
  const warnings: string[] = [];
  for (const { name, mode } of await ip.running(old)) {
    if (name === link.name) continue;
    try {
      await bpftool.attach(mode, pin, name, { overwrite: true });
    } catch (error) {
      if (!(error instanceof BpftoolFailure)) throw error;
      warnings.push(
        `${name} keeps the old program, whose tables are filled no more: ${error.reason}`,
      );
    }
  }
  return warnings;
}

/** Devices that go on with a program that was taken off one. */
export interface LeftBehind {
  others: string[];
  /** The tables were filled for the device that the program was taken off. */
  isOwn: boolean;
}

export async function leftBehind(
  tools: Asking,
  link: Link,
  { id, name }: AttachedProgram,
): Promise<LeftBehind> {
  const others = (await tools.ip.running(id)).map((one) => one.name);
  if (others.length === 0 || name !== PROGRAM_NAME) return { others, isOwn: false };
  const maps = asMaps((await tools.bpftool.programWithMaps('id', id)).maps);
  // Tables that nobody has filled yet are nobody's.
  const isOwn = maps !== undefined && (await isFilled(tools, maps));
  return {
    others,
    isOwn: isOwn && !(await ownerOf(tools, { link, program: id, maps })),
  };
}

/** What l4lb-load --off says of them. */
export function leftBehindWarnings(
  device: string,
  { others, isOwn }: LeftBehind,
): string[] {
  if (!isOwn) return [];
  return others.map(
    (other) =>
      `${other} goes on with the program of ${device}, whose tables are filled no more: l4lb-load -i ${other} --off`,
  );
}

/** A device that answers come in by without meeting the program. */
export interface Unshared {
  device: string;
  /** How packets reach the destinations that answer by it. */
  ways: EntryForward[];
}

/** By link answers need the program only where XDP is to send them. */
export async function unshared(
  { ip }: Pick<Context, 'ip'>,
  program: number,
  {
    device: { flags },
    destinations,
    exits,
  }: Pick<State, 'device' | 'destinations' | 'exits'>,
): Promise<Unshared[]> {
  const needIt = flags & DEVICE_XDP_ANSWERS ? answersAreCounted : answersComeBack;
  const ways = new Map<number | undefined, Set<EntryForward>>();
  for (const { forward, service, exit } of destinations.values()) {
    if (!needIt(forward) || service === 0 || exit === 0) continue;
    const device = exits?.get(exit)?.ifindex;
    ways.set(device, (ways.get(device) ?? new Set()).add(forward));
  }
  if (ways.size === 0) return [];
  const running = new Set((await ip.running(program)).map(({ name }) => name));
  return (await ip.senders()).flatMap(({ ifindex, name: device }) => {
    const by = ways.get(ifindex);
    return by && !running.has(device) ? [{ device, ways: [...by].sort() }] : [];
  });
}

/** What a fill says of them. */
export function unsharedWarnings(devices: readonly Unshared[], own: string): string[] {
  return devices.map(({ device, ways }) => {
    const turned = ways.filter(answersComeBack);
    const [who, what] =
      turned.length > 0
        ? [turned, 'which alone turns them back']
        : [ways, 'so the kernel sends them and nobody counts them'];
    return `answers of ${who.join(' and ')} destinations come in by ${device} without meeting the program, ${what}: l4lb-load -i ${device} --share ${own}`;
  });
}
