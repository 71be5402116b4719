// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Reads the sections, symbols and relocations of a BPF object.
 *
 * No other reader fits. npm's ELF readers stop at the section headers and know nothing
 * of BPF. `bpftool` prints no line info of an object, and needs the kernel.
 * `llvm-objdump` is usually not installed, and its text is no stable interface. We only
 * need three tables of fixed layout.
 */
import { Failure } from '../../text/failure.js';

export interface Section {
  index: number;
  name: string;
  isCode: boolean;
  /** In bytes; .bss takes none of them in the file. */
  size: number;
  data: Buffer;
}

export interface ElfSymbol {
  name: string;
  isFunction: boolean;
  isSection: boolean;
  /** Index of its section; 0: it is defined elsewhere. */
  section: number;
  value: number;
  size: number;
}

export interface Relocation {
  /** In bytes, within the section that it changes. */
  offset: number;
  symbol: ElfSymbol;
}

export interface Elf {
  sections: Section[];
  symbols: ElfSymbol[];
  /** By the index of the section that the relocations change. */
  relocations: Map<number, Relocation[]>;
}

const HEADER_SIZE = 64;
const SECTION_HEADER_SIZE = 64;
const SYMBOL_SIZE = 24;
const RELOCATION_SIZE = 16;
const MAGIC = 0x464c457f;
const CLASS_64_LITTLE_ENDIAN = 0x0102;
const MACHINE_BPF = 247;

const TYPE_SYMBOLS = 2;
const TYPE_NO_BITS = 8;
const TYPE_RELOCATIONS = 9;
const FLAG_CODE = 4;
const SYMBOL_FUNCTION = 2;
const SYMBOL_SECTION = 3;

interface Header {
  name: number;
  type: number;
  flags: number;
  link: number;
  info: number;
  size: number;
  data: Buffer;
}

export function readElf(file: Buffer): Elf {
  if (file.length < HEADER_SIZE || file.readUInt32LE(0) !== MAGIC) {
    throw notBpf('it is not an ELF file');
  }
  const isBpf = file.readUInt16LE(18) === MACHINE_BPF;
  if (!isBpf || file.readUInt16LE(4) !== CLASS_64_LITTLE_ENDIAN) {
    throw notBpf(isBpf ? 'it is big-endian' : 'it is not for the BPF machine');
  }
  return readTables(file);
}

export function notBpf(why: string): Failure {
  return new Failure(`this is not a BPF object: ${why}`, {
    cause: 'another file was meant',
    next: 'make objects, and name a file that it makes',
  });
}

function readTables(file: Buffer): Elf {
  const headers = readHeaders(file);
  const names = headerOf(headers, file.readUInt16LE(62)).data;
  const sections = headers.map(({ name, type, flags, size, data }, index) => ({
    index,
    name: textAt(names, name),
    isCode: (flags & FLAG_CODE) !== 0,
    size,
    data: type === TYPE_NO_BITS ? Buffer.alloc(0) : data,
  }));
  const table = headers.find(({ type }) => type === TYPE_SYMBOLS);
  const symbols = table ? readSymbols(table, headers, sections) : [];
  const relocations = new Map<number, Relocation[]>();
  for (const { type, info, data } of headers) {
    if (type === TYPE_RELOCATIONS) relocations.set(info, readRelocations(data, symbols));
  }
  return { sections, symbols, relocations };
}

function readHeaders(file: Buffer): Header[] {
  const start = Number(file.readBigUInt64LE(40));
  const number = file.readUInt16LE(60);
  return Array.from({ length: number }, (_, index) => {
    const at = start + index * SECTION_HEADER_SIZE;
    const offset = Number(file.readBigUInt64LE(at + 24));
    const size = Number(file.readBigUInt64LE(at + 32));
    const type = file.readUInt32LE(at + 4);
    if (type !== TYPE_NO_BITS && offset + size > file.length) {
      throw notBpf('it is cut short, or damaged');
    }
    return {
      name: file.readUInt32LE(at),
      type,
      flags: Number(file.readBigUInt64LE(at + 8)),
      link: file.readUInt32LE(at + 40),
      info: file.readUInt32LE(at + 44),
      size,
      data: file.subarray(offset, offset + size),
    };
  });
}

/** Of headers or sections the one that another part of the file names. */
function headerOf<T>(all: readonly T[], index: number): T {
  const one = all[index];
  if (!one) throw notBpf(`it is damaged: it names a section that is not there`);
  return one;
}

function readSymbols(
  { data, link }: Header,
  headers: readonly Header[],
  sections: readonly Section[],
): ElfSymbol[] {
  const names = headerOf(headers, link).data;
  return records(data, SYMBOL_SIZE).map((record) => {
    const kind = record.readUInt8(4) & 0xf;
    const section = record.readUInt16LE(6);
    const isSection = kind === SYMBOL_SECTION;
    return {
      name: isSection
        ? headerOf(sections, section).name
        : textAt(names, record.readUInt32LE(0)),
      isFunction: kind === SYMBOL_FUNCTION,
      isSection,
      section,
      value: Number(record.readBigUInt64LE(8)),
      size: Number(record.readBigUInt64LE(16)),
    };
  });
}

function readRelocations(data: Buffer, symbols: readonly ElfSymbol[]): Relocation[] {
  return records(data, RELOCATION_SIZE).map((record) => {
    const symbol = symbols[record.readUInt32LE(12)];
    if (!symbol)
      throw notBpf('it is damaged: a relocation names a symbol that is not there');
    return { offset: Number(record.readBigUInt64LE(0)), symbol };
  });
}

export function records(data: Buffer, size: number): Buffer[] {
  const number = Math.floor(data.length / size);
  return Array.from({ length: number }, (_, index) =>
    data.subarray(index * size, (index + 1) * size),
  );
}

/** Reads a text that ends with a zero byte. */
export function textAt(data: Buffer, offset: number): string {
  const end = data.indexOf(0, offset);
  return data.toString('utf8', offset, end < 0 ? data.length : end);
}
