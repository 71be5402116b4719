// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Ports that the kernel gives to no connection of its own accord. */
import { readFile, writeFile } from 'node:fs/promises';

import { Failure } from '../text/failure.js';

/** Those that the kernel chooses from. */
const CHOSEN = '/proc/sys/net/ipv4/ip_local_port_range';
const RESERVED = '/proc/sys/net/ipv4/ip_local_reserved_ports';

/** First and last. */
export type Ports = readonly [number, number];

/**
 * Keeps connections from getting them, if they could. Returns whether they were not reserved
 * before.
 */
export async function reservePorts([first, last]: Ports): Promise<boolean> {
  const [from = 0, to = 0] = (await readFile(CHOSEN, 'latin1')).split(/\s+/).map(Number);
  const before = await readFile(RESERVED, 'latin1');
  if (last < from || to < first || covers(before, [first, last])) return false;
  await write(withPorts(before, [first, last]));
  return true;
}

export async function releasePorts(ports: Ports): Promise<void> {
  const before = await readFile(RESERVED, 'latin1');
  const after = withoutPorts(before, ports);
  if (after !== before.trim()) await write(after);
}

/** The kernel takes an empty list only as a line. */
async function write(list: string): Promise<void> {
  try {
    await writeFile(RESERVED, `${list}\n`);
  } catch (error) {
    const code = codeOf(error);
    if (!['EROFS', 'EACCES', 'EPERM'].includes(code)) throw error;
    throw new Failure(`${RESERVED} cannot be written: ${code}`, {
      cause: "a service manager or a container keeps the kernel's settings from it",
      next: `sysctl -w net.ipv4.ip_local_reserved_ports=${list}`,
    });
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? '') : '';
}

function parse(text: string): Ports[] {
  return text
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .map((part): Ports => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return [first, last];
    });
}

function format(all: readonly Ports[]): string {
  return all
    .map(([first, last]) => (first === last ? String(first) : `${first}-${last}`))
    .join(',');
}

function covers(text: string, [first, last]: Ports): boolean {
  return parse(text).some(([from, to]) => from <= first && last <= to);
}

/** A list as the kernel has it, with these ports. It joins what overlaps. */
export function withPorts(text: string, ports: Ports): string {
  return format([...parse(text), ports]);
}

/** The same without them. */
export function withoutPorts(text: string, [first, last]: Ports): string {
  const rest = parse(text).flatMap(([from, to]): Ports[] => {
    const below: Ports = [from, Math.min(to, first - 1)];
    const above: Ports = [Math.max(from, last + 1), to];
    return [below, above].filter(([one, other]) => one <= other);
  });
  return format(rest);
}
