// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What could not be looked at, which is neither well nor wrong. */
export class Unseen {
  /** The reason, as a sentence without a full stop. */
  readonly why: string;

  constructor(why: string) {
    this.why = why;
  }
}
