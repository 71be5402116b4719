// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads a BPF object: its maps, and its functions with each instruction's source. */
import { Failure } from '../../text/failure.js';
import { at } from '../../text/must.js';
import type { Lines } from './btf-lines.js';
import { lineAt, readLines } from './btf-lines.js';
import { readBtf } from './btf.js';
import type { Elf, Relocation, Section, ElfSymbol } from './elf.js';
import { notBpf, readElf } from './elf.js';
import type { Instruction } from './instructions.js';
import { INSTRUCTION_SIZE, LOAD_CONSTANT, actionOf } from './instructions.js';
import type { MapDeclaration } from './maps.js';
import { readMaps } from './maps.js';

export interface BpfFunction {
  name: string;
  section: string;
  /** A load of 64 bits takes two places; the second is undefined. */
  instructions: (Instruction | undefined)[];
}

export interface BpfObject {
  maps: MapDeclaration[];
  /** Programs, which the kernel calls, and functions, which programs call. */
  functions: BpfFunction[];
  /** Sections of global variables, which loaders turn into maps. */
  dataSections: string[];
}

const MAPS_SECTION = '.maps';
const DATA_SECTION = /^\.(rodata|data|bss)($|\.)/;

export function readObject(file: Buffer): BpfObject {
  return unlessOutside(() => readParts(readElf(file)));
}

/** Reads parts of a file that may end before them. */
function unlessOutside<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (isOutside(error)) throw notBpf('it is cut short, or damaged');
    throw error;
  }
}

/** Checks the code, because the error's class differs in a test's realm. */
function isOutside(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ERR_OUT_OF_RANGE' || code === 'ERR_BUFFER_OUT_OF_BOUNDS';
}

/** What loading an object would make: quicker to read than all of its instructions. */
export function readDeclarations(
  file: Buffer,
): Pick<BpfObject, 'maps' | 'dataSections'> & { programs: string[] } {
  return unlessOutside(() => {
    const elf = readElf(file);
    const programs = functionsOf(elf)
      .map(({ name, section }) => ({ name, section: at(elf.sections, section).name }))
      .filter(isProgram)
      .map(({ name }) => name);
    const maps = readMaps(readBtf(sectionOf(elf, '.BTF')?.data));
    return { programs, maps, dataSections: dataSectionsOf(elf) };
  });
}

function functionsOf(elf: Elf): ElfSymbol[] {
  return elf.symbols.filter(
    ({ isFunction, section }) => isFunction && elf.sections[section]?.isCode,
  );
}

function dataSectionsOf({ sections }: Elf): string[] {
  return sections
    .filter(({ name, size }) => DATA_SECTION.test(name) && size > 0)
    .map(({ name }) => name);
}

function readParts(elf: Elf): BpfObject {
  const btf = readBtf(sectionOf(elf, '.BTF')?.data);
  if (btf.types.length === 0 && sectionOf(elf, MAPS_SECTION)) {
    throw new Failure('the maps of the object cannot be seen: it has no BTF', {
      cause: 'it was compiled without -g, or stripped',
      next: 'compile it with -g',
    });
  }
  const lines = readLines(sectionOf(elf, '.BTF.ext')?.data, btf);
  const functions = functionsOf(elf).map((symbol) => readFunction(elf, lines, symbol));
  if (!functions.some(isProgram)) {
    throw new Failure('the object has no XDP program', {
      cause: 'its programs are of another kind: no section name begins with `xdp`',
      next: 'name an object that has SEC("xdp")',
    });
  }
  return { maps: readMaps(btf), functions, dataSections: dataSectionsOf(elf) };
}

export function isProgram({ section }: Pick<BpfFunction, 'section'>): boolean {
  return /^xdp($|[./])/.test(section);
}

function sectionOf({ sections }: Elf, name: string): Section | undefined {
  return sections.find((section) => section.name === name);
}

function readFunction(elf: Elf, lines: Lines, symbol: ElfSymbol): BpfFunction {
  const { name, data: code } = at(elf.sections, symbol.section);
  const relocations = new Map(
    elf.relocations.get(symbol.section)?.map((one) => [one.offset, one]),
  );
  const instructions: (Instruction | undefined)[] = [];
  const end = symbol.value + symbol.size;
  for (let at = symbol.value; at < end; at += INSTRUCTION_SIZE) {
    const line = lineAt(lines, name, at);
    const index = instructions.length;
    const relocation = relocations.get(at);
    const instruction = { ...decode(code, at, index), line };
    if (instruction.code === LOAD_CONSTANT) {
      instructions.push({ ...instruction, ...constantOf(elf, code, at, relocation) });
      instructions.push(undefined);
      at += INSTRUCTION_SIZE;
      continue;
    }
    const callee = calleeOf(elf, symbol.section, at, instruction, relocation);
    instructions.push({ ...instruction, callee });
  }
  return { name: symbol.name, section: name, instructions };
}

/** An instruction has room to name 16 registers, but BPF has only 11. */
const LAST_REGISTER = 10;

function decode(code: Buffer, at: number, index: number): Omit<Instruction, 'line'> {
  const registers = code.readUInt8(at + 1);
  const source = registers >> 4;
  const destination = registers & 0xf;
  if (source > LAST_REGISTER || destination > LAST_REGISTER) {
    throw notBpf('it is damaged: an instruction names a register that BPF does not have');
  }
  const offset = code.readInt16LE(at + 2);
  return {
    index,
    code: code.readUInt8(at),
    destination,
    source,
    offset,
    immediate: code.readInt32LE(at + 4),
    action: actionOf(code.readUInt8(at), source, offset),
  };
}

function constantOf(
  elf: Elf,
  code: Buffer,
  at: number,
  relocation: Relocation | undefined,
): Pick<Instruction, 'constant' | 'map' | 'data' | 'isOutside'> {
  const low = BigInt(code.readUInt32LE(at + 4));
  const high = BigInt(code.readUInt32LE(at + 4 + INSTRUCTION_SIZE));
  if (!relocation) return { constant: (high << 32n) | low };
  const { symbol } = relocation;
  const section = elf.sections[symbol.section];
  if (symbol.section === 0) return { data: symbol.name, isOutside: true };
  if (section?.name !== MAPS_SECTION) return { data: section?.name ?? symbol.name };
  const offset = symbol.value + Number(low);
  const map = elf.symbols.find(
    (one) => one.section === symbol.section && one.value === offset && !one.isSection,
  );
  if (!map) throw notBpf('it is damaged: an instruction names a map that is not there');
  return { map: map.name };
}

/** A call's distance counts from the next instruction, or from a relocation's symbol. */
function calleeOf(
  elf: Elf,
  section: number,
  at: number,
  { action, immediate }: Omit<Instruction, 'line'>,
  relocation: Relocation | undefined,
): string | undefined {
  if (relocation && relocation.symbol.section === 0) return relocation.symbol.name;
  if (action.does !== 'call function') return undefined;
  const start = relocation ? relocation.symbol.value : at;
  const target = start + (immediate + 1) * INSTRUCTION_SIZE;
  const home = relocation ? relocation.symbol.section : section;
  return elf.symbols.find(
    (one) => one.isFunction && one.section === home && one.value === target,
  )?.name;
}
