// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads a table of a config file key by key, and collects what is wrong. */
import { Fault } from '../text/fault.js';
import type { Problems } from './problems.js';
import { show, unknownKey } from './problems.js';
import type { Path } from './toml-lines.js';

/** Turns a value into what it means, or throws a Fault. */
export type Reader<T> = (value: unknown) => T;

export class Section {
  readonly path: Path;
  readonly problems: Problems;
  readonly #values: Record<string, unknown>;

  constructor(problems: Problems, path: Path, values: object) {
    this.problems = problems;
    this.path = path;
    this.#values = values as Record<string, unknown>;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#values, key);
  }

  at(...path: Path): Path {
    return [...this.path, ...path];
  }

  fault(key: string, reason: string): void {
    this.problems.add(this.at(key), reason, quoted(key));
  }

  /** Reports unknown keys. `hint` may say more about one. */
  checkKeys(known: readonly string[], hint?: (key: string) => string | undefined): void {
    for (const key of Object.keys(this.#values)) {
      if (known.includes(key)) continue;
      this.fault(key, hint?.(key) ?? unknownKey(key, known));
    }
  }

  /** Undefined if the key is missing or its value is wrong. */
  get<T>(key: string, read: Reader<T>): T | undefined {
    return this.has(key) ? this.#try(key, [key], this.#values[key], read) : undefined;
  }

  /** Reads one value or a list; undefined if it is missing or any value is wrong. */
  list<T>(key: string, read: Reader<T>): T[] | undefined {
    if (!this.has(key)) return undefined;
    const value = this.#values[key];
    if (!Array.isArray(value)) {
      const only = this.#try(key, [key], value, read);
      return only === undefined ? undefined : [only];
    }
    if (value.length === 0) this.fault(key, 'the list is empty');
    const all = value.map((one, index) => this.#try(key, [key, index], one, read));
    const right = all.filter((one) => one !== undefined);
    return right.length === 0 || right.length < all.length ? undefined : right;
  }

  /** Returns the raw elements of a list. */
  elements(key: string, form: string): unknown[] | undefined {
    return this.get(key, (value) => {
      if (!Array.isArray(value)) throw new Fault(`${show(value)} is not ${form}`);
      return value as unknown[];
    });
  }

  #try<T>(key: string, path: Path, value: unknown, read: Reader<T>): T | undefined {
    try {
      return read(value);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.problems.add([...this.path, ...path], error.message, key);
      return undefined;
    }
  }
}

/** A key as it must be written in TOML, so that no message contains a line end. */
function quoted(key: string): string {
  return /^[\w-]+$/.test(key) ? key : JSON.stringify(key);
}

/** Whether a value is a table, and neither a list nor a date. */
export function isSection(value: unknown): value is object {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Date)
  );
}
