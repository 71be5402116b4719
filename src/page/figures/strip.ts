// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The last checks of a destination as a strip, which needs no colour to be read. */
import { KEPT_CHECKS } from '../../api/status.js';

export interface Strip {
  /** Paths of an SVG of KEPT_CHECKS by 10: low bars, whole bars, and dots. */
  passed: string;
  failed: string;
  void: string;
  /** In words. */
  text: string;
}

export function stripOf(checks: string): Strip {
  const first = KEPT_CHECKS - checks.length;
  const bar = (mark: string, from: number, height: number): string =>
    Array.from(checks)
      .map((one, index) =>
        one === mark ? `M${first + index + 0.1} ${from}h.8v${height}h-.8z` : '',
      )
      .join('');
  const count = (mark: string): number =>
    Array.from(checks).filter((one) => one === mark).length;
  const said = [
    `${count('+')} passed`,
    `${count('-')} failed`,
    ...(count('?') > 0 ? [`${count('?')} said nothing`] : []),
  ];
  return {
    ...{ passed: bar('+', 6, 4), failed: bar('-', 0, 10), void: bar('?', 8, 1) },
    text: checks === '' ? 'no checks' : `${said.join(', ')} of the last ${checks.length}`,
  };
}
