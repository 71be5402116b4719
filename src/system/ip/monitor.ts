// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Hears from `ip monitor` when links, addresses, routes or neighbours change. */
import { LongRunning } from '../long-running.js';

/**
 * It ends with ip; and with its input, so at the latest when this process ends for
 * whatever reason. What runs in the background of a shell has no input of its own.
 */
const SHELL = [
  'PATH=$PATH:/usr/sbin:/sbin LC_ALL=C',
  'export PATH LC_ALL',
  'exec 3<&0',
  'ip -o monitor label link address route neigh &',
  'monitor=$!',
  '{ read -r _ <&3; kill "$monitor"; } 2>/dev/null &',
  'reader=$!',
  'echo ready',
  'wait "$monitor"',
  'kill "$reader" 2>/dev/null',
].join('\n');

const WHO = 'the shell that runs ip monitor';

/** A neighbour as the monitor prints it, with or without a MAC. */
const NEIGHBOUR = /^\[NEIGH\](?:Deleted )?(\S+) dev (\S+)(?: lladdr (\S+))?/;

export class Monitor {
  readonly #shell: LongRunning;
  /** The MAC of each neighbour, as heard last. */
  readonly #macs = new Map<string, string>();
  /** Something has changed since change() was called last. */
  #isChanged = false;
  #onChange: () => void = () => {};

  private constructor(shell: LongRunning) {
    this.#shell = shell;
    shell.onLine((line) => {
      if (!this.hear(line)) return;
      this.#isChanged = true;
      this.#onChange();
    });
  }

  static async start(): Promise<Monitor> {
    const shell = new LongRunning('sh', ['-c', SHELL]);
    await shell.firstLine(WHO);
    return new Monitor(shell);
  }

  /**
   * Waits until something changes, or for so many milliseconds; false if nothing did. What
   * changed before the call, but after the last one, counts too.
   */
  async change(limit: number): Promise<boolean> {
    if (!this.#isChanged) await this.#nextChange(limit);
    const isChanged = this.#isChanged;
    this.#isChanged = false;
    return isChanged;
  }

  async #nextChange(limit: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#onChange = (): void => {};
        resolve();
      };
      const timer = setTimeout(end, limit);
      this.#onChange = end;
      void this.#shell.ended.then(() => {
        clearTimeout(timer);
        reject(this.#shell.failure(WHO));
      });
    });
  }

  /**
   * Whether a line tells of a change. The kernel asks managed neighbours again and again,
   * and each answer is a line, so those with the same MAC do not count.
   */
  hear(line: string): boolean {
    const [, address, device, mac = ''] = NEIGHBOUR.exec(line) ?? [];
    if (address === undefined) return /^\[(?:LINK|ADDR|ROUTE)\]/.test(line);
    const key = `${address} ${device}`;
    if (this.#macs.get(key) === mac) return false;
    this.#macs.set(key, mac);
    return true;
  }

  /** With its next line the shell ends, and ends ip before. */
  close(): void {
    this.#shell.say('');
  }
}
