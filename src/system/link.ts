// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Whether a device has a link, as the kernel says it, without a process of its own. */
import { networkInterfaces } from 'node:os';

/** Milliseconds between two looks. A routing daemon takes longer to notice that it is back. */
const LOOK = 250;

/** Node lists devices that have an address and a link; one that was listed once has lost it. */
export class Link {
  readonly #device: string;
  readonly #looking: NodeJS.Timeout;
  #isUp: boolean | undefined;

  constructor(device: string, changed: () => void) {
    this.#device = device;
    this.#isUp = this.#isListed() || undefined;
    this.#looking = setInterval(() => {
      const isListed = this.#isListed();
      if (isListed === (this.#isUp ?? false)) return;
      this.#isUp = isListed;
      changed();
    }, LOOK).unref();
  }

  /** A device that never had an address says nothing. */
  get isDown(): boolean {
    return this.#isUp === false;
  }

  close(): void {
    clearInterval(this.#looking);
  }

  #isListed(): boolean {
    return Object.hasOwn(networkInterfaces(), this.#device);
  }
}
