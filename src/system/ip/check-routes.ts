// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * How the kernel sends health checks to the address of a service. Others of this host's
 * connections go there by its usual routes; those from the checks' ports by a table of their
 * own, to a MAC address that l4lb_check.o knows and nobody has. Where the device cannot be
 * used, a blackhole is behind it: never the usual routes, by which a check would reach the
 * balancer itself, and pass.
 */
import { CHECK_MAC, CHECK_PORTS } from '../../abi/check.js';
import type { Run, RunResult } from '../run.js';
import { withScratch } from '../scratch.js';
import { ipFailure } from './ask.js';
import { parseIpJson } from './json.js';

/** Tables of checks, by the index of their device; no one else counts from here. */
const TABLES = 0x6c000000;
const MOST_DEVICES = 1 << 24;
/** Before the usual rules, after that of local addresses. */
const PREFERENCE = 100;
/** Behind any other route. */
const LAST_METRIC = 0xffffffff;
/** RFC 7600's dummy address, and one that no device gives itself. Nobody is asked for them. */
const HOPS = { 4: '192.0.0.8', 6: 'fe80::6c34:6c62' } as const;

/** Blocks of ports for as many devices; below those that are chosen for connections. */
const FIRST_PORTS = [0x4000, 0x6000];

export type Family = keyof typeof HOPS;
export const FAMILIES: readonly Family[] = [4, 6];

export interface CheckRoutes {
  device: string;
  ifindex: number;
  firstPort: number;
  /** The longest packet that fits behind any outer header. */
  mtu: number;
  /** Those of the services. */
  addresses: readonly string[];
}

/** A rule that leads checks of a device into its table. */
export interface CheckRule {
  family: Family;
  ifindex: number;
  firstPort: number;
}

interface RuleJson {
  sport_start?: number;
  table?: string;
}

export async function checkRules(
  run: Run,
  families: readonly Family[] = FAMILIES,
): Promise<CheckRule[]> {
  const all = await Promise.all(families.map((family) => rulesOf(run, family)));
  return all.flat();
}

async function rulesOf(run: Run, family: Family): Promise<CheckRule[]> {
  const asked = ['-j', 'rule', 'show'];
  const { exitCode, stdout } = await run('ip', [`-${family}`, ...asked]);
  if (exitCode !== 0) return []; // a kernel without IPv6
  const all = parseIpJson(stdout, asked.join(' ')) as RuleJson[];
  return all.flatMap(({ table, sport_start: firstPort }) => {
    const ifindex = Number(table) - TABLES;
    const isOurs = ifindex > 0 && ifindex < MOST_DEVICES && firstPort !== undefined;
    return isOurs ? [{ family, ifindex, firstPort }] : [];
  });
}

/** The first port of a block that no other device has; a device keeps its own. */
export function freePorts(
  rules: readonly CheckRule[],
  ifindex: number,
): number | undefined {
  const own = rules.find((rule) => rule.ifindex === ifindex);
  const taken = rules.map(({ firstPort }) => firstPort);
  return own?.firstPort ?? FIRST_PORTS.find((port) => !taken.includes(port));
}

/** Lays the routes, or what is missing of them. The blackholes come first. */
export async function layCheckRoutes(
  run: Run,
  routes: CheckRoutes,
  rules: readonly CheckRule[],
): Promise<void> {
  const { device, ifindex, firstPort, mtu } = routes;
  const table = TABLES + ifindex;
  for (const family of FAMILIES) {
    const own = addressesOf(routes.addresses, family);
    if (own.length === 0) continue;
    const hop = HOPS[family];
    const hasRule = rules.some(
      (rule) => rule.family === family && rule.ifindex === ifindex,
    );
    const result = await batch(run, family, [
      ...own.map(
        (to) => `route replace blackhole ${to} metric ${LAST_METRIC} table ${table}`,
      ),
      ...(hasRule ? [] : [`rule add ${rule(firstPort, table)}`]),
      `neigh replace ${hop} lladdr ${CHECK_MAC} dev ${device} nud permanent`,
      ...own.map(
        (to) =>
          `route replace ${to} via ${hop} dev ${device} onlink mtu ${mtu} table ${table}`,
      ),
    ]);
    if (result.exitCode !== 0) throw ipFailure('route replace', result);
  }
}

/** Removes the routes to addresses that no check goes to any more. */
export async function dropCheckRoutes(
  run: Run,
  ifindex: number,
  addresses: readonly string[],
): Promise<void> {
  const table = TABLES + ifindex;
  for (const family of FAMILIES) {
    const lines = addressesOf(addresses, family).flatMap((to) => [
      `route del ${to} table ${table}`,
      `route del blackhole ${to} metric ${LAST_METRIC} table ${table}`,
    ]);
    if (lines.length > 0) await batch(run, family, lines);
  }
}

/** Removes all, whoever laid it; what is not there does not matter. */
export async function liftCheckRoutes(
  run: Run,
  { device, ifindex }: Pick<CheckRoutes, 'device' | 'ifindex'>,
  rules: readonly CheckRule[],
): Promise<void> {
  const table = TABLES + ifindex;
  for (const family of FAMILIES) {
    const own = rules.filter((one) => one.family === family && one.ifindex === ifindex);
    if (own.length === 0) continue;
    await batch(run, family, [
      ...own.map(({ firstPort }) => `rule del ${rule(firstPort, table)}`),
      `route flush table ${table}`,
      `neigh del ${HOPS[family]} dev ${device}`,
    ]);
  }
}

function rule(firstPort: number, table: number): string {
  const ports = `${firstPort}-${firstPort + CHECK_PORTS - 1}`;
  return `pref ${PREFERENCE} iif lo sport ${ports} lookup ${table}`;
}

export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4;
}

function addressesOf(addresses: readonly string[], family: Family): string[] {
  const length = family === 6 ? 128 : 32;
  return addresses
    .filter((address) => familyOf(address) === family)
    .map((address) => `${address}/${length}`);
}

async function batch(
  run: Run,
  family: Family,
  lines: readonly string[],
): Promise<RunResult> {
  return withScratch(async (scratch) =>
    run('ip', [`-${family}`, '-force', '-batch', scratch.writeLines('batch', lines)]),
  );
}
