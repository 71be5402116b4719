// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The router's side, for BIRD 2 and for FRR: takes the addresses of services from all
 * balancers, and spreads their packets over those that announce them and are not drained.
 */
import { Fault } from '../../text/fault.js';
import type { Peer } from './bird.js';
import { bfdBlock, hostsIn, logLine, sessionLines } from './bird.js';
import type { Bfd, ByFamily, Prefix } from './words.js';
import {
  FAMILIES,
  addressWord,
  asWord,
  ipv4Word,
  prefixesByFamily,
  symbol,
} from './words.js';

export interface RouterRouting {
  routerId: string;
  as: number;
  /** Towards the balancers, for BFD; a name may end in *. */
  devices: readonly string[];
  balancers: readonly (Peer & { name: string })[];
  /** Addresses of services, or prefixes that all of them lie in; nothing else is taken. */
  prefixes: readonly string[];
  bfd?: Bfd | undefined;
  /** Seconds. */
  hold?: number | undefined;
  /** A file for BIRD's log in place of syslog. */
  logFile?: string | undefined;
}

/** As many balancers as Linux spreads over. */
export const MOST_PATHS = 64;

/** The configuration as text; throws a Fault if an option cannot stand in one. */
export function birdOfRouter(options: RouterRouting): string {
  const prefixes = prefixesByFamily(options.prefixes);
  const families = FAMILIES.filter((family) => prefixes[family].length > 0);
  if (options.balancers.length === 0) throw new Fault('there is no balancer');
  return [
    '# BIRD 2 on the router in front of balancers of l4lb. The kernel must hash ports, too:',
    '#   sysctl -w net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1',
    logLine(options.logFile),
    `router id ${ipv4Word(options.routerId, 'the router id')};`,
    'protocol device { scan time 60; }',
    ...families.flatMap(kernel),
    ...bfdBlock(options.devices, options.bfd),
    ...families.flatMap((family) => inFilter(family, prefixes[family])),
    'template bgp l4lb_balancer {',
    `  local as ${asWord(options.as, 'the router')};`,
    ...sessionLines(options.hold),
    ...families.map(
      (family) => `  ${family} { import filter l4lb_take_${family}; export none; };`,
    ),
    '}',
    ...options.balancers.flatMap(({ name, address, as }) => [
      `protocol bgp ${symbol(name, 'balancer')} from l4lb_balancer {`,
      `  neighbor ${addressWord(address, 'the balancer')} as ${asWord(as, name)};`,
      '}',
    ]),
    '',
  ].join('\n');
}

function kernel(family: keyof ByFamily<string>): string[] {
  return [
    `protocol kernel l4lb_kernel_${family} {`,
    '  scan time 60;',
    `  merge paths on limit ${MOST_PATHS};`,
    `  ${family} { import none; export all; };`,
    '}',
  ];
}

function inFilter(family: keyof ByFamily<string>, prefixes: readonly Prefix[]): string[] {
  return [
    `filter l4lb_take_${family} {`,
    `  if net !~ ${hostsIn(prefixes)} then reject;`,
    '  if (65535, 0) ~ bgp_community then bgp_local_pref = 0; # drained, RFC 8326',
    '  accept;',
    '}',
  ];
}
