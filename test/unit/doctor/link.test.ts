// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the doctor says of destinations without a tunnel. */
import { describe, expect, test } from '@jest/globals';

import { examine } from '../../../src/doctor/examine.js';
import type { Diagnosis } from '../../../src/doctor/examine.js';
import type {
  CheckName,
  DestinationFacts,
  Facts,
  FarEnd,
} from '../../../src/doctor/facts.js';
import type { Device } from '../../../src/system/ip/namespaces.js';
import { Unseen } from '../../../src/text/unseen.js';
import {
  MAC,
  WEB_1_MAC,
  balancer,
  destination,
  device,
  facts,
  farEnd,
  traffic,
} from './facts.js';
import { ip } from '../wire/names.js';

const ROUTER = { hop: '10.0.0.254', neighbour: { mac: MAC, answers: 'yes' } } as const;
const VIP6 = '2001:db8::10';
const BARE = device({
  name: 'eth0',
  mac: WEB_1_MAC,
  addresses: ['10.0.1.15'],
  programs: [],
});

/** A service without a tunnel, whose packets may have all of the MTU. */
function linked(more: Partial<DestinationFacts> = {}, largest = 1500): Partial<Facts> {
  const one = balancer();
  const [entry] = one.tables.destinations.values();
  if (!entry) throw new Error('no destination');
  const own = { ...entry, largestPacket: largest, forward: 'link' } as const;
  return {
    balancer: {
      ...one,
      tables: { ...one.tables, destinations: new Map([[1, own]]) },
      // Without an outer header there is no source.
      destinations: [destination({ forward: 'link', source: '0.0.0.0', ...more })],
    },
  };
}

function lo(...addresses: string[]): Device {
  return device({ name: 'lo', mac: '', addresses, programs: [] });
}

function end(more: Partial<FarEnd> = {}): Partial<Facts> {
  const devices = [lo('192.0.2.10'), BARE];
  return {
    ...linked(),
    farEnds: [farEnd({ device: BARE, devices, arpIgnore: 1, ...more })],
  };
}

/** The service has an IPv6 address. */
function ipv6(broken: Partial<Facts>): Partial<Facts> {
  const one = broken.balancer ?? balancer();
  const services = one.services.map((service) => ({
    ...service,
    ways: service.ways.map((way) => ({ ...way, address: ip(VIP6) })),
  }));
  return { ...broken, balancer: { ...one, services } };
}

function said(diagnosis: Diagnosis, check: CheckName): string | undefined {
  return diagnosis.well.find((one) => one.check === check)?.text;
}

test('all is well without tunnel, decapsulation program and outer source', () => {
  const diagnosis = examine(facts(end()));
  expect(diagnosis.findings).toEqual([]);
  expect(diagnosis.unseen).toEqual([]);
  const checks = diagnosis.well.map(({ check }) => check);
  expect(checks).not.toContain('tunnel');
  expect(checks).not.toContain('source');
  expect(said(diagnosis, 'link')).toBe(
    "no router is on the way to 1 destination; 1 destination of this host does not answer ARP for the service's address",
  );
  expect(said(diagnosis, 'rp_filter')).toBe('rp_filter lets packets in at 1 destination');
  expect(said(diagnosis, 'mtu')).toBe('packets of up to 1,500 bytes fit an MTU of 1,500');
});

test('of destinations elsewhere it says only what the routes tell', () => {
  const diagnosis = examine(facts(linked()));
  expect(said(diagnosis, 'link')).toBe('no router is on the way to 1 destination');
});

test('a service with a tunnel has no such check', () => {
  const diagnosis = examine(facts({ farEnds: [farEnd()] }));
  expect(said(diagnosis, 'link')).toBeUndefined();
});

interface Row {
  what: string;
  broken: Partial<Facts>;
  check?: CheckName;
  severity?: 'remark';
  finding: string;
  evidence?: string;
  fix: string;
}

const SYSCTL =
  'ip netns exec web-1 sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2';
const OTHERS = 'so whoever is on the link may send to 10.0.1.15 and not to the balancer';

