// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The router's side for FRR, as text for vtysh or frr.conf. */
import { Fault } from '../../text/fault.js';
import type { RouterRouting } from './router.js';
import { MOST_PATHS } from './router.js';
import type { ByFamily, Prefix } from './words.js';
import {
  FAMILIES,
  USUAL_BFD,
  USUAL_HOLD,
  addressWord,
  asWord,
  ipv4Word,
  numberWord,
  prefixesByFamily,
} from './words.js';

const IP = { ipv4: 'ip', ipv6: 'ipv6' } as const;

/** The configuration as text; throws a Fault if an option cannot stand in one. */
export function frrOfRouter(options: Omit<RouterRouting, 'devices' | 'logFile'>): string {
  const prefixes = prefixesByFamily(options.prefixes);
  const families = FAMILIES.filter((family) => prefixes[family].length > 0);
  const balancers = options.balancers.map(({ name, address, as }) => ({
    address: addressWord(address, name),
    as: asWord(as, name),
  }));
  if (balancers.length === 0) throw new Fault('there is no balancer');
  const hold = numberWord(options.hold ?? USUAL_HOLD, 3, 65_535, 'the hold time');
  return [
    '! FRR on the router in front of balancers of l4lb; /etc/frr/daemons: bgpd=yes, bfdd=yes.',
    '! The kernel must hash ports, too:',
    '!   sysctl -w net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1',
    'bgp community-list standard L4LB-DRAINED permit graceful-shutdown',
    ...families.flatMap((family) => maps(family, prefixes[family])),
    ...bfdProfile(options.bfd),
    `router bgp ${asWord(options.as, 'the router')}`,
    ` bgp router-id ${ipv4Word(options.routerId, 'the router id')}`,
    ' no bgp default ipv4-unicast',
    ` timers bgp ${Math.floor(hold / 3)} ${hold}`,
    ' neighbor L4LB peer-group',
    ' neighbor L4LB bfd',
    ' neighbor L4LB bfd profile L4LB',
    ...balancers.flatMap(({ address, as }) => [
      ` neighbor ${address} remote-as ${as}`,
      ` neighbor ${address} peer-group L4LB`,
    ]),
    ...families.flatMap((family) => [
      ` address-family ${family} unicast`,
      '  neighbor L4LB activate',
      `  neighbor L4LB route-map L4LB-${family} in`,
      '  neighbor L4LB route-map L4LB-NOTHING out',
      `  maximum-paths ${MOST_PATHS}`,
      ' exit-address-family',
    ]),
    'exit',
    '',
  ].join('\n');
}

function maps(family: keyof ByFamily<string>, prefixes: readonly Prefix[]): string[] {
  const ip = IP[family];
  const host = family === 'ipv4' ? 32 : 128;
  const name = `L4LB-${family}`;
  return [
    ...prefixes.map(({ address, length }) => {
      const longer = length === host ? '' : ` ge ${host}`;
      return `${ip} prefix-list ${name} permit ${address}/${length}${longer}`;
    }),
    `route-map ${name} permit 10`,
    ` match ${ip} address prefix-list ${name}`,
    ' match community L4LB-DRAINED',
    ' set local-preference 0',
    'exit',
    `route-map ${name} permit 20`,
    ` match ${ip} address prefix-list ${name}`,
    'exit',
  ];
}

function bfdProfile(bfd = USUAL_BFD): string[] {
  const interval = numberWord(bfd.interval, 10, 60_000, 'the interval of BFD');
  const multiplier = numberWord(bfd.multiplier, 2, 50, 'the multiplier of BFD');
  return [
    'route-map L4LB-NOTHING deny 10',
    'exit',
    'bfd',
    ' profile L4LB',
    `  transmit-interval ${interval}`,
    `  receive-interval ${interval}`,
    `  detect-multiplier ${multiplier}`,
    ' exit',
    'exit',
  ];
}
