// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads the values of options; commander prints the faults that a reader finds. */
import { MOST_BLOCKS } from '../abi/pool.js';
import { InvalidArgumentError } from 'commander';

import { Fault, tryParse } from '../text/fault.js';
import { storableTime } from '../abi/cell.js';
import { UsageFailure } from '../text/failure.js';
import { printableLine } from '../text/printable.js';
import { parseMac } from '../wire/address.js';
import type { Names } from '../wire/names.js';
import { joinNames, parseNames } from '../wire/names.js';
import { parseSlotSeed } from '../wire/slot-seed.js';
import type { AskedSources } from '../wire/outer-source.js';
import { TWO_SOURCES, familyOf, parseSource } from '../wire/outer-source.js';
import type { Way } from '../wire/way.js';
import { parseWays } from '../wire/way.js';

/** Makes an option's reader of a function that throws a Fault. */
export function reader<T>(
  read: (text: string, before?: T) => T,
): (text: string, before?: T) => T {
  return (text, before) => {
    const value = tryParse(() => read(text, before));
    if (value instanceof Fault) {
      throw new InvalidArgumentError(`${capital(value.message)}.`);
    }
    return value;
  };
}

/** Of an alternative name, which may be longer than a device's own name. */
const LONGEST_NAME = 127;

/** Checks a name as the kernel does: without blanks, / or :, and not . or .. */
export function readDevice(text: string): string {
  const bytes = Buffer.byteLength(text);
  if (/[\s/:]/.test(text) || ['', '.', '..'].includes(text) || bytes > LONGEST_NAME) {
    throw new UsageFailure(`"${printableLine(text)}" is not the name of a device`, {
      next: 'ip link, which lists the devices',
    });
  }
  // The kernel accepts these, but bpftool and ip read them as quotes and comments.
  if (/[#'"\\]/.test(text) || printableLine(text) !== text) {
    const shown = printableLine(text);
    throw new UsageFailure(`l4lb cannot work with a device whose name is ${shown}`, {
      cause:
        'a control character, #, \\, \' or " in it does not pass through ip and bpftool',
      next: 'give it another name: ip link set dev OLD name lb0',
    });
  }
  return text;
}

export const readMac = reader((text): Buffer => {
  const mac = parseMac(text);
  if (mac) return mac;
  throw new Fault(`"${text}" is not a MAC address`);
});

export const readSource = reader((text: string, before: AskedSources = {}) => {
  if (text === 'own') return { ...before, isOwn: true };
  const source = parseSource(text);
  const family = familyOf(source.address);
  if (before[family]) throw new Fault(TWO_SOURCES);
  return { ...before, [family]: source };
});

export const readSlotSeed = reader((text: string) => parseSlotSeed(text));

export const readNames = reader((text: string, before: Names = {}) =>
  joinNames([...Object.values(before), parseNames(text)]),
);

export const readWays = reader((text: string, before: Way[] = []) => [
  ...before,
  ...parseWays(text),
]);

export const readSlotCount = reader((text: string): number => {
  const slots = Number(text);
  const isPower = /^\d{1,7}$/.test(text) && slots > 0 && (slots & (slots - 1)) === 0;
  if (!isPower) throw new Fault(`"${text}" is not a power of two`);
  return slots;
});

export const readMegabytes = reader((text: string): number => {
  const size = Number(text);
  if (!/^\d{1,4}$/.test(text) || size < 1 || (size & (size - 1)) !== 0) {
    throw new Fault(`"${text}" is not a power of two from 1 to 8192`);
  }
  return size;
});

export const readBlocks = reader((text: string): number => {
  const blocks = Number(text);
  if (!/^\d{1,4}$/.test(text) || blocks < 1 || blocks > MOST_BLOCKS) {
    throw new Fault(`"${text}" is not a whole number from 1 to ${MOST_BLOCKS}`);
  }
  return blocks;
});

export const readIdle = reader((text: string): number => {
  if (!/^\d{1,6}$/.test(text) || Number(text) < 1) {
    throw new Fault(`"${text}" is not a whole number of seconds from 1`);
  }
  return storableTime(Number(text));
});

export const readSeconds = reader((text: string): number => {
  const seconds = Number(text);
  if (!/^\d*\.?\d+$/.test(text) || seconds < 0.05 || seconds > 86400) {
    throw new Fault(`"${text}" is not a number of seconds from 0.05 to 86400`);
  }
  return seconds;
});

export const readCount = reader((text: string): number => {
  if (!/^\d{1,9}$/.test(text) || Number(text) < 1) {
    throw new Fault(`"${text}" is not a whole number from 1`);
  }
  return Number(text);
});

export function readWhole(least: number, most: number): (text: string) => number {
  return reader((text) => {
    const number = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (number >= least && number <= most) return number;
    throw new Fault(`"${text}" is not a whole number from ${least} to ${most}`);
  });
}

const UNITS = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
]);

/** Reads a time in milliseconds, from the least up to an hour. */
export function readDuration(least: number): (text: string) => number {
  return reader((text) => {
    const [, number, unit = 's'] = /^(\d{1,6}(?:\.\d+)?)(ms|s|m)?$/.exec(text) ?? [];
    const duration = Number(number) * (UNITS.get(unit) ?? NaN);
    if (duration >= least && duration <= 3_600_000) return duration;
    const from = least < 1000 ? `${least}ms` : `${least / 1000}s`;
    throw new Fault(`"${text}" is not a time from ${from} to 60m, such as 30s`);
  });
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
