// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Does one thing after the other: what somebody asks for, and then a step of its own. */

/** Milliseconds: a step may wait for the lock for 20 s, and for a busy machine. */
const LONGEST_STEP = 60_000;

export class Loop {
  #asked: (() => Promise<void>)[] = [];
  #endSleep: (() => void) | undefined;
  /** Whether the next sleep is over before it begins. */
  #isAwake = false;
  #isOver = false;
  /** When something is wrong with this process if its loop has not gone on. */
  #due = Infinity;

  /** Does something in the loop, after what is being done. */
  ask<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#asked.push(() => work().then(resolve, reject));
      this.wake();
    });
  }

  /** Ends the sleep, or keeps the next one from beginning. */
  wake(): void {
    this.#isAwake = true;
    this.#endSleep?.();
  }

  stop(): void {
    this.#isOver = true;
    this.wake();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether it has done a step as late as it had to. */
  isAlive(now: number): boolean {
    return now < this.#due;
  }

  /** Runs until it is stopped. A step returns for how many milliseconds there is nothing. */
  async run(step: () => Promise<number>): Promise<void> {
    while (!this.#isOver) {
      this.#due = performance.now() + LONGEST_STEP;
      for (;;) {
        const ask = this.#asked.shift();
        if (!ask) break;
        await ask();
      }
      const wait = await step();
      this.#due = performance.now() + wait + LONGEST_STEP;
      await this.#sleep(wait);
    }
  }

  async #sleep(wait: number): Promise<void> {
    if (!this.#isAwake && !this.#isOver) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(0, wait));
        this.#endSleep = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#endSleep = undefined;
    }
    this.#isAwake = false;
  }
}
