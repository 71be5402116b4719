// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The result of a check that could not be made: neither well nor wrong. */
export class Unseen {
  /** The reason, as a sentence without a full stop. */
  readonly why: string;

  constructor(why: string) {
    this.why = why;
  }
}
