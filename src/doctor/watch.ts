// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Watches what a device receives, and what the program counts meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { VerdictName } from '../abi/verdicts.js';
import { VERDICTS } from '../abi/verdicts.js';
import type { Reading } from '../program/reading.js';
import type { Context } from '../program/tools.js';
import type { Observation } from '../program/watcher.js';
import { Watcher } from '../program/watcher.js';
import { readTransmitErrors } from '../system/ethtool.js';
import type { AttachedProgram } from '../system/ip/links.js';
import type { Device } from '../system/ip/namespaces.js';
import { captureIncoming } from '../system/tcpdump.js';
import { Failure } from '../text/failure.js';
import { must } from '../text/must.js';
import { Unseen } from '../text/unseen.js';
import type { Traffic } from './facts.js';
import { countFrames } from './frames.js';

export async function watchTraffic(
  { run, ip, bpftool }: Context,
  device: Device,
  program: AttachedProgram | undefined,
  interval: number,
): Promise<Traffic> {
  const watcher = new Watcher({ ip, bpftool }, device.name, program?.mode);
  const look = async (): Promise<[Observation, number, number | Unseen]> => [
    await watcher.observe(),
    await ip.received(device.name),
    await readTransmitErrors(run, device.name),
  ];
  const twice = async () => {
    const before = await look();
    const [frames] = await Promise.all([
      // Nothing comes in on a device that is down, and tcpdump does not open it.
      device.up ? captureIncoming(run, device.name, interval) : [],
      sleep(interval * 1000),
    ]);
    return { before, frames, now: await look() };
  };
  const looks = await twice().finally(() => watcher.close());
  const { frames } = looks;
  const [before, receivedBefore, errorsBefore] = looks.before;
  const [now, received, errors] = looks.now;
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
    transmitErrors: difference(errorsBefore, errors),
    passed: frames instanceof Unseen ? frames : countFrames(frames, device.mac),
  };
}

function difference(before: number | Unseen, now: number | Unseen): number | Unseen {
  if (before instanceof Unseen) return before;
  return now instanceof Unseen ? now : now - before;
}

/** Sums by verdict. `balanced` is the sum of what all destinations got. */
function sumsOf(reading: Reading): Map<VerdictName, bigint> {
  const balanced = [...reading.destinations.values(), reading.retired].reduce(
    (sum, { packets }) => sum + packets,
    0n,
  );
  return new Map(
    VERDICTS.map(({ name, number }) => [
      name,
      number === 0 ? balanced : must(reading.verdicts.get(number), name).packets,
    ]),
  );
}
