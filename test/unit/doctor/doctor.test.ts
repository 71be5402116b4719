// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { examine, isHealthy } from '../../../src/doctor/examine.js';
import type { CheckName, Facts, LocalServerFacts } from '../../../src/doctor/facts.js';
import { describeDiagnosis, diagnosisJson } from '../../../src/doctor/report.js';
import type { AttachedProgram } from '../../../src/system/ip/links.js';
import type { Device, RpFilter } from '../../../src/system/ip/namespaces.js';
import { Unseen } from '../../../src/text/unseen.js';
import {
  WEB_1_MAC,
  balancer,
  destination,
  device,
  facts,
  farEnd,
  traffic,
} from './facts.js';
import { mac } from '../wire/names.js';

function program(more: Partial<AttachedProgram>): Partial<Facts> {
  const one: AttachedProgram = { mode: 'xdpdrv', id: 7, name: 'l4lb_2', ...more };
  return {
    program: one,
    device: device({ programs: [one] }),
    ...(one.name === 'l4lb_2' ? {} : { balancer: undefined, traffic: undefined }),
  };
}

const NOTHING: Partial<Facts> = {
  program: undefined,
  balancer: undefined,
  traffic: undefined,
  device: device({ programs: [] }),
};

function veth(peer: Facts['peer'], more: Partial<Facts> = {}): Partial<Facts> {
  return {
    device: device({ kind: 'veth', peer: { ifindex: 9, namespaceId: 0 } }),
    hardware: { driver: 'veth', stripsTags: 'off' },
    peer,
    ...more,
  };
}

const END: Device = device({ name: 'port1', kind: 'veth', programs: [] });
const LOST = new Map([
  ['rx_queue_0_xdp_tx_errors', 4],
  ['rx_queue_1_xdp_tx_errors', 5],
]);

/** The other end of a veth that takes what XDP sends, in another namespace. */
function vethTo(
  end: Partial<Device>,
  offloads: Facts['peerOffloads'],
  more: Partial<Facts> = {},
): Partial<Facts> {
  const programs = [{ mode: 'xdpdrv' as const, id: 3, name: 'pass' }];
  const peer = { ...END, programs, ...end };
  return veth(
    { isSeen: true, namespace: 'switch', device: peer },
    { peerOffloads: offloads, ...more },
  );
}
const PLAIN = { gro: false, tso: false, checksums: false };

function tables(more: object): Partial<Facts> {
  const one = balancer();
  return {
    balancer: {
      ...one,
      tables: { ...one.tables, device: { ...one.tables.device, ...more } },
    },
  };
}

function withDestination(
  more: Parameters<typeof destination>[0],
  rest: Partial<Facts> = {},
): Partial<Facts> {
  return { balancer: balancer({ destinations: [destination(more)] }), ...rest };
}

const SERVICE = balancer().services[0];
function withService(more: object): Partial<Facts> {
  return SERVICE ? { balancer: balancer({ services: [{ ...SERVICE, ...more }] }) } : {};
}

function withServer(more: Partial<LocalServerFacts>, isSteered = true): Partial<Facts> {
  const server = {
    ...{ name: '127.0.0.23:223/tcp', destination: 'local:127.0.0.23:223', service: 1 },
    ...{ isListening: true, isKnown: true, foreign: [] },
  };
  return {
    balancer: balancer({ local: { isSteered, servers: [{ ...server, ...more }] } }),
  };
}

const TO_22 = {
  what: '10.0.0.1:22/tcp',
  count: 9,
  to: { address: '10.0.0.1', port: 22, protocol: 'tcp', mac: device().mac },
  withoutTunnel: undefined,
};
const ARP = { what: 'ARP', count: 2, to: undefined, withoutTunnel: undefined };

interface Row {
  what: string;
  broken: Partial<Facts>;
  check: CheckName;
  severity?: 'remark';
  finding: string;
  evidence?: string;
  fix: string;
}

/** Only on this device. */
function strict(device: string): Map<string, RpFilter> {
  return new Map<string, RpFilter>([
    ['all', 'off'],
    ['eth0', 'off'],
    [device, 'strict'],
  ]);
}

