// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads the siblings of a destination from the balancers' files, and finds their MACs. */
import type { DestinationRow } from '../config/destinations-csv.js';
import { parseDestinations } from '../config/destinations-csv.js';
import { checkOutside, nameable, shortened } from '../plan/check-names.js';
import type { NamedHost, Siblings } from '../program/siblings.js';
import type { Context } from '../program/tools.js';
import { MOST_SIBLINGS } from '../abi/siblings.js';
import type { Link } from '../system/ip/links.js';
import { Neighbours } from '../system/ip/neighbours.js';
import { Failure } from '../text/failure.js';
import { many } from '../text/format.js';
import { append } from '../text/lists.js';
import { must } from '../text/must.js';
import { formatAddress, parseAddress } from '../wire/address.js';
import type { Names } from '../wire/names.js';
import { readConfig } from './from-config.js';
import { badRows, readFile } from './from-rows.js';
import { resolveRows } from './resolve.js';

const LONGEST_CAUSE = 300;

export interface PreparedSiblings extends Siblings {
  warnings: string[];
}

export async function prepareSiblings(
  tools: Pick<Context, 'run' | 'ip'>,
  link: Link,
  names: Names,
  files: readonly string[],
): Promise<PreparedSiblings> {
  const rows = differing(files.flatMap(readRows));
  const addresses = rows.map(({ address }) => must(parseAddress(address), address));
  checkOutside(names, addresses);
  const { named, warnings: all } = nameable(names, addresses);
  const warnings = shortened(all);
  const isNamed = new Set(named.map((address) => formatAddress(address)));
  const here = new Set((await tools.ip.hostAddresses()).map(canonical));
  const wanted = rows.filter(({ address }) => isNamed.has(address));
  const others = wanted.filter(({ address }) => !here.has(address));
  if (others.length >= MOST_SIBLINGS) {
    throw new Failure(`${many(others.length, 'sibling')} do not fit`, {
      cause: `a destination knows ${MOST_SIBLINGS - 1} others at most`,
      next: 'leave out those whose connections never come here',
    });
  }
  const self = wanted.flatMap(({ address }): NamedHost[] =>
    here.has(address) ? [{ address: must(parseAddress(address), address) }] : [],
  );
  if (others.length === 0 && rows.some(({ address }) => !here.has(address))) {
    throw new Failure('no sibling can be named', {
      cause: all.join('; ').slice(0, LONGEST_CAUSE),
      next: 'give --names a shorter prefix, and one for each address family of the siblings',
    });
  }
  if (self.length === 0) {
    const isThere = rows.some(({ address }) => here.has(address));
    const why = isThere
      ? 'this host cannot be named itself'
      : 'no file names an address of this host';
    warnings.push(`${why}; a sibling cannot tell who sent a packet on`);
  }
  const resolved = await resolveRows(tools, link, others, { canLeave: false });
  const found = others.filter(({ mac }) => mac === undefined);
  append(warnings, await keepFresh(tools, link, found));
  const hosts = [...self, ...resolved.map(({ address, mac }) => ({ address, mac }))];
  return { names, hosts, warnings };
}

/**
 * The program keeps the MAC that a sibling has now. So that --status can tell when it gets
 * another, the kernel has to notice, even if this host sends nothing to it otherwise.
 */
async function keepFresh(
  { run }: Pick<Context, 'run'>,
  link: Link,
  rows: readonly DestinationRow[],
): Promise<string[]> {
  if (rows.length === 0) return [];
  const addresses = rows.map(({ address }) => address);
  const [first, ...more] = await new Neighbours(run).manage(link.name, addresses);
  if (first === undefined) return [];
  const others = more.length === 0 ? '' : ` and ${many(more.length, 'other')}`;
  return [
    `the kernel does not keep the MAC of ${first}${others} up to date, which takes Linux and iproute2 5.16; --status may notice late that it is another`,
  ];
}

/** A config file names its services' destinations; any other file has rows of them. */
function readRows(name: string): DestinationRow[] {
  if (name.endsWith('.toml'))
    return readConfig(name).services.flatMap(({ rows }) => rows);
  const { rows, problems } = parseDestinations([readFile(name)]);
  if (problems.length > 0) throw badRows(problems);
  return rows;
}

/** A destination of several services is one host; the first row with a MAC counts. */
function differing(rows: readonly DestinationRow[]): DestinationRow[] {
  const first = new Map<string, DestinationRow>();
  for (const row of rows) {
    const there = first.get(row.address);
    first.set(row.address, there?.mac === undefined ? { ...there, ...row } : there);
  }
  return [...first.values()];
}

function canonical(text: string): string {
  const address = parseAddress(text);
  return address ? formatAddress(address) : text;
}
