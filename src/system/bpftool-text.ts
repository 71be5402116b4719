// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What `bpftool` is told in a batch and what it prints: text in, values out. */
import type { Advice } from '../text/failure.js';
import { Failure } from '../text/failure.js';
import { at, must } from '../text/must.js';
import type { RunResult } from './run.js';

export interface ProgramInfo {
  id: number;
  name: string;
  /** A hash of its instructions: the same for the same code. */
  tag: string;
  /** Seconds by the wall clock. */
  loadedAt: number;
  mapIds: number[];
}

export interface MapInfo {
  id: number;
  name: string;
  kind: string;
  keySize: number;
  valueSize: number;
  entries: number;
}

/** An entry of a map. A per-CPU map has a value for each CPU. */
export interface Entry {
  key: Buffer;
  values: Buffer[];
}

/** The kernel refused, or the map no longer exists. */
export class BpftoolFailure extends Failure {
  /** The kernel's or bpftool's own words. */
  readonly reason: string;
  /** All that was printed, including the verifier's log. */
  readonly output: string;

  constructor(what: string, result: RunResult, advice: Advice = {}) {
    const words = reason(result);
    super(`${what}: ${words}`, advice);
    this.name = 'BpftoolFailure';
    this.reason = words;
    this.output = `${result.stderr}\n${result.stdout}`;
  }
}