describe('doctor', () => {
  test('finds nothing where all is well, and says what it looked at', () => {
    const diagnosis = examine(facts({ farEnds: [farEnd()] }));
    expect(isHealthy(diagnosis)).toBe(true);
    expect(diagnosis.findings).toEqual([]);
    expect(diagnosis.well.map(({ check }) => check)).toEqual([
      'device',
      'tools',
      'program',
      'mode',
      'table',
      'device mac',
      'source',
      'mtu',
      'answers',
      'mac',
      'tunnel',
      'rp_filter',
      'service address',
      'drops',
      'matches',
      'counters',
      'vlan',
    ]);
  });

  test.each<Row>([
    {
      what: 'a device that is down',
      broken: { device: device({ up: false, carrier: false }), traffic: traffic({}) },
      check: 'device',
      finding: 'ens4 is down',
      fix: 'ip link set dev ens4 up',
    },
    {
      what: 'a device without carrier',
      broken: { device: device({ carrier: false }), traffic: traffic({}) },
      check: 'device',
      finding: 'ens4 has no carrier',
      fix: 'plug in the cable, or enable the switch port',
    },
    {
      what: 'no ethtool',
      broken: { hardware: new Unseen('no ethtool on this machine') },
      check: 'tools',
      severity: 'remark',
      finding: 'ethtool does not report on ens4',
      fix: 'apt-get install ethtool',
    },
    {
      what: 'no tcpdump',
      broken: {
        traffic: traffic(
          { balanced: 1 },
          { passed: new Unseen('no tcpdump on this machine') },
        ),
      },
      check: 'tools',
      severity: 'remark',
      finding: 'tcpdump does not report on ens4',
      fix: 'apt-get install tcpdump',
    },
    {
      what: 'no program',
      broken: NOTHING,
      check: 'program',
      finding: 'no XDP program on ens4',
      evidence: 'ip link show dev ens4 lists none',
      fix: 'l4lb-load -i ens4 -f FILE',
    },
    {
      what: 'no program in the mode asked for',
      broken: { ...NOTHING, device: device(), asked: 'xdpgeneric' },
      check: 'program',
      finding: 'no XDP program on ens4 in mode xdpgeneric',
      evidence: 'ip link show dev ens4 lists l4lb_2 in mode xdpdrv',
      fix: 'l4lb-load -i ens4 --off && l4lb-load -i ens4 -m xdpgeneric -f FILE',
    },
    {
      what: 'a card that takes the program, but has none',
      broken: { ...NOTHING, asked: 'xdpoffload', offload: { refusal: undefined } },
      check: 'program',
      finding: 'no XDP program on ens4 in mode xdpoffload',
      fix: 'l4lb-load -i ens4 -m xdpoffload -f FILE',
    },
    {
      what: 'a driver without offload',
      broken: { ...NOTHING, asked: 'xdpoffload', offload: { refusal: 'EINVAL' } },
      check: 'offload',
      finding: 'ens4 refuses the program in offload mode',
      evidence:
        "EINVAL; its driver ixgbe does not support eBPF offload; in Linux nfp does, for Netronome's Agilio cards",
      fix: 'l4lb-load -i ens4 -m xdpdrv',
    },
    {
      what: 'a card that refuses',
      broken: {
        asked: 'xdpoffload',
        offload: { refusal: 'EINVAL' },
        hardware: { driver: 'nfp', stripsTags: 'off' },
      },
      check: 'offload',
      finding: 'ens4 refuses the program in offload mode',
      evidence:
        "EINVAL; the driver nfp supports offload, so the cause is the card's firmware or the program's size",
      fix: 'none needed: it runs in driver mode, see l4lb-doctor -i ens4',
    },
    {
      what: "another tool's program",
      broken: program({ name: 'xdp_filter' }),
      check: 'program',
      finding: 'the program on ens4 is not l4lb',
      evidence: 'program 7 in mode xdpdrv is xdp_filter',
      fix: 'ip link set dev ens4 xdpdrv off && l4lb-load -i ens4 -f FILE',
    },
    {
      what: 'our name with maps of others',
      broken: { balancer: undefined, traffic: undefined },
      check: 'program',
      finding: 'the program on ens4 is not l4lb',
      evidence: 'program 7 in mode xdpdrv is l4lb_2, but its maps are not those of l4lb',
      fix: 'ip link set dev ens4 xdpdrv off && l4lb-load -i ens4 -f FILE',
    },
    {
      what: 'another ABI version',
      broken: program({ name: 'l4lb_99' }),
      check: 'program',
      finding: 'the program on ens4 is from another release than these tools',
      fix: 'l4lb-load -i ens4 --replace',
    },
    {
      what: 'the decapsulation program',
      broken: program({ name: 'l4lb_decap_1' }),
      check: 'program',
      finding: 'ens4 has the decapsulation program, not the balancer',
      fix: 'l4lb-load -i ens4 --off && l4lb-load -i ens4 -f FILE',
    },
    {
      what: 'generic mode on a driver with XDP',
      broken: program({ mode: 'xdpgeneric' }),
      check: 'mode',
      finding: 'ens4 runs in generic mode, but driver mode should work',
      fix:
        'l4lb-map -i ens4 --export > l4lb.toml && l4lb-load -i ens4 --off && ' +
        'l4lb-load -i ens4 -m xdpdrv && l4lb-map -i ens4 -c l4lb.toml',
    },
    {
      what: 'generic mode with jumbo frames',
      broken: {
        ...tables({ mtu: 9000 }),
        program: { mode: 'xdpgeneric', id: 7, name: 'l4lb_2' },
        device: device({ mtu: 9000 }),
      },
      check: 'mode',
      severity: 'remark',
      finding: 'ens4 runs in generic mode',
      fix: expect.stringContaining('mtu 3498') as unknown as string,
    },
    {
      what: 'a server on this host that does not listen',
      broken: withServer({ isListening: false, isKnown: false }),
      check: 'local servers',
      finding: 'nobody listens on 127.0.0.23:223/tcp',
      fix: 'start the server, and then l4lb watch -i ens4; or give local:127.0.0.23:223 weight 0',
    },
    {
      what: 'a server on this host that was started late',
      broken: withServer({ isKnown: false }),
      check: 'local servers',
      finding: 'packets for 127.0.0.23:223/tcp do not reach the server there',
      fix: 'l4lb watch -i ens4, which notices a server that starts; or fill again',
    },
    {
      what: 'a server on this host that nothing hands packets to',
      broken: withServer({ isKnown: false }, false),
      check: 'local servers',
      finding: 'packets for servers on this host reach none of them',
      fix: 'l4lb-map -i ens4 -f FILE',
    },
    {
      what: 'a service for a server on this host, on an address of another one',
      broken: withServer({ foreign: ['192.0.2.10'] }),
      check: 'local servers',
      finding: '192.0.2.10 is not an address of this host',
      fix: 'ip address add 192.0.2.10/32 dev lo',
    },
    {
      what: 'no service',
      broken: {
        balancer: balancer({ services: [], destinations: [] }),
        traffic: traffic({ 'not ours': 5 }),
      },
      check: 'table',
      finding: 'the table is empty: everything passes to the host',
      fix: 'l4lb-map -i ens4 -f FILE',
    },
    {
      what: 'weights of 0 only',
      broken: {
        ...withService({ emptySlots: 512 }),
        traffic: traffic({ 'empty slot': 5 }),
      },
      check: 'table',
      finding: 'no slot of 192.0.2.10:80/tcp has a destination',
      fix: 'l4lb-map -i ens4 -f FILE, with a row whose weight is not 0',
    },
    {
      what: 'a fill that was cut short',
      broken: withService({ emptySlots: 12 }),
      check: 'table',
      finding: 'some slots of 192.0.2.10:80/tcp have no destination',
      evidence:
        '12 of 512 slots are empty, so packets pass to the host; it has 1 destination',
      fix: 'l4lb-map -i ens4 -f FILE',
    },
    {
      what: 'another MAC of the device',
      broken: {
        ...tables({ mac: mac('02:00:0a:00:00:99') }),
        traffic: traffic({ 'not for us': 4 }),
      },
      check: 'device mac',
      finding: 'the MAC of ens4 is not the one in the table',
      fix: 'l4lb-map -i ens4 -f FILE',
    },
    {
      what: 'a source of another host',
      broken: withDestination({ source: '10.0.0.99' }),
      check: 'source',
      finding: "the outer header's source 10.0.0.99 is not an address of this host",
      fix: 'l4lb-map -i ens4 -f FILE -s 10.0.0.1',
    },
    {
      what: 'a source where the device has no address',
      broken: withDestination(
        { source: '2001:db8::99' },
        { device: device({ addresses: [] }) },
      ),
      check: 'source',
      finding: "the outer header's source 2001:db8::99 is not an address of this host",
      fix: 'ip addr add 2001:db8::99/128 dev ens4',
    },
    {
      what: 'an MTU that fell after the fill',
      broken: { device: device({ mtu: 1400 }) },
      check: 'mtu',
      finding: 'the MTU of ens4 is smaller than the table says',
      evidence: 'the device has 1400, the table was filled for 1500',
      fix: 'l4lb-map -i ens4 -f FILE',
    },
    {
      what: 'an MTU that rose after the fill',
      broken: { device: device({ mtu: 1520 }) },
      check: 'mtu',
      severity: 'remark',
      finding: 'the MTU of ens4 is larger than the table says',
      fix: 'l4lb-map -i ens4 -f FILE',
    },
    {
      what: 'packets that are too big',
      broken: { traffic: traffic({ balanced: 9, 'too big': 1 }) },
      check: 'mtu',
      finding: 'the MTU of ens4 is too small for the packets that come',
      evidence:
        '1 packet of more than 1480 bytes came during the check: the outer header takes 20 of 1500',
      fix:
        'ip link set dev ens4 mtu 1520 && l4lb-map -i ens4 -f FILE, ' +
        'if the path to the destinations allows it; or limit senders to 1480',
    },
    {
      what: 'packets that are too big, and nothing else',
      broken: { traffic: traffic({ 'too big': 1 }) },
      check: 'mtu',
      finding: 'the MTU of ens4 is too small for the packets that come',
      fix: expect.stringContaining('mtu 1520') as unknown as string,
    },
    {
      what: 'packets that are too big, whose senders are told',
      broken: { traffic: traffic({ 'too big told': 2 }) },
      check: 'mtu',
      severity: 'remark',
      finding: 'the MTU of ens4 is too small for 2 packets',
      fix: expect.stringContaining('mtu 1520') as unknown as string,
    },
    {
      what: 'packets that once were too big',
      broken: {
        traffic: traffic({ balanced: 9 }, { sums: new Map([['too big', 3n]]) }),
      },
      check: 'mtu',
      severity: 'remark',
      finding: 'the MTU of ens4 was too small for 3 packets',
      fix: expect.stringContaining('mtu 1520') as unknown as string,
    },
    {
      what: 'a destination that does not answer',
      broken: withDestination({ neighbour: { mac: undefined, answers: 'no' } }),
      check: 'answers',
      finding: 'the destination 10.0.1.15 does not answer',
      fix: 'start 10.0.1.15, or give it weight 0 with l4lb-map -i ens4 -f FILE',
    },
    {
      what: 'a router that does not answer, once for all behind it',
      broken: {
        balancer: balancer({
          destinations: ['10.1.0.1', '10.1.0.2', '10.1.0.3', '10.1.0.4', '10.1.0.5'].map(
            (address, index) =>
              destination({
                id: index + 1,
                address,
                hop: '10.0.0.254',
                neighbour: { mac: undefined, answers: 'no' },
              }),
          ),
        }),
      },
      check: 'answers',
      finding:
        '10.0.0.254, the router towards 10.1.0.1, 10.1.0.2, 10.1.0.3 and 2 more, does not answer',
      fix: 'ip route get 10.1.0.1 oif ens4, and check 10.0.0.254',
    },
    {
      what: 'a destination that is this host',
      broken: withDestination({ hop: undefined, isLocal: true, neighbour: undefined }),
      check: 'answers',
      finding: 'the destination 10.0.1.15 is this host itself',
      fix: 'l4lb-map -i ens4 -f FILE, without 10.0.1.15',
    },
    {
      what: 'a destination without a route',
      broken: withDestination({ hop: undefined, neighbour: undefined }),
      check: 'answers',
      severity: 'remark',
      finding: 'no route to the destination 10.0.1.15 over ens4',
      fix: 'ip route add 10.0.1.15/32 via ROUTER dev ens4',
    },
    {
      what: 'a wrong MAC',
      broken: withDestination({ mac: '02:00:0a:00:01:99' }),
      check: 'mac',
      finding: 'the table has a wrong MAC for 10.0.1.15',
      evidence: `it has 02:00:0a:00:01:99; ip neigh show dev ens4 has 10.0.1.15 at ${WEB_1_MAC}`,
      fix: `l4lb-map -i ens4 -f FILE, with the row 10.0.1.15, ${WEB_1_MAC}`,
    },
    {
      what: 'a MAC that is not the one set by hand',
      broken: withDestination({
        neighbour: { mac: '02:00:0a:00:01:98', answers: 'not asked' },
      }),
      check: 'mac',
      finding: 'the table has a wrong MAC for 10.0.1.15',
      fix: 'l4lb-map -i ens4 -f FILE, with the row 10.0.1.15, 02:00:0a:00:01:98',
    },
    {
      what: "a destination behind a router with another MAC than the router's",
      broken: withDestination({ hop: '10.0.0.254', mac: '02:00:0a:00:01:99' }),
      check: 'mac',
      finding: 'the table has a wrong MAC for 10.0.1.15',
      evidence: `it has 02:00:0a:00:01:99; ip neigh show dev ens4 has 10.0.0.254, the router towards 10.0.1.15, at ${WEB_1_MAC}`,
      fix: `l4lb-map -i ens4 -f FILE, with the row 10.0.1.15, ${WEB_1_MAC}`,
    },
    {
      what: 'a destination of this host without a tunnel',
      broken: {
        farEnds: [farEnd({ device: device({ name: 'eth0', programs: [] }) })],
      },
      check: 'tunnel',
      finding: 'nothing removes the outer header at 10.0.1.15',
      evidence: 'in web-1 no tunnel device is up, and eth0 has no l4lb_decap',
      fix: 'nsenter --net=/run/netns/web-1 l4lb-load -i eth0 --decap',
    },
    {
      what: 'a destination elsewhere that says so',
      broken: {
        traffic: traffic(
          { balanced: 9, 'not tcp or udp': 2 },
          {
            passed: [
              {
                what: 'ICMP "protocol 4 unreachable" from 10.0.1.15',
                count: 2,
                to: undefined,
                withoutTunnel: '10.0.1.15',
              },
            ],
          },
        ),
      },
      check: 'tunnel',
      finding: 'nothing removes the outer header at 10.0.1.15',
      evidence:
        '2 packets of ICMP "protocol 4 unreachable" from 10.0.1.15 came during the check',
      fix: 'on 10.0.1.15: l4lb-load -i DEVICE --decap, or modprobe ipip && ip link set dev tunl0 up',
    },
    {
      what: 'a strict rp_filter on the tunnel',
      broken: {
        farEnds: [
          farEnd({
            device: device({ name: 'eth0', programs: [] }),
            devices: [
              device({ name: 'tunl0', kind: 'ipip', addresses: ['192.0.2.10'] }),
              device({ name: 'eth0' }),
            ],
            rpFilters: new Map([
              ['all', 'off'],
              ['tunl0', 'strict'],
            ]),
            defaultDevices: ['eth0'],
          }),
        ],
      },
      check: 'rp_filter',
      finding: 'rp_filter drops packets at 10.0.1.15',
      fix: 'ip netns exec web-1 sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.tunl0.rp_filter=0',
    },
    {
      what: 'a strict rp_filter of all devices',
      broken: { farEnds: [farEnd({ rpFilters: strict('all') })] },
      check: 'rp_filter',
      finding: 'rp_filter drops packets at 10.0.1.15',
      fix: 'ip netns exec web-1 sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0',
    },
    {
      what: "no service's address at a destination",
      broken: { farEnds: [farEnd({ devices: [device({ addresses: ['10.0.1.15'] })] })] },
      check: 'service address',
      finding: "10.0.1.15 does not have the service's address 192.0.2.10",
      fix: 'ip -n web-1 addr add 192.0.2.10/32 dev lo',
    },
    {
      what: 'a veth whose other end has no program',
      broken: veth(
        { isSeen: true, namespace: 'switch', device: END },
        { traffic: traffic({ balanced: 9 }, { drops: LOST }) },
      ),
      check: 'veth peer',
      finding: 'what ens4 sends is dropped: its other end has no XDP program',
      evidence:
        'ip -n switch link show dev port1 lists none in driver mode; 9 frames could not be handed over during the check',
      fix: 'ip -n switch link set dev port1 xdpdrv obj /usr/lib/l4lb/testbed/pass.o sec xdp',
    },
    {
      what: 'a veth whose other end, here, has a program in generic mode',
      broken: veth({
        isSeen: true,
        namespace: undefined,
        device: { ...END, programs: [{ mode: 'xdpgeneric', id: 3, name: 'pass' }] },
      }),
      check: 'veth peer',
      finding: 'what ens4 sends is dropped: its other end has no XDP program',
      fix: 'ip link set dev port1 xdpdrv obj /usr/lib/l4lb/testbed/pass.o sec xdp',
    },
    {
      what: 'a veth that loses frames, whose other end is not seen',
      broken: veth(
        { isSeen: false },
        { traffic: traffic({ balanced: 9 }, { drops: LOST }) },
      ),
      check: 'veth peer',
      finding: 'what ens4 sends is dropped: its other end has no XDP program',
      fix: 'at the other end: ip link set dev DEVICE xdpdrv obj /usr/lib/l4lb/testbed/pass.o sec xdp',
    },
    {
      what: 'a veth whose other end has GRO alone',
      broken: vethTo({ programs: [] }, { ...PLAIN, gro: true }),
      check: 'veth peer',
      finding: 'what ens4 sends is dropped: its other end has no XDP program',
      evidence:
        'ip -n switch link show dev port1 lists none in driver mode; it has GRO, which is not enough for what leaves by the device that it came in on',
      fix: 'ip -n switch link set dev port1 xdpdrv obj /usr/lib/l4lb/testbed/pass.o sec xdp',
    },
    {
      what: 'a veth whose other end has TSO, in generic mode',
      broken: {
        ...vethTo({}, { ...PLAIN, tso: true }),
        program: { mode: 'xdpgeneric', id: 7, name: 'l4lb_2' },
        hardware: { driver: 'e1000', stripsTags: 'off' },
      },
      check: 'veth offloads',
      finding:
        'TCP packets larger than the MTU come to ens4, in generic mode: its other end leaves cutting them to ens4',
      evidence:
        'ip netns exec switch ethtool -k port1 says that tx-tcp-segmentation is on; the kernel turns it off where a program runs in driver mode only',
      fix: 'ip netns exec switch ethtool -K port1 tso off',
    },
    {
      what: 'a veth whose other end leaves checksums out',
      broken: vethTo({}, { ...PLAIN, checksums: true }),
      check: 'veth offloads',
      severity: 'remark',
      finding:
        'what begins on this machine comes to ens4 without a checksum, so destinations drop it',
      fix: 'ip netns exec switch ethtool -K port1 tx off',
    },
    {
      what: 'a veth whose other end has a smaller MTU',
      broken: vethTo({ mtu: 1300 }, PLAIN, {
        traffic: traffic({ balanced: 9 }, { drops: LOST }),
      }),
      check: 'drops',
      finding: 'ens4 drops packets',
      evidence:
        'during the check rx_queue_0_xdp_tx_errors rose by 4, rx_queue_1_xdp_tx_errors rose by 5; ' +
        'the other end, port1, has an MTU of 1300, and ens4 one of 1500',
      fix: 'ip -n switch link set dev port1 mtu 1500',
    },
    {
      what: 'a card that drops',
      broken: {
        traffic: traffic({ balanced: 9 }, { drops: new Map([['rx_missed_errors', 3]]) }),
      },
      check: 'drops',
      finding: 'ens4 drops packets',
      evidence: 'during the check rx_missed_errors rose by 3',
      fix: 'ethtool -S ens4 && ip -s link show dev ens4, and read which counters rise',
    },
    {
      what: 'packets to another port',
      broken: {
        traffic: traffic({ 'not ours': 9, 'not ip': 2 }, { passed: [TO_22, ARP] }),
      },
      check: 'matches',
      finding: 'no packet matches a service',
      evidence:
        'the ways into services are 192.0.2.10:80/tcp, but these packets came in 1.0 s: ' +
        '9 packets to 10.0.0.1:22/tcp, 2 of ARP (2 "not ip", 9 "not ours")',
      fix: 'l4lb-map -i ens4 -f FILE --vip 192.0.2.10:80/tcp 10.0.0.1:22/tcp, if it is meant for the service',
    },
    {
      what: 'packets to another MAC',
      broken: {
        traffic: traffic(
          { 'not for us': 9 },
          { passed: [{ ...TO_22, to: { ...TO_22.to, mac: '02:00:0a:00:00:77' } }] },
        ),
      },
      check: 'matches',
      finding: 'no packet matches a service',
      fix: 'at the sender: ip route replace 10.0.0.1 via 10.0.0.1',
    },
    {
      what: 'fragments, which nobody sees',
      broken: { traffic: traffic({ fragment: 3 }) },
      check: 'matches',
      finding: 'no packet matches a service',
      fix: 'l4lb-load -i ens4 --status, and send to a way it lists',
    },
    {
      what: 'nothing at all',
      broken: { traffic: traffic({}) },
      check: 'counters',
      finding: 'the counters stand still: no packet comes that could be balanced',
      evidence: 'no packet came to ens4 in 1.0 s',
      fix: 'at a client: ip route get 192.0.2.10, which must lead to 10.0.0.1; or watch longer, with --interval 30',
    },
    {
      what: 'ARP alone',
      broken: { traffic: traffic({ 'not ip': 2 }, { passed: [ARP] }) },
      check: 'counters',
      finding: 'the counters stand still: no packet comes that could be balanced',
      evidence: '2 packets counted in 1.0 s, none of them TCP or UDP: 2 of ARP',
      fix: expect.stringContaining('at a client') as unknown as string,
    },
    {
      what: 'packets that the program never sees',
      broken: { traffic: traffic({}, { received: 500 }) },
      check: 'counters',
      finding: 'the counters stand still, although packets come to ens4',
      fix: 'l4lb-load -i ens4 --replace',
    },
    {
      what: 'tags that are taken off',
      broken: { hardware: { driver: 'ixgbe', stripsTags: 'on' } },
      check: 'vlan',
      severity: 'remark',
      finding: 'ens4 removes VLAN tags before XDP sees the frame',
      fix: 'ethtool -K ens4 rxvlan off',
    },
  ])('finds $what, and only that', ({ broken, check, severity = 'finding', ...row }) => {
    const { finding, fix, evidence = expect.anything() as unknown as string } = row;
    const diagnosis = examine(facts(broken));
    expect(diagnosis.findings).toEqual([{ check, severity, finding, evidence, fix }]);
    expect(isHealthy(diagnosis)).toBe(severity === 'remark');
  });

  test.each<[string, Partial<Facts>]>([
    [
      'a driver without XDP in generic mode',
      {
        ...program({ mode: 'xdpgeneric' }),
        hardware: { driver: 'e1000', stripsTags: 'off' },
      },
    ],
    [
      'another program at a destination',
      {
        farEnds: [
          farEnd({
            device: device({ programs: [{ mode: 'xdpdrv', id: 3, name: 'own' }] }),
          }),
        ],
      },
    ],
    [
      'a strict rp_filter where the default route leads back',
      {
        farEnds: [farEnd({ rpFilters: strict('eth0'), defaultDevices: ['eth0'] })],
      },
    ],
    [
      'loose, which is more than strict',
      {
        farEnds: [
          farEnd({
            rpFilters: new Map([
              ['all', 'loose'],
              ['eth0', 'strict'],
            ]),
          }),
        ],
      },
    ],
    ['a veth whose unseen other end takes frames', veth({ isSeen: false })],
    [
      '"protocol unreachable" of somebody else',
      {
        traffic: traffic(
          { balanced: 9 },
          { passed: [{ ...ARP, withoutTunnel: '10.9.9.9' }] },
        ),
      },
    ],
    [
      'a source that is spread over a prefix',
      withDestination({ source: '10.7.0.0/16', isSpread: true }),
    ],
    ['TSO where the program runs in driver mode', vethTo({}, { ...PLAIN, tso: true })],
    [
      'a driver that counts no drops',
      { traffic: traffic({ balanced: 9 }, { drops: new Unseen('none') }) },
    ],
    ['echo requests that are answered', { traffic: traffic({ 'echo answered': 3 }) }],
  ])('does not blame %s', (_, broken) => {
    expect(examine(facts(broken)).findings).toEqual([]);
  });

  const WHY = 'it may not be asked';
  test.each<[CheckName, string, Partial<Facts>]>([
    ['vlan', 'whether ens4 takes VLAN tags off', { hardware: new Unseen(WHY) }],
    [
      'vlan',
      'whether ens4 takes VLAN tags off',
      { hardware: { driver: 'ixgbe', stripsTags: new Unseen(WHY) } },
    ],
    [
      'mode',
      'whether driver mode would work instead of generic mode',
      { ...program({ mode: 'xdpgeneric' }), hardware: new Unseen(WHY) },
    ],
    ['rp_filter', 'at 10.0.1.15', { farEnds: [farEnd({ rpFilters: new Unseen(WHY) })] }],
    [
      'rp_filter',
      'at 10.0.1.15',
      {
        farEnds: [
          farEnd({ rpFilters: strict('eth0'), defaultDevices: new Unseen(WHY) }),
          farEnd({ address: '10.0.1.16' }),
        ],
      },
    ],
    [
      'veth offloads',
      'whether what port1 sends to ens4 is complete',
      vethTo({}, new Unseen(WHY)),
    ],
    [
      'veth peer',
      'whether its other end accepts frames',
      {
        ...veth({ isSeen: false }),
        traffic: traffic({ balanced: 9 }, { drops: new Unseen(WHY) }),
      },
    ],
  ])('%s: what could not be looked at is not well: %s', (check, what, broken) => {
    const diagnosis = examine(facts(broken));
    expect(diagnosis.unseen).toContainEqual({ check, text: `${what}: ${WHY}` });
    expect(diagnosis.well.map((one) => one.check)).not.toContain(check);
    expect(diagnosis.findings.map((one) => one.check)).not.toContain(check);
    const lines = describeDiagnosis(diagnosis);
    expect(lines[0]).toMatch(/ \d checks? not made$/);
    const at = lines.indexOf('Could not be checked:');
    expect(lines.slice(at).join('\n')).toContain(`${what}: ${WHY}`);
    expect(diagnosisJson(diagnosis)).toMatchObject({ unseen: diagnosis.unseen });
  });

  test('an rp_filter that ip does not name is not off', () => {
    const end = farEnd({ rpFilters: new Map([['all', 'off']]) });
    expect(examine(facts({ farEnds: [end] })).unseen).toEqual([
      {
        check: 'rp_filter',
        text: 'at 10.0.1.15: ip -n web-1 netconf show does not list rp_filter of eth0',
      },
    ]);
  });

  test('a tool that is there and fails is told with its own words', () => {
    const passed = new Unseen("tcpdump: ens4: You don't have permission to capture");
    const [remark] = examine(
      facts({ traffic: traffic({ balanced: 1 }, { passed }) }),
    ).findings;
    expect(remark?.evidence).toContain('have permission to capture; so this is unknown');
    expect(remark?.fix).toBe('tcpdump -i ens4, and read its error');
  });

  test('names the service where there are several', () => {
    const [one] = balancer().services;
    if (!one) throw new Error('no service');
    const two = { ...one, id: 2, ways: one.ways.map((way) => ({ ...way, port: 443 })) };
    const broken = balancer({
      services: [one, two],
      destinations: [destination({ service: 2, source: '10.0.0.99' })],
    });
    expect(examine(facts({ balancer: broken })).findings[0]?.fix).toBe(
      'l4lb-map -i ens4 -f FILE --vip 192.0.2.10:443/tcp -s 10.0.0.1',
    );
  });
});

