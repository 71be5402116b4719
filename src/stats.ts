// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-stats: shows packets and bits a second, for each destination and verdict. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { Option } from 'commander';

import { sampleBetween } from './stats/rates.js';
import type { Mode } from './text/mode.js';
import { context } from './program/tools.js';
import { modeOption, readCount, readSeconds } from './cli/options.js';
import { print, printJson, warn } from './system/output.js';
import { newCommand } from './cli/command.js';
import { closeOnSignals } from './cli/signals.js';
import { Failure } from './text/failure.js';
import { sampleJson } from './stats/json.js';
import type { Sample } from './stats/sample.js';
import type { Observation } from './program/watcher.js';
import { Watcher, monotonicSeconds } from './program/watcher.js';

interface Flags {
  interface: string;
  mode?: Mode;
  interval: number;
  count?: number;
  once?: boolean;
  json?: boolean;
  plain?: boolean;
}

export function statsCommand(): Command {
  return newCommand('l4lb-stats', 'Show packets and bits a second, live.')
    .addOption(modeOption())
    .option('--interval <seconds>', 'time between two samples', readSeconds, 1)
    .option('--count <number>', 'end after so many samples', readCount)
    .addOption(new Option('--once', 'print one sample, and end').conflicts('count'))
    .addOption(
      new Option('--json', 'print a line of JSON for each sample').conflicts('plain'),
    )
    .option('--plain', 'print lines, also on a terminal')
    .addHelpText(
      'after',
      `
On a terminal this is a full screen; press ? there for its keys.

Examples:
  l4lb-stats -i eth0
  l4lb-stats -i eth0 --once --interval 0.5
  l4lb-stats -i eth0 --json | jq .totals.pps`,
    )
    .action(async (flags: Flags) => {
      const tools = context();
      const watcher = new Watcher(tools, flags.interface, flags.mode);
      const view = await openView(flags);
      closeOnSignals(view);
      try {
        await watch(watcher, view, flags);
      } finally {
        watcher.close();
        view.close();
      }
    });
}

/** Where samples go. */
interface View {
  show(sample: Sample): void;
  /** Why no sample comes; undefined when they come again. */
  notice(text: string | undefined): void;
  /** Settles when the user wants to leave. */
  closed: Promise<void>;
  close(): void;
}

async function openView(flags: Flags): Promise<View> {
  const isTerminal =
    process.stdin.isTTY && process.stdout.isTTY && process.env.TERM !== 'dumb';
  if (isTerminal && !flags.json && !flags.plain && !flags.once) {
    // blessed writes to the terminal as soon as it is loaded, so only now.
    const { openDashboard } = await import('./stats/terminal.js');
    return openDashboard({ interface: flags.interface, interval: flags.interval });
  }
  const show = flags.json
    ? (sample: Sample) => printJson(sampleJson(sample))
    : await blocksOfLines();
  let noticed: string | undefined;
  return {
    show,
    notice: (text) => {
      if (text !== undefined && text !== noticed) warn(text);
      noticed = text;
    },
    closed: new Promise(() => {}),
    close: () => {},
  };
}

/** What draws them takes a while to load, and JSON needs it not. */
async function blocksOfLines(): Promise<View['show']> {
  const { plainBlock } = await import('./stats/plain.js');
  let blocks = 0;
  return (sample) =>
    print(`${blocks++ === 0 ? '' : '\n'}${plainBlock(sample).trimEnd()}`);
}

/** Long enough for l4lb-load --replace to have carried the old sums over. */
const SETTLING_MS = 300;

async function watch(watcher: Watcher, view: View, flags: Flags): Promise<void> {
  // Without a program at the start there is nothing to wait for.
  let before: Observation | undefined = await watcher.observe();
  const ticks = new Ticks(flags.interval, view.closed);
  let left = flags.once ? 1 : (flags.count ?? Infinity);
  while (left > 0 && (await ticks.next())) {
    const now = await observeOrWait(watcher, view, flags.once ?? false);
    if (!now) {
      before = undefined;
    } else if (!before || now.isNew) {
      await sleep(SETTLING_MS);
      before = await observeOrWait(watcher, view, false);
    } else {
      view.notice(undefined);
      view.show(sampleBetween(now.subject, before.reading, now.reading));
      before = now;
      left--;
    }
  }
}

/** A program that was removed may come back; any other fault stays. */
async function observeOrWait(
  watcher: Watcher,
  view: View,
  isLast: boolean,
): Promise<Observation | undefined> {
  try {
    return await watcher.observe();
  } catch (error) {
    if (!(error instanceof Failure) || isLast) throw error;
    view.notice(`${error.message}; waiting until it is back`);
    return undefined;
  }
}

/** Beats at even distances, whatever the work between them takes. */
class Ticks {
  readonly #interval: number;
  readonly #stop = new AbortController();
  #next = monotonicSeconds();

  constructor(interval: number, closed: Promise<void>) {
    this.#interval = interval;
    void closed.then(() => this.#stop.abort());
  }

  /** Waits for the next beat; false when it is over. */
  async next(): Promise<boolean> {
    const now = monotonicSeconds();
    this.#next = Math.max(this.#next + this.#interval, now);
    try {
      await sleep((this.#next - now) * 1000, undefined, { signal: this.#stop.signal });
      return true;
    } catch (error) {
      if (this.#stop.signal.aborted) return false;
      throw error;
    }
  }
}