interface ProgramJson {
  id: number;
  name?: string;
  tag?: string;
  loaded_at?: number;
  map_ids?: number[];
}
interface MapJson {
  id: number;
  name?: string;
  type: string;
  bytes_key: number;
  bytes_value: number;
  max_entries: number;
}
interface EntryJson {
  key: string[];
  value?: string[];
  values?: { value: string[] }[];
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Each byte and a space before it. */
const SPACED = HEX.map((text) => ` ${text}`);

/**
 * Bytes as bpftool wants them after `hex`. It runs for each of 65,536 slots, so it is
 * simple.
 */
export function hex(bytes: Buffer): string {
  let text = '';
  for (let index = 0; index < bytes.length; index++) text += at(SPACED, at(bytes, index));
  return text.slice(1);
}

/** The line of a batch that writes an entry of a map. */
export function updateLine(map: { id: number }, key: Buffer, value: Buffer): string {
  return `map update id ${map.id} key hex ${hex(key)} value hex ${hex(value)}`;
}

/** The line of a batch that reads an entry of a map. */
export function lookupLine(map: { id: number }, key: Buffer): string {
  return `map lookup id ${map.id} key hex ${hex(key)}`;
}

/**
 * The line of a batch that deletes an entry of a map; an array keeps all of its entries.
 */
export function deleteLine(map: { id: number }, key: Buffer): string {
  return `map delete id ${map.id} key hex ${hex(key)}`;
}

/** The answers that a batch of so many questions printed as JSON. */
export function answersOf(result: RunResult, questions: number): unknown[] {
  const outputs = outputsOf(result);
  const isWhole = outputs.length === questions && !outputs.some(hasError);
  if (!isWhole || result.exitCode !== 0) {
    throw new BpftoolFailure('bpftool', result);
  }
  return outputs;
}

export function outputsOf({ stdout }: RunResult): unknown[] {
  const answers = JSON.parse(stdout || '[]') as { output: unknown }[];
  return answers.map(({ output }) => output);
}

/**
 * The entries in each answer of a batch that only dumps maps. JSON.parse makes a string of
 * each of their bytes, and the host build has 400,000, nearly all of them 0: this takes a
 * tenth of its time, and a hundredth where entries that are all 0 may be left out, as in the
 * answers to the `sparse` questions. What is printed in any other way is left to JSON.parse.
 */
export function dumpsOf(
  result: RunResult,
  questions: number,
  sparse: ReadonlySet<number> = new Set(),
): Entry[][] {
  const dumps = new DumpReader(result.stdout).dumps(sparse);
  if (result.exitCode === 0 && dumps?.length === questions) return dumps;
  return answersOf(result, questions).map(decodeEntries);
}

export function decodeEntries(entries: unknown): Entry[] {
  return (entries as EntryJson[]).map(decodeEntry);
}

export function decodeEntry(entry: unknown): Entry {
  const { key, value, values } = entry as Partial<EntryJson>;
  const all = values?.map((one) => one.value) ?? [value];
  return { key: bytes(key), values: all.map(bytes) };
}

/** The one value of an entry in a map that is not per-CPU. */
export function valueOf(entry: Entry): Buffer {
  return at(entry.values, 0);
}

export function decodeProgram(answer: unknown): ProgramInfo {
  const program = answer as ProgramJson;
  return {
    id: program.id,
    name: program.name ?? '',
    tag: must(program.tag, `the tag of program ${program.id}`),
    loadedAt: must(program.loaded_at, `the time when program ${program.id} was loaded`),
    // bpftool leaves out what is empty: a name, and the maps of a program that has none.
    mapIds: program.map_ids ?? [],
  };
}

export function decodeMap(answer: unknown): MapInfo {
  const map = answer as MapJson;
  return {
    id: map.id,
    name: map.name ?? '',
    kind: map.type,
    keySize: map.bytes_key,
    valueSize: map.bytes_value,
    entries: map.max_entries,
  };
}

/** Reads dumps as bpftool prints them with -j, which is without a space. */
class DumpReader {
  readonly #text: string;
  #at = 0;
  /** The values of the last entry that was all 0, which others share, and their text. */
  #zeros: { text: string; values: Buffer[] } | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /** Returns nothing if anything is printed otherwise. */
  dumps(sparse: ReadonlySet<number>): Entry[][] | undefined {
    const dumps: Entry[][] = [];
    if (!this.#skip('[')) return undefined;
    do {
      if (!this.#skip('{"command":["map","dump","id","')) return undefined;
      this.#at = this.#text.indexOf('"', this.#at);
      if (!this.#skip('"],"output":[')) return undefined;
      this.#zeros = undefined;
      const entries = this.#entries(sparse.has(dumps.length));
      if (!entries || !this.#skip(']}')) return undefined;
      dumps.push(entries);
    } while (this.#skip(','));
    return this.#skip(']') ? dumps : undefined;
  }

  #entries(isSparse: boolean): Entry[] | undefined {
    const entries: Entry[] = [];
    // A hash map may have none.
    if (this.#text.startsWith(']', this.#at)) return entries;
    do {
      if (!this.#skip('{"key":')) return undefined;
      const begin = this.#at;
      const key = this.#bytes();
      const end = this.#at;
      const values = this.#zerosAgain() ?? this.#values();
      if (!key || !values || !this.#skip('}')) return undefined;
      if (!isSparse || values !== this.#zeros?.values) entries.push({ key, values });
      else this.#skipZeros(end - begin);
    } while (this.#skip(','));
    return entries;
  }

  /** Skips the entries that follow one of zeros and are all 0 too, whatever their keys. */
  #skipZeros(ofKey: number): void {
    const [before, after] = [',{"key":', `${this.#zeros?.text ?? ''}}`];
    let at = this.#at;
    while (this.#isAt(before, at) && this.#isAt(after, at + before.length + ofKey)) {
      at += before.length + ofKey + after.length;
    }
    this.#at = at;
  }

  #zerosAgain(): Buffer[] | undefined {
    return this.#zeros && this.#skip(this.#zeros.text) ? this.#zeros.values : undefined;
  }

  #values(): Buffer[] | undefined {
    const begin = this.#at;
    const values = this.#skip(',"value":') ? [this.#bytes()] : this.#valuesOfCpus();
    if (!values?.every((value) => value !== undefined)) return undefined;
    if (values.every((value) => value.every((byte) => byte === 0))) {
      this.#zeros = { text: this.#text.slice(begin, this.#at), values };
    }
    return values;
  }

  #valuesOfCpus(): (Buffer | undefined)[] | undefined {
    const values: (Buffer | undefined)[] = [];
    if (!this.#skip(',"values":[')) return undefined;
    do {
      if (!this.#skip(`{"cpu":${values.length},"value":`)) return undefined;
      values.push(this.#bytes());
      if (!this.#skip('}')) return undefined;
    } while (this.#skip(','));
    return this.#skip(']') ? values : undefined;
  }

  /** Reads such as ["0x00","0xff"]. It looks at each character, so it is simple, too. */
  #bytes(): Buffer | undefined {
    const text = this.#text;
    const end = text.indexOf(']', this.#at);
    const count = (end - this.#at) / OF_A_BYTE;
    if (!Number.isInteger(count) || count < 1) return undefined;
    const bytes = Buffer.allocUnsafe(count);
    for (let index = 0; index < count; index++) {
      const at = this.#at + index * OF_A_BYTE;
      const byte = BYTES.get(text.slice(at + 2, at + 6));
      if (byte === undefined) return undefined;
      bytes[index] = byte;
    }
    this.#at = end + 1;
    return bytes;
  }

  #skip(text: string): boolean {
    if (!this.#isAt(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  /** Compares a slice, which is not copied: startsWith() takes twenty times as long. */
  #isAt(text: string, at: number): boolean {
    return this.#text.slice(at, at + text.length) === text;
  }
}

/** Characters of a byte and what is before it: ["0x00 or ,"0x00 and a quote. */
const OF_A_BYTE = 7;

const BYTES = new Map(HEX.map((text, byte) => [`0x${text}`, byte]));

/** It runs for each value of each CPU, so it is simple too. */
function bytes(numbers: unknown): Buffer {
  // An entry that disappeared meanwhile has {"error": ...} in place of its value.
  if (!Array.isArray(numbers)) throw unreadable(numbers);
  const result = Buffer.allocUnsafe(numbers.length);
  for (let index = 0; index < numbers.length; index++) {
    const byte = BYTES.get(numbers[index] as string);
    if (byte === undefined) throw unreadable(numbers);
    result[index] = byte;
  }
  return result;
}

export function unreadable(printed: unknown): BpftoolFailure {
  const stdout = typeof printed === 'string' ? printed : JSON.stringify(printed ?? null);
  return new BpftoolFailure(
    'bpftool printed something that is not a map entry',
    { exitCode: 0, stdout, stderr: '' },
    {
      cause: 'the entry disappeared meanwhile, or this bpftool prints another format',
      next: 'run the same command again; bpftool version says which it is',
    },
  );
}

export function hasError(output: unknown): output is { error: string } {
  return typeof output === 'object' && output !== null && 'error' in output;
}

/**
 * Finds the words that say most: the kernel's, then libbpf's, then bpftool's. They are on
 * stderr, or in JSON on stdout.
 */
function reason(result: RunResult): string {
  const text = `${result.stderr}\n${result.stdout}`;
  const patterns = [
    /Kernel error message: (.+)/,
    /libbpf: (?!failed to load object|loading )(.+)/,
    /"error":"((?:[^"\\]|\\.)*)"/,
    /Error: (.+)/i,
    /^\s*(.+)/,
  ];
  for (const pattern of patterns) {
    const words = pattern.exec(text)?.[1];
    if (words) return words;
  }
  return `it exited with ${result.exitCode}`;
}
