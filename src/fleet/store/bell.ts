// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Wakes who waits for a file to be renamed into a folder. */
import type { FSWatcher } from 'node:fs';
import { watch } from 'node:fs';

import { codeOf } from '../../text/file-fault.js';

export class Bell {
  #watcher: FSWatcher | undefined;
  #hasRung = false;
  #wake: (() => void) | undefined;

  /** Rings when this file of the folder has changed. */
  constructor(folder: string, file: string) {
    try {
      this.#watcher = watch(folder, { persistent: false }, (_, name) => {
        if (name === file) this.ring();
      });
    } catch (error) {
      // Too many watch already, or the folder is gone; whoever waits looks at it himself.
      if (codeOf(error) === undefined) throw error;
    }
    this.#watcher?.on('error', () => {
      this.close();
    });
  }

  /** Whether it rings by itself. */
  get isHung(): boolean {
    return this.#watcher !== undefined;
  }

  ring(): void {
    this.#hasRung = true;
    this.#wake?.();
  }

  /** Waits until it rings, or has rung since, or the time is over. */
  async wait(milliseconds: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      if (this.#hasRung) {
        resolve();
        return;
      }
      this.#wake = resolve;
      timer = setTimeout(resolve, milliseconds);
    });
    clearTimeout(timer);
    this.#wake = undefined;
    this.#hasRung = false;
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}
