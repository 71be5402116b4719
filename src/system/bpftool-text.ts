// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What `bpftool` is told in a batch and what it prints: text in, values out. */
import type { Advice } from '../text/failure.js';
import { Failure } from '../text/failure.js';
import { at, must } from '../text/must.js';
import type { Entry } from './entries.js';
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

/** Bytes as bpftool wants them after `hex`. */
export function hex(bytes: Buffer): string {
  let text = '';
  for (let index = 0; index < bytes.length; index++) text += at(SPACED, at(bytes, index));
  return text.slice(1);
}

/** The line of a batch that reads an entry of a map. */
export function lookupLine(map: { id: number }, key: Buffer): string {
  return `map lookup id ${map.id} key hex ${hex(key)}`;
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
