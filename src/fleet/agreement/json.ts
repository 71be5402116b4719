// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Reads what is in the store, which anybody may have written. Names never become keys of
 * objects: what is named stands in lists of pairs.
 */
import { Fault } from '../../text/fault.js';

/** Of all records; one of another format is for another version. */
export const FORMAT = 1;

export type Fields = Readonly<Record<string, unknown>>;

/** The fields of a record of ours; throws a Fault that says what it is not. */
export function readFields(text: string, what: string, longest: number): Fields {
  if (text.length > longest) throw new Fault(`it is longer than ${longest} characters`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw new Fault('it is not JSON');
    throw error;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Fault(`it is not ${what}`);
  }
  const { format } = value as Fields;
  if (typeof format === 'number' && format !== FORMAT) {
    throw new Fault(`it has format ${format}, and this version of l4lb reads ${FORMAT}`);
  }
  if (format !== FORMAT) throw new Fault(`it is not ${what}`);
  return value as Fields;
}

type Is<T> = (value: unknown) => value is T;

export const isText: Is<string> = (value): value is string => typeof value === 'string';

export const isFlag: Is<boolean> = (value): value is boolean =>
  typeof value === 'boolean';

/** A revision, or another whole number. */
export const isWhole: Is<number> = (value): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;

export function isList<T>(value: unknown, isOne: Is<T>): value is T[] {
  return Array.isArray(value) && value.every(isOne);
}

/** Whether a value is a list of just these. */
export function isTuple<T extends readonly unknown[]>(
  ...are: { [Place in keyof T]: Is<T[Place]> }
): Is<[...T]> {
  return (value): value is [...T] =>
    Array.isArray(value) &&
    value.length === are.length &&
    are.every((isOne: Is<unknown>, index) => isOne(value[index]));
}
