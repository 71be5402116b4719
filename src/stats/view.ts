// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Shows samples on a full screen, or line by line on stdout. */
import { print, printJson, warn } from '../system/output.js';
import { sampleJson } from './json.js';
import type { Sample } from './sample.js';

export interface ViewFlags {
  interface: string;
  interval: number;
  once?: boolean;
  json?: boolean;
  plain?: boolean;
}

export interface View {
  /** Also ends a notice. */
  show(sample: Sample): void;
  /** Says why no samples come. */
  notice(text: string): void;
  /** Settles when the user wants to leave. */
  closed: Promise<void>;
  close(): void;
}

export async function openView(flags: ViewFlags): Promise<View> {
  const isTerminal =
    process.stdin.isTTY && process.stdout.isTTY && process.env.TERM !== 'dumb';
  if (isTerminal && !flags.json && !flags.plain && !flags.once) {
    // Loaded only now, because blessed writes to the terminal when it is loaded.
    const { openDashboard } = await import('./terminal.js');
    return openDashboard({ interface: flags.interface, interval: flags.interval });
  }
  const show = flags.json
    ? (sample: Sample) => printJson(sampleJson(sample))
    : await blocksOfLines();
  let noticed: string | undefined;
  return {
    show: (sample) => {
      noticed = undefined;
      show(sample);
    },
    notice: (text) => {
      if (text !== noticed) warn(text);
      noticed = text;
    },
    closed: new Promise(() => {}),
    close: () => {},
  };
}

/** Loads plain.ts only when needed: loading takes a while, and JSON does not use it. */
async function blocksOfLines(): Promise<View['show']> {
  const { plainBlock } = await import('./plain.js');
  let blocks = 0;
  return (sample) =>
    print(`${blocks++ === 0 ? '' : '\n'}${plainBlock(sample).trimEnd()}`);
}
