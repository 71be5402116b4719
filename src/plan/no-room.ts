// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { Failure } from '../text/failure.js';
import type { Advice } from '../text/failure.js';

/**
 * The maps are too small for what is wanted, as long as they also hold something else.
 */
export class NoRoom extends Failure {
  constructor(what: string, advice: Advice) {
    super(what, advice);
    this.name = 'NoRoom';
  }
}
