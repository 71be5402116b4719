// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What can be known about a register's value before the program runs. */

export interface Range {
  least: bigint;
  most: bigint;
  /** Computed from constants only: on every path to here the verifier knows the value. */
  isKnown: boolean;
}

/**
 * Where a pointer points to. `several` means different constants on different paths to
 * here: the card accepts them if they agree modulo 4. It never accepts a variable offset.
 */
export type Offset = number | 'several, aligned' | 'several' | 'one of some' | 'variable';

export type Value =
  | ({ kind: 'number' } & Range)
  | { kind: 'context' | 'packet' | 'packet end' }
  | { kind: 'stack' | 'caller stack'; offset: Offset }
  | { kind: 'map'; map: string }
  | { kind: 'map value'; map: string; offset: Offset }
  | { kind: 'data'; section: string }
  /** Not tracked: it comes from a call, or differs between the paths to here. */
  | { kind: 'unclear' };

export const MOST_32 = 0xffff_ffffn;
export const MOST_64 = 0xffff_ffff_ffff_ffffn;
export const UNCLEAR: Value = { kind: 'unclear' };

export function range(least: bigint, most: bigint, isKnown = false): Value {
  return { kind: 'number', least, most, isKnown: isKnown || least === most };
}

export function constant(value: bigint): Value {
  return range(BigInt.asUintN(64, value), BigInt.asUintN(64, value));
}

/** Returns the value that stands for any number of `size` bytes. */
export function bytes(size: number): Value {
  return range(0n, (1n << BigInt(8 * size)) - 1n);
}

/** Returns the range of a value as a number, whatever its kind. */
export function rangeOf(value: Value): Range {
  return value.kind === 'number' ? value : { least: 0n, most: MOST_64, isKnown: false };
}

export function constantOf({ least, most }: Range): bigint | undefined {
  return least === most ? least : undefined;
}

function isZero(value: Value): boolean {
  return value.kind === 'number' && value.most === 0n;
}

/** Returns what holds on both of two paths. */
export function join(one: Value, other: Value): Value {
  if (one === other) return one;
  // A lookup returns 0 on one path and a pointer on the other.
  if (isZero(one) && other.kind !== 'number') return other;
  if (isZero(other) && one.kind !== 'number') return one;
  if (one.kind === 'number' && other.kind === 'number') return joinRanges(one, other);
  if (one.kind === 'map value' && other.kind === 'map value') {
    if (one.map !== other.map) return UNCLEAR;
    return sameUnlessJoined(one, joinOffsets(one.offset, other.offset));
  }
  if (one.kind === 'stack' || one.kind === 'caller stack') {
    if (other.kind !== one.kind) return UNCLEAR;
    return sameUnlessJoined(one, joinOffsets(one.offset, other.offset));
  }
  if (one.kind === 'map' && other.kind === 'map') {
    return one.map === other.map ? one : UNCLEAR;
  }
  return one.kind === other.kind ? one : UNCLEAR;
}

function joinRanges(one: Value & Range, other: Range): Value {
  const isKnown = one.isKnown && other.isKnown;
  const least = one.least < other.least ? one.least : other.least;
  const most = one.most > other.most ? one.most : other.most;
  const isSame = least === one.least && most === one.most && isKnown === one.isKnown;
  return isSame ? one : { kind: 'number', least, most, isKnown };
}

/** Returns the identical object if nothing has changed: callers compare by identity. */
function sameUnlessJoined<V extends Value & { offset: Offset }>(
  one: V,
  offset: Offset,
): V {
  return offset === one.offset ? one : { ...one, offset };
}

function joinOffsets(one: Offset, other: Offset): Offset {
  if (one === other) return one;
  for (const worst of ['variable', 'one of some', 'several'] as const) {
    if (one === worst || other === worst) return worst;
  }
  if (typeof one === 'number' && typeof other === 'number') {
    return (one - other) % 4 === 0 ? 'several, aligned' : 'several';
  }
  // `several, aligned` does not keep the remainder modulo 4 to compare a number with.
  return 'one of some';
}

/** Returns where a pointer points to after a number is added to it. */
export function moveOffset(offset: Offset, by: Range, sign: 1 | -1): Offset {
  const step = constantOf(by);
  if (offset === 'variable' || !by.isKnown) return 'variable';
  if (step === undefined) return 'one of some';
  if (typeof offset !== 'number') return offset;
  return offset + sign * Number(BigInt.asIntN(64, step));
}

/** widen() rounds bounds up to these, so that a loop raises a bound only a few times. */
const STEPS = [0xffn, 0xffffn, MOST_32, MOST_64];

export function widen(before: Value, now: Value): Value {
  if (before === now || now.kind !== 'number' || before.kind !== 'number') return now;
  const least = now.least < before.least ? 0n : now.least;
  const most =
    now.most > before.most
      ? (STEPS.find((step) => step >= now.most) ?? MOST_64)
      : now.most;
  return { kind: 'number', least, most, isKnown: now.isKnown };
}
