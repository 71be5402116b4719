// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Values of options, where more than one command reads the like. */
import { InvalidArgumentError } from 'commander';

export function readWhole(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (number >= least && number <= most) return number;
    throw new InvalidArgumentError(
      `"${text}" is not a whole number from ${least} to ${most}.`,
    );
  };
}

/** Milliseconds, of a time from so many of them to an hour. */
export function readDuration(least: number): (text: string) => number {
  return (text) => {
    const [, number, unit = 's'] = /^(\d{1,6}(?:\.\d+)?)(ms|s|m)?$/.exec(text) ?? [];
    const duration = Number(number) * ({ ms: 1, s: 1000, m: 60_000 }[unit] ?? NaN);
    if (duration >= least && duration <= 3_600_000) return duration;
    const from = least < 1000 ? `${least}ms` : `${least / 1000}s`;
    throw new InvalidArgumentError(
      `"${text}" is not a time from ${from} to 60m, as 30s.`,
    );
  };
}