describe('report', () => {
  const silent = balancer({
    destinations: Array.from({ length: 6 }, (_, index) =>
      destination({
        id: index + 1,
        address: `10.0.1.${index + 1}`,
        hop: `10.0.1.${index + 1}`,
        neighbour: { mac: undefined, answers: 'no' },
      }),
    ),
  });
  const diagnosis = examine(
    facts({ balancer: silent, hardware: { driver: 'ixgbe', stripsTags: 'on' } }),
  );

  test('counts, and tells a few of a kind', () => {
    const lines = describeDiagnosis(diagnosis);
    expect(lines[0]).toBe('ens4: 6 findings, 1 remark');
    expect(
      lines.filter((line) => line.startsWith('finding (answers): the')),
    ).toHaveLength(4);
    expect(lines).toContain('finding (answers): 2 more like these; --json shows all');
    expect(lines).toContain(
      'remark (vlan): ens4 removes VLAN tags before XDP sees the frame',
    );
    expect(lines).toContain(
      '  device           ens4 is up, with MAC 02:00:0a:00:00:01 and an MTU of 1500',
    );
  });

  test('says healthy', () => {
    expect(describeDiagnosis(examine(facts()))[0]).toBe('ens4: healthy');
  });

  test('as JSON has all', () => {
    expect(diagnosisJson(diagnosis)).toMatchObject({ interface: 'ens4', healthy: false });
    expect(diagnosis.findings).toHaveLength(7);
  });
});
