// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The configuration of BIRD 2 beside a balancer. It announces what routes.ts has put into
 * the kernel's table, and never needs another version of itself when a service comes.
 */
import { Fault } from '../../text/fault.js';
import { ANNOUNCE_TABLE, DRAINED_METRIC, checkAnnounceTable } from './routes.js';
import type { Bfd, ByFamily, Prefix } from './words.js';
import {
  FAMILIES,
  USUAL_BFD,
  USUAL_HOLD,
  addressWord,
  asWord,
  deviceWord,
  ipv4Word,
  ipv6Word,
  numberWord,
  prefixesByFamily,
  symbol,
} from './words.js';

export interface Peer {
  address: string;
  as: number;
}

export interface BalancerRouting {
  /** An IPv4 address that no other speaker of BGP has as its id. */
  routerId: string;
  /** Towards the routers; BFD runs there. */
  device: string;
  /** The balancer's own addresses there: where routers send packets of each family. */
  addresses: Partial<ByFamily<string | undefined>>;
  as: number;
  /** One session to each carries both families. */
  routers: readonly Peer[];
  /** Addresses of services, or prefixes that all of them lie in; nothing else is announced. */
  prefixes: readonly string[];
  /** The table that the balancer's tools write. */
  table?: number | undefined;
  bfd?: Bfd | undefined;
  /** Seconds. */
  hold?: number | undefined;
  /** A file for BIRD's log in place of syslog. */
  logFile?: string | undefined;
}

/** The configuration as text; throws a Fault if an option cannot stand in one. */
export function birdOfBalancer(options: BalancerRouting): string {
  const table = checkAnnounceTable(options.table ?? ANNOUNCE_TABLE);
  const prefixes = prefixesByFamily(options.prefixes);
  const hops = nextHops(options, prefixes);
  const families = FAMILIES.filter((family) => hops[family] !== undefined);
  if (options.routers.length === 0) throw new Fault('there is no router to announce to');
  return [
    '# BIRD 2 beside a balancer of l4lb, printed by "l4lb fleet bird".',
    `# BIRD announces the routes that l4lb writes into table ${table}, and writes none itself.`,
    logLine(options.logFile),
    `router id ${ipv4Word(options.routerId, 'the router id')};`,
    'protocol device { scan time 60; }',
    ...families.flatMap((family) => learned(family, table)),
    ...bfdBlock([options.device], options.bfd),
    ...families.flatMap((family) => outFilter(family, prefixes[family])),
    ...options.routers.flatMap((router) => session(options, router, hops, families)),
    '',
  ].join('\n');
}

type Hops = ByFamily<string | undefined>;

/** Where routers send packets, in the families of the services. */
function nextHops(
  { addresses }: BalancerRouting,
  prefixes: ByFamily<readonly Prefix[]>,
): Hops {
  const hop = (
    own: string | undefined,
    all: readonly Prefix[],
    name: string,
  ): string | undefined => {
    if (all.length === 0) return undefined;
    if (own !== undefined) return own;
    throw new Fault(
      `the balancer has no ${name} address, and ${name} is to be announced`,
    );
  };
  const ipv4 = hop(addresses.ipv4, prefixes.ipv4, 'IPv4');
  const ipv6 = hop(addresses.ipv6, prefixes.ipv6, 'IPv6');
  return {
    ipv4: ipv4 === undefined ? undefined : ipv4Word(ipv4, 'the address'),
    ipv6: ipv6 === undefined ? undefined : ipv6Word(ipv6, 'the address'),
  };
}

export function logLine(file: string | undefined): string {
  if (file === undefined) return 'log syslog all;';
  if (/^[\w./+:@-]+$/.test(file)) return `log "${file}" all;`;
  throw new Fault(`"${file}" cannot stand in a configuration as the name of a file`);
}

function learned(family: keyof ByFamily<string>, table: number): string[] {
  return [
    `${family} table l4lb_${family};`,
    `protocol kernel l4lb_learn_${family} {`,
    `  kernel table ${table};`,
    '  learn;',
    '  scan time 10;',
    `  ${family} { table l4lb_${family}; export none; import where dest = RTD_BLACKHOLE; };`,
    '}',
  ];
}

export function bfdBlock(devices: readonly string[], bfd: Bfd = USUAL_BFD): string[] {
  const interval = numberWord(bfd.interval, 10, 60_000, 'the interval of BFD');
  const multiplier = numberWord(bfd.multiplier, 2, 50, 'the multiplier of BFD');
  return [
    'protocol bfd {',
    `  interface ${devices.map((name) => `"${deviceWord(name)}"`).join(', ')} {`,
    `    min rx interval ${interval} ms; min tx interval ${interval} ms;`,
    `    idle tx interval ${Math.max(500, interval)} ms; multiplier ${multiplier};`,
    '  };',
    '}',
  ];
}

/** The networks of single hosts in these prefixes, as BIRD writes a set. */
export function hostsIn(prefixes: readonly Prefix[]): string {
  const all = prefixes.map(({ address, length }) => {
    const host = address.includes(':') ? 128 : 32;
    return `${address}/${length}{${host},${host}}`;
  });
  return `[ ${all.join(', ')} ]`;
}

/** RFC 8326: a router that knows it prefers all others; MED is for those that do not. */
function outFilter(
  family: keyof ByFamily<string>,
  prefixes: readonly Prefix[],
): string[] {
  return [
    `filter l4lb_announce_${family} {`,
    `  if net !~ ${hostsIn(prefixes)} then reject;`,
    '  bgp_med = 0;',
    `  if defined(krt_metric) && krt_metric >= ${DRAINED_METRIC} then { # drained`,
    '    bgp_community.add((65535, 0)); # graceful shutdown, RFC 8326',
    '    bgp_med = 1000;',
    '  }',
    '  accept;',
    '}',
  ];
}

/** Both ends of a session: without graceful restart, whose routes outlive a dead balancer. */
export function sessionLines(hold: number = USUAL_HOLD): string[] {
  const seconds = numberWord(hold, 3, 65_535, 'the hold time');
  return [
    `  hold time ${seconds}; keepalive time ${Math.floor(seconds / 3)};`,
    '  connect delay time 1; connect retry time 2; error wait time 1, 4;',
    '  graceful restart off;',
    '  bfd on;',
  ];
}

function session(
  options: BalancerRouting,
  router: Peer,
  hops: Hops,
  families: readonly (keyof ByFamily<string>)[],
): string[] {
  const address = addressWord(router.address, 'the router');
  const own = options.addresses[address.includes(':') ? 'ipv6' : 'ipv4'];
  if (own === undefined) {
    throw new Fault(`the balancer has no address of the family of its router ${address}`);
  }
  const as = asWord(options.as, 'the balancer');
  return [
    `protocol bgp ${symbol(address, 'router')} {`,
    `  local ${addressWord(own, 'the address')} as ${as};`,
    `  neighbor ${address} as ${asWord(router.as, 'the router')};`,
    ...sessionLines(options.hold),
    ...families.flatMap((family) => [
      `  ${family} {`,
      `    table l4lb_${family}; import none; export filter l4lb_announce_${family};`,
      `    next hop address ${hops[family] ?? ''};`,
      '  };',
    ]),
    '}',
  ];
}
