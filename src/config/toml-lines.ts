// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Finds the line of each key and each array element in a TOML text. The parser tells the
 * lines of syntax errors only, so this reads the text again. It expects a text that the
 * parser accepted, and judges nothing.
 */

export type Path = readonly (string | number)[];

export class TomlLines {
  readonly #lines: ReadonlyMap<string, number>;

  constructor(text: string) {
    this.#lines = new Scanner(text).scan();
  }

  /** The line of the value at a path, or of the nearest value around it. */
  of(path: Path): number {
    for (let length = Math.min(path.length, DEEPEST); length > 0; length--) {
      const line = this.#lines.get(nameOf(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return 1;
  }
}

/**
 * No key of a config file is nearly as deep; a deeper one gets the line of this depth.
 */
const DEEPEST = 16;

/** A name of its own for each path, whatever a quoted key contains. */
function nameOf(path: Path): string {
  return JSON.stringify(path);
}

/** What ends a value without brackets and quotes: a number, a date, true or false. */
const AFTER_SCALAR = /[,\]}#\n]/g;

class Scanner {
  readonly #text: string;
  #at = 0;
  #line = 1;
  readonly #lines = new Map<string, number>();
  /** How many tables each `[[array of tables]]` has so far. */
  readonly #counts = new Map<string, number>();

  constructor(text: string) {
    this.#text = text;
  }

  scan(): Map<string, number> {
    let table: Path = [];
    while (this.#hasMore()) {
      if (this.#peek() === '[') table = this.#header();
      else this.#pair(table);
    }
    return this.#lines;
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  /** Skips some characters and counts the lines among them. */
  #advance(count: number): void {
    const end = Math.min(this.#at + count, this.#text.length);
    for (; this.#at < end; this.#at++) if (this.#peek() === '\n') this.#line++;
  }

  /** Skips blanks, line ends and comments. */
  #skip(): void {
    while (this.#at < this.#text.length) {
      if (this.#peek() === '#') this.#advance(this.#untilMatch(/\n/g));
      else if (/[\s\uFEFF]/.test(this.#peek())) this.#advance(1);
      else return;
    }
  }

  /** The distance to the next match, or to the end of the text. */
  #untilMatch(pattern: RegExp): number {
    pattern.lastIndex = this.#at;
    return (pattern.exec(this.#text)?.index ?? this.#text.length) - this.#at;
  }

  /** Whether anything is left after blanks and comments. */
  #hasMore(): boolean {
    this.#skip();
    return this.#at < this.#text.length;
  }

  #note(path: Path, line = this.#line): void {
    if (path.length > DEEPEST) return;
    const name = nameOf(path);
    if (!this.#lines.has(name)) this.#lines.set(name, line);
  }

  /** Reads `[table]` or `[[array of tables]]`, to which the next keys belong. */
  #header(): Path {
    const isArray = this.#text.startsWith('[[', this.#at);
    this.#advance(isArray ? 2 : 1);
    const keys = this.#keys(']');
    this.#advance(isArray ? 2 : 1);
    const path: (string | number)[] = [];
    keys.forEach((key, index) => {
      path.push(key);
      this.#note(path);
      if (path.length > DEEPEST) return;
      const name = nameOf(path);
      if (isArray && index === keys.length - 1) {
        this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
      }
      const count = this.#counts.get(name);
      if (count !== undefined) path.push(count - 1);
    });
    this.#note(path);
    return path;
  }

  /** Reads `key = value`, in a table or between the braces of an inline table. */
  #pair(table: Path): void {
    const line = this.#line;
    const path: (string | number)[] = [...table];
    for (const key of this.#keys('=')) {
      path.push(key);
      this.#note(path, line);
    }
    this.#advance(1);
    this.#value(path);
  }

  /** Reads the parts of a dotted key, up to a character that ends it. */
  #keys(end: string): string[] {
    const keys: string[] = [];
    while (this.#hasMore()) {
      const next = this.#peek();
      if (next === end) break;
      if (next === '.') {
        this.#advance(1);
      } else if (next === '"' || next === "'") {
        const start = this.#at;
        this.#string();
        keys.push(unquote(this.#text.slice(start, this.#at)));
      } else {
        const length = Math.max(1, this.#untilMatch(/[^\w-]/g));
        keys.push(this.#text.slice(this.#at, this.#at + length));
        this.#advance(length);
      }
    }
    return keys;
  }

  #value(path: Path): void {
    this.#skip();
    const next = this.#peek();
    if (next === '"' || next === "'") {
      this.#string();
    } else if (next === '[') {
      this.#items(']', (index) => {
        this.#note([...path, index]);
        this.#value([...path, index]);
      });
    } else if (next === '{') {
      this.#items('}', () => this.#pair(path));
    } else {
      this.#advance(this.#untilMatch(AFTER_SCALAR));
    }
  }

  /** Reads what is between brackets, separated by commas. */
  #items(end: string, read: (index: number) => void): void {
    this.#advance(1);
    let index = 0;
    while (this.#hasMore()) {
      const next = this.#peek();
      if (next === ',' || next === end) this.#advance(1);
      if (next === end) return;
      if (next !== ',') read(index++);
    }
  }

  /** Skips a string of any of the four kinds. */
  #string(): void {
    const quote = this.#peek();
    const isLong = this.#text.startsWith(quote.repeat(3), this.#at);
    const mark = isLong ? quote.repeat(3) : quote;
    this.#advance(mark.length);
    while (this.#at < this.#text.length && !this.#text.startsWith(mark, this.#at)) {
      this.#advance(quote === '"' && this.#peek() === '\\' ? 2 : 1);
    }
    this.#advance(mark.length);
    // A long string may end in up to two quotes of its own.
    for (let more = 0; isLong && more < 2 && this.#peek() === quote; more++) {
      this.#advance(1);
    }
  }
}

/** Reads a key in quotes. Our keys have no escapes of TOML that JSON does not know. */
function unquote(text: string): string {
  if (text.startsWith("'")) return text.slice(1, -1);
  try {
    return JSON.parse(text) as string;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return text.slice(1, -1);
  }
}
