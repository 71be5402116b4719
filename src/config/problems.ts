// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Collects what is wrong with a config file, by line, and suggests the names that were
 * meant.
 */
import type { Path, TomlLines } from './toml-lines.js';

export class Problems {
  readonly #file: string;
  readonly #lines: TomlLines;
  readonly #found: { line: number; text: string }[] = [];

  constructor(file: string, lines: TomlLines) {
    this.#file = file;
    this.#lines = lines;
  }

  /** FILE:LINE of the value at a path. */
  place(path: Path): string {
    return `${this.#file}:${this.#lines.of(path)}`;
  }

  /** Adds a problem. It names the last key of the path, unless another key is given. */
  add(path: Path, reason: string, key = keyOf(path)): void {
    const line = this.#lines.of(path);
    this.#found.push({ line, text: `${this.#file}:${line}: ${key}: ${reason}` });
  }

  /** Adds the problems of another file, as they are. */
  addAll(path: Path, texts: readonly string[]): void {
    const line = this.#lines.of(path);
    for (const text of texts) this.#found.push({ line, text });
  }

  /** All problems in the order of the file. */
  all(): string[] {
    return [...this.#found].sort((a, b) => a.line - b.line).map(({ text }) => text);
  }
}

function keyOf(path: Path): string {
  return path.findLast((part) => typeof part === 'string') ?? '';
}

/** A value as it may be printed in a message, whatever it holds. */
export function show(value: unknown): string {
  const text =
    value instanceof Date
      ? value.toISOString()
      : typeof value === 'number'
        ? String(value)
        : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** What to say about an unknown key. */
export function unknownKey(key: string, known: readonly string[]): string {
  const nearest = nearestOf(key, known);
  return nearest === undefined
    ? `there is no such key; there are ${known.map((one) => `\`${one}\``).join(', ')}`
    : `there is no such key; did you mean \`${nearest}\`?`;
}

/** Nobody mistypes a longer name. */
const LONGEST_NAME = 100;

/** The name that needs the fewest changes, unless hardly a letter would stay. */
export function nearestOf(name: string, known: readonly string[]): string | undefined {
  // The comparison takes as many steps as the product of both lengths.
  if (name.length > LONGEST_NAME) return undefined;
  const text = name.toLowerCase().replaceAll('-', '_');
  let best: { one: string; changes: number } | undefined;
  for (const one of known) {
    const isPart = text.length > 2 && (one.includes(text) || text.includes(one));
    const changes = isPart ? 1 : distance(text, one);
    if (changes < (best?.changes ?? Infinity)) best = { one, changes };
  }
  return best && best.changes <= Math.max(1, text.length / 2) ? best.one : undefined;
}

/** Counts the letters to insert, delete, replace or swap with their neighbour. */
function distance(one: string, other: string): number {
  const rows: number[][] = [Array.from({ length: other.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Infinity;
  for (let i = 1; i <= one.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= other.length; j++) {
      const isSame = one[i - 1] === other[j - 1];
      const isSwapped = one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      row[j] = Math.min(
        at(i - 1, j) + 1,
        at(i, j - 1) + 1,
        at(i - 1, j - 1) + (isSame ? 0 : 1),
        isSwapped ? at(i - 2, j - 2) + 1 : Infinity,
      );
    }
  }
  return at(one.length, other.length);
}
