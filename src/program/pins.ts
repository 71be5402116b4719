// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Pins that a tool needs while it runs. They are gone when it ends. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { endChildren } from '../system/run.js';
import { lives, thisProcess } from '../system/processes.js';
import type { EndingSignal } from '../system/signals.js';
import { onEndingSignal } from '../system/signals.js';

/**
 * Pins lie in the root of the BPF file system. `ip netns exec` hides that file system,
 * and bpftool mounts it anew there, but only for a file in its root.
 */
const BPF_ROOT = '/sys/fs/bpf';
const PREFIX = 'l4lb-pin-';
/**
 * PREFIX pid-started-namespace-number: the process that owns the pin, see
 * ProcessIdentity.
 */
const NAME = new RegExp(`^${PREFIX}(\\d+)-(\\d+)-(\\d+)-\\d+$`);

/** How many paths were given out: work with pins may begin other work with pins. */
let given = 0;

export class Pins {
  readonly #paths: string[] = [];

  /** Gives a path to pin to, which is removed when the work is done. */
  next(): string {
    const { pid, started, namespace } = thisProcess();
    const own = [pid, started, namespace, given++].join('-');
    const path = `${BPF_ROOT}/${PREFIX}${own}`;
    this.#paths.push(path);
    return path;
  }

  release(): void {
    for (const path of this.#paths.splice(0)) rmSync(path, { force: true });
  }
}

/** Removes what killed tools left behind, and nothing that belongs to a running tool. */
export function sweepPins(): void {
  if (!existsSync(BPF_ROOT)) return;
  for (const name of readdirSync(BPF_ROOT)) {
    if (isOfDeadProcess(name)) rmSync(`${BPF_ROOT}/${name}`, { force: true });
  }
}

function isOfDeadProcess(name: string): boolean {
  const [pid, started, namespace] = (NAME.exec(name) ?? []).slice(1).map(Number);
  if (pid === undefined || started === undefined || namespace === undefined) return false;
  return lives({ pid, started, namespace }) === false;
}

/** Runs work that pins programs, and leaves no pin behind, even if a signal ends it. */
export async function withPins<T>(work: (pins: Pins) => Promise<T>): Promise<T> {
  sweepPins();
  const pins = new Pins();
  let ending: Promise<void> | undefined;
  const end = async (signal: EndingSignal): Promise<void> => {
    // A child that still runs could pin something yet.
    await endChildren();
    pins.release();
    stopListening();
    // Nobody listens any more, so this ends the process as the signal would have done.
    process.kill(process.pid, signal);
    await sleep(1000);
  };
  const stopListening = onEndingSignal((signal) => {
    ending ??= end(signal);
  });
  try {
    return await work(pins);
  } finally {
    await ending;
    stopListening();
    pins.release();
  }
}
