// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** How the checks of a destination have ended, for those who look. */
import type { Checks, LastCheck } from '../api/status.js';
import { KEPT_CHECKS } from '../api/status.js';
import type { Checked } from '../health/check.js';

export interface Past {
  last: LastCheck | null;
  /** `+` passed, `-` failed, `?` said nothing; the latest last. */
  checks: string;
  checked: Checks;
}

const NONE: Past = {
  last: null,
  checks: '',
  checked: { passed: 0, failed: 0, void: 0, seconds: 0 },
};

export class History {
  #past = new Map<string, Past>();

  /** Forgets all other checks. */
  keep(keys: ReadonlySet<string>): void {
    this.#past = new Map([...this.#past].filter(([key]) => keys.has(key)));
  }

  add({ key, passed, took, reason }: Checked, now: Date): void {
    const { checks, checked } = this.of(key);
    const mark = passed === undefined ? '?' : passed ? '+' : '-';
    this.#past.set(key, {
      last: { time: now.toISOString(), passed: passed ?? null, ms: tenths(took), reason },
      checks: `${checks}${mark}`.slice(-KEPT_CHECKS),
      checked: {
        passed: checked.passed + (passed === true ? 1 : 0),
        failed: checked.failed + (passed === false ? 1 : 0),
        void: checked.void + (passed === undefined ? 1 : 0),
        seconds: checked.seconds + (passed === true ? took / 1000 : 0),
      },
    });
  }

  of(key: string | undefined): Past {
    return this.#past.get(key ?? '') ?? NONE;
  }
}

const tenths = (milliseconds: number): number => Math.round(milliseconds * 10) / 10;