describe('finds', () => {
  test.each<Row>([
    {
      what: 'a router that gets the packets',
      broken: linked({ ...ROUTER, mac: MAC }),
      finding: 'a router is on the way to 10.0.1.15, which has to be on the same link',
      evidence:
        "ip route get 10.0.1.15 oif ens4 names the router 10.0.0.254; the packet still goes to the service's address, so a router sends it back to here, again and again",
      fix: 'l4lb-map -i ens4 -f FILE --forward tunnel, or put 10.0.1.15 on the link of ens4',
    },
    {
      what: 'a router in the routes alone',
      broken: linked(ROUTER),
      severity: 'remark',
      finding: 'the kernel reaches 10.0.1.15 through a router, and l4lb does not',
      evidence: `ip route get 10.0.1.15 oif ens4 names the router 10.0.0.254, at ${MAC}, but the table has ${WEB_1_MAC}; this works only if that MAC is on the link of ens4`,
      fix: 'l4lb-map -i ens4 -f FILE --forward tunnel, or put 10.0.1.15 on the link of ens4',
    },
    {
      what: "a wrong MAC, as with a tunnel's",
      broken: linked({ mac: MAC }),
      check: 'mac',
      finding: 'the table has a wrong MAC for 10.0.1.15',
      fix: `l4lb-map -i ens4 -f FILE, with the row 10.0.1.15, ${WEB_1_MAC}`,
    },
    {
      what: 'an answer to ARP',
      broken: end({ arpIgnore: 0 }),
      severity: 'remark',
      finding: "10.0.1.15 answers ARP for the service's address 192.0.2.10",
      evidence: `in web-1 arp_ignore is 0 for eth0, ${OTHERS}`,
      fix: SYSCTL,
    },
    {
      what: 'a value of arp_ignore that the kernel does not know',
      broken: end({ arpIgnore: 4 }),
      severity: 'remark',
      finding: "10.0.1.15 answers ARP for the service's address 192.0.2.10",
      fix: SYSCTL,
    },
    {
      what: 'the address on the device itself',
      broken: end({
        device: { ...BARE, addresses: ['10.0.1.15', '192.0.2.10'] },
        devices: [lo(), { ...BARE, addresses: ['10.0.1.15', '192.0.2.10'] }],
      }),
      severity: 'remark',
      finding: "10.0.1.15 answers ARP for the service's address 192.0.2.10",
      evidence: `in web-1 eth0 has the address itself, ${OTHERS}`,
      fix: 'ip -n web-1 addr del 192.0.2.10 dev eth0; ip -n web-1 addr add 192.0.2.10/32 dev lo',
    },
    {
      what: 'an IPv6 address on the device, and on lo too',
      broken: ipv6(
        end({
          device: { ...BARE, addresses: [VIP6] },
          devices: [lo(VIP6)],
          arpIgnore: 0,
        }),
      ),
      severity: 'remark',
      finding: `10.0.1.15 answers neighbour discovery for the service's address ${VIP6}`,
      fix: `ip -n web-1 addr del ${VIP6} dev eth0`,
    },
    {
      what: "no service's address, and then nothing of ARP",
      broken: end({ devices: [BARE], arpIgnore: 0 }),
      check: 'service address',
      finding: "10.0.1.15 does not have the service's address 192.0.2.10",
      fix: 'ip -n web-1 addr add 192.0.2.10/32 dev lo',
    },
    {
      what: 'a strict rp_filter on the device',
      broken: end({
        rpFilters: new Map([
          ['all', 'off'],
          ['eth0', 'strict'],
        ]),
      }),
      check: 'rp_filter',
      finding: 'rp_filter drops packets at 10.0.1.15',
      evidence:
        'in web-1 rp_filter is strict on eth0, where packets to the service arrive, and the default route does not leave by eth0',
      fix: 'ip netns exec web-1 sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0',
    },
    {
      what: 'packets that exceed the MTU alone',
      broken: { ...linked(), traffic: traffic({ 'too big': 2, balanced: 9 }) },
      check: 'mtu',
      finding: 'the MTU of ens4 is too small for the packets that come',
      evidence:
        '2 packets of more than 1500 bytes came during the check, and without a tunnel nothing but the MTU limits them',
      fix: 'limit senders to 1500',
    },
  ])('$what', ({ broken, check = 'link', severity = 'finding', ...row }) => {
    const { finding, fix, evidence = expect.anything() as unknown as string } = row;
    expect(examine(facts(broken)).findings).toEqual([
      { check, severity, finding, evidence, fix },
    ]);
  });
});

test('IPv6 does not answer for addresses of lo, whatever arp_ignore says', () => {
  const broken = ipv6(end({ devices: [lo(VIP6), BARE], arpIgnore: 0 }));
  expect(examine(facts(broken)).findings).toEqual([]);
});

test('what could not be read is not well', () => {
  const broken = end({ arpIgnore: new Unseen('arp_ignore could not be read') });
  const diagnosis = examine(facts(broken));
  expect(diagnosis.findings).toEqual([]);
  expect(diagnosis.unseen).toEqual([
    { check: 'link', text: 'at 10.0.1.15: arp_ignore could not be read' },
  ]);
});

test('a destination of both kinds is judged as both', () => {
  const one = end({ arpIgnore: 0 });
  const both = one.balancer ?? balancer();
  const tunnel = destination({ id: 2, service: 2 });
  const broken = {
    ...one,
    balancer: { ...both, destinations: [...both.destinations, tunnel] },
  };
  expect(examine(facts(broken)).findings.map(({ check }) => check)).toEqual([
    'tunnel',
    'link',
  ]);
});
