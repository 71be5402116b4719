// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Watches what a device receives, and what the program counts meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { VerdictName } from '../abi/verdicts.js';
import { VERDICTS } from '../abi/verdicts.js';
import { countedUnder } from '../program/reading.js';
import type { Reading } from '../program/reading.js';
import type { Context } from '../program/tools.js';
import type { Observation } from '../program/watcher.js';
import { Watcher } from '../program/watcher.js';
import { readOwnDrops, readSendDrops } from '../system/ethtool.js';
import type { AttachedProgram } from '../system/ip/links.js';
import type { Device } from '../system/ip/namespaces.js';
import { captureIncoming } from '../system/tcpdump.js';
import { Failure } from '../text/failure.js';
import { at, must } from '../text/must.js';
import { Unseen } from '../text/unseen.js';
import { works } from './findings.js';
import type { Balancer, ExitFacts, ExitTraffic, Traffic } from './facts.js';
import { countFrames, countSources } from './frames.js';

export async function watchTraffic(
  { run, ip, bpftool }: Context,
  device: Device,
  program: AttachedProgram | undefined,
  balancer: Balancer,
  interval: number,
): Promise<Traffic> {
  const exits = balancer.exits.filter(works);
  const watcher = new Watcher({ ip, bpftool }, device.name, program?.mode);
  const look = async (): Promise<Look> => [
    await watcher.observe(),
    await ip.received(device.name),
    await readOwnDrops(run, device.name),
    await Promise.all(exits.map((exit) => lookAtExit({ run, ip }, exit))),
  ];
  const twice = async () => {
    const before = await look();
    const [frames, back] = await Promise.all([
      // Nothing comes in on a device that is down, and tcpdump does not open it.
      device.up ? captureIncoming(run, device.name, interval) : [],
      Promise.all(
        exits
          .slice(0, MOST_CAPTURES)
          .map(async (exit) => captureIncoming(run, nameOf(exit), interval)),
      ),
      sleep(interval * 1000),
    ]);
    return { before, frames, back, now: await look() };
  };
  const looks = await twice().finally(() => watcher.close());
  const { frames, back } = looks;
  const [before, receivedBefore, dropsBefore, exitsBefore] = looks.before;
  const [now, received, drops, exitsNow] = looks.now;
  if (now.isNew) {
    throw new Failure(`the program on ${device.name} was replaced in the meantime`, {
      next: 'run this command again',
    });
  }
  const sums = sumsOf(now.reading);
  const earlier = sumsOf(before.reading);
  return {
    interval: now.reading.at - before.reading.at,
    verdicts: new Map(
      [...sums].map(([name, sum]) => [name, Number(sum - must(earlier.get(name), name))]),
    ),
    sums,
    received: received - receivedBefore,
    drops: risesOf(dropsBefore, drops),
    passed: frames instanceof Unseen ? frames : countFrames(frames, device.mac),
    exits: new Map(
      exits.map((exit, index) => {
        const captured = back[index] ?? [];
        return [
          exit.number,
          {
            balanced:
              balancedTo(balancer, exit, now) - balancedTo(balancer, exit, before),
            ...differenceOf(at(exitsBefore, index), at(exitsNow, index)),
            answers: countSources(captured instanceof Unseen ? [] : captured),
          },
        ];
      }),
    ),
  };
}

/** What the counters of an exit's device say. */
interface ExitLook {
  sent: number;
  drops: Map<string, number>;
  unseen: Unseen | undefined;
}

type Look = [
  observation: Observation,
  received: number,
  drops: Map<string, number> | Unseen,
  exits: ExitLook[],
];

/** The doctor does not listen on more exits than this. */
const MOST_CAPTURES = 8;

function nameOf({ device }: ExitFacts): string {
  return must(device, 'the device of an exit that works').name;
}

/** Frames of XDP are counted by the device beneath a VLAN device. */
async function lookAtExit(
  { run, ip }: Pick<Context, 'run' | 'ip'>,
  { sender }: ExitFacts,
): Promise<ExitLook> {
  const { name } = must(sender, 'the device that an exit sends by');
  const { packets, dropped } = await ip.sent(name);
  const counters = await readSendDrops(run, name);
  const isUnseen = counters instanceof Unseen;
  return {
    sent: packets,
    drops: new Map([['TX dropped', dropped], ...(isUnseen ? [] : counters)]),
    unseen: isUnseen ? counters : undefined,
  };
}

function differenceOf(
  before: ExitLook,
  now: ExitLook,
): Omit<ExitTraffic, 'balanced' | 'answers'> {
  return {
    sent: now.sent - before.sent,
    drops: rises(before.drops, now.drops),
    unseen: now.unseen,
  };
}

function balancedTo(
  { tables }: Balancer,
  { number }: ExitFacts,
  { reading }: Observation,
): number {
  let sum = 0n;
  for (const [id, { exit }] of tables.destinations) {
    if (exit === number) sum += reading.destinations.get(id)?.packets ?? 0n;
  }
  return Number(sum);
}

/** The counters that rose, and by how much. */
function rises(
  before: ReadonlyMap<string, number>,
  now: ReadonlyMap<string, number>,
): Map<string, number> {
  const all = [...now].map(
    ([name, count]) => [name, count - (before.get(name) ?? 0)] as const,
  );
  return new Map(all.filter(([, rise]) => rise > 0));
}

function risesOf(
  before: Map<string, number> | Unseen,
  now: Map<string, number> | Unseen,
): Traffic['drops'] {
  if (before instanceof Unseen) return before;
  return now instanceof Unseen ? now : rises(before, now);
}

function sumsOf(reading: Reading): Map<VerdictName, bigint> {
  return new Map(
    VERDICTS.map((verdict) => [verdict.name, countedUnder(reading, verdict).packets]),
  );
}
