// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the doctor says of destinations behind other devices. */
import { describe, expect, test } from '@jest/globals';

import { DEVICE_XDP_ANSWERS } from '../../../src/abi/device.js';
import { countSources } from '../../../src/doctor/frames.js';
import { examine } from '../../../src/doctor/examine.js';
import type {
  CheckName,
  ExitFacts,
  ExitTraffic,
  Facts,
} from '../../../src/doctor/facts.js';
import type { Routing } from '../../../src/system/settings.js';
import type { Device } from '../../../src/system/ip/namespaces.js';
import type { EntryForward } from '../../../src/wire/forward.js';
import { Unseen } from '../../../src/text/unseen.js';
import { ip, mac } from '../wire/names.js';
import { balancer, destination, device, facts, traffic } from './facts.js';

const OUT_MAC = '02:00:00:00:02:01';
const VIP = '192.0.2.10';
const VIP_6 = '2001:db8::10';

const ROUTER: Routing = {
  acceptLocal: true,
  rpFilter: 0,
  forwarding: true,
  isRouter: true,
  forwardingIpv6: true,
};

function eth1(more: Partial<Device> = {}): Device {
  return device({ name: 'eth1', ifindex: 3, mac: OUT_MAC, programs: [], ...more });
}

function exit(more: Partial<ExitFacts> = {}): ExitFacts {
  return {
    number: 1,
    entry: { mac: mac(OUT_MAC), vlan: 0, ifindex: 3, mtu: 1500 },
    isLost: false,
    device: eth1(),
    sender: eth1(),
    destinations: ['10.0.1.15'],
    services: [1],
    routed: ['eth1'],
    peer: undefined,
    gro: undefined,
    routing: ROUTER,
    ...more,
  };
}

const GOING: ExitTraffic = {
  balanced: 100,
  sent: 110,
  drops: new Map(),
  unseen: undefined,
  answers: new Map([[VIP, 90]]),
};

/** A gateway with the service's address, whose destination is behind eth1. */
function gateway(
  one: Partial<ExitFacts> = {},
  came: Partial<ExitTraffic> = {},
  more: Partial<Facts> = {},
): Facts {
  const own = balancer();
  const all = [...own.tables.destinations].map(
    ([id, entry]) => [id, { ...entry, forward: 'link', exit: 1 } as const] as const,
  );
  return facts({
    balancer: {
      ...own,
      tables: { ...own.tables, destinations: new Map(all) },
      destinations: [destination({ forward: 'link', source: '0.0.0.0', device: 'eth1' })],
      exits: [exit(one)],
    },
    addresses: ['10.0.0.1', VIP],
    traffic: traffic(undefined, { exits: new Map([[1, { ...GOING, ...came }]]) }),
    ...more,
  });
}

function by(forward: EntryForward, one: Facts): Facts {
  const own = one.balancer ?? balancer();
  const source = forward === 'tunnel' ? '10.0.0.1' : '0.0.0.0';
  const destinations = own.destinations.map((each) => ({ ...each, forward, source }));
  return { ...one, balancer: { ...own, destinations } };
}

const nat = (one: Facts): Facts => by('nat', one);
const tunnel = (one: Facts): Facts => by('tunnel', one);

/** The program runs where answers come in, too. */
const SHARED = (({ programs }) => ({ sender: eth1({ programs }) }))(device());

/** Where XDP is to send answers. */
function sending(one: Facts): Facts {
  const own = one.balancer ?? balancer();
  const device = { ...own.tables.device, flags: DEVICE_XDP_ANSWERS };
  return { ...one, balancer: { ...own, tables: { ...own.tables, device } } };
}

const IPV6 = (one: Facts): Facts => {
  const own = one.balancer ?? balancer();
  const services = own.services.map((service) => ({
    ...service,
    ways: service.ways.map((way) => ({ ...way, address: ip(VIP_6) })),
  }));
  return { ...one, balancer: { ...own, services }, addresses: [VIP_6] };
};

const VETH = { kind: 'veth' } as const;
const UNSEEN_PEER = {
  device: eth1(VETH),
  sender: eth1(VETH),
  peer: { isSeen: false } as const,
};
const END = device({ name: 'eth0', programs: [], mtu: 1500 });
const PEER = { isSeen: true, namespace: 'web-1', device: END } as const;

test('all is well', () => {
  const { findings, unseen, well } = examine(
    gateway({ ...UNSEEN_PEER, peer: PEER, gro: true }),
  );
  expect([findings, unseen]).toEqual([[], []]);
  const said = new Map(well.map(({ check, text }) => [check, text]));
  expect(said.get('exits')).toBe('packets leave by eth1, as the table says');
  expect(said.get('exit veth')).toBe('the other end of eth1 takes what XDP sends');
  expect(said.get('exit drops')).toBe('eth1 dropped nothing');
  expect(said.get('way back')).toBe(
    '90 answers came in by eth1, and the kernel may route them',
  );
});

test('where all destinations are behind the own device, nothing is said of exits', () => {
  const checks = examine(facts()).well.map(({ check }) => check);
  expect(checks).not.toContain('exits');
  expect(checks).not.toContain('way back');
});

interface Row {
  what: string;
  broken: Facts;
  check: CheckName;
  severity?: 'remark';
  finding: string;
  evidence: string;
  fix: string;
}

const FILL = 'l4lb-map -i ens4 -f FILE';
const VLAN: Partial<ExitFacts> = {
  entry: { mac: mac(OUT_MAC), vlan: 20, ifindex: 3, mtu: 1500 },
  device: eth1({ name: 'eth1.20', ifindex: 9 }),
};

describe('finds', () => {
  test.each<Row>([
    {
      what: 'a device that is gone, and made anew with another number',
      broken: gateway({ device: undefined, sender: undefined }),
      check: 'exits',
      finding: 'the device that packets to 10.0.1.15 leave by is gone',
      evidence:
        'the table has the device with the number 3, and ip link does not list it; the kernel reaches them by eth1 now',
      fix: FILL,
    },
    {
      what: 'a VLAN device that is gone, and no route',
      broken: gateway({ ...VLAN, device: undefined, routed: [] }),
      check: 'exits',
      finding: 'the device that packets to 10.0.1.15 leave by is gone',
      evidence:
        'the table has the device with the number 3 with VLAN 20, and ip link does not list it; the kernel has no route to them either',
      fix: `ip route get 10.0.1.15, and when it names a device: ${FILL}`,
    },
    {
      what: 'a device that came back with the same number',
      broken: gateway({ isLost: true }),
      check: 'exits',
      finding: 'the program has lost eth1, by which packets to 10.0.1.15 leave',
      evidence:
        'eth1 is there, but it was removed, or moved to another namespace, since the table was filled',
      fix: FILL,
    },
    {
      what: 'the device beneath a VLAN device that is down',
      broken: gateway({ ...VLAN, sender: eth1({ up: false, carrier: false }) }),
      check: 'exits',
      finding: 'eth1, by which packets to 10.0.1.15 leave, is down',
      evidence: 'ip link show dev eth1 does not say UP',
      fix: 'ip link set dev eth1 up',
    },
    {
      what: 'a cable that is not plugged in',
      broken: gateway({
        device: eth1({ carrier: false }),
        sender: eth1({ carrier: false }),
      }),
      check: 'exits',
      finding: 'eth1, by which packets to 10.0.1.15 leave, has no carrier',
      evidence:
        'ip link show dev eth1 does not say LOWER_UP: nothing is at its other end',
      fix: 'plug in the cable, or enable the switch port',
    },
    {
      what: 'an MTU that grew',
      broken: gateway({ device: eth1({ mtu: 9000 }) }),
      check: 'exits',
      severity: 'remark',
      finding:
        'the MTU of eth1, by which packets to 10.0.1.15 leave, is larger than the table says',
      evidence: 'the device has 9000, the table was filled for 1500',
      fix: FILL,
    },
    {
      what: 'a veth that nobody sees the other end of, and that sends nothing',
      broken: gateway(UNSEEN_PEER, { sent: 3 }),
      check: 'exit veth',
      finding:
        'what leaves by eth1 is lost: its other end has neither an XDP program nor GRO',
      evidence:
        '100 packets were balanced to it during the check, and it sent 3; its other end is in a namespace that cannot be seen from here',
      fix: 'at the other end: ethtool -K DEVICE gro on',
    },
    {
      what: 'drops whose cause is not seen',
      broken: gateway({}, { drops: new Map([['tx_xdp_full', 7]]) }),
      check: 'exit drops',
      finding: 'eth1 drops packets that leave by it',
      evidence: 'during the check tx_xdp_full rose by 7',
      fix: 'ethtool -S eth1 && ip -s link show dev eth1, and read which counters rise',
    },
    {
      what: 'nat, and no program where answers come in',
      broken: nat(gateway()),
      check: 'way back',
      finding: 'answers of 10.0.1.15 are not turned back, so no client can use them',
      evidence:
        "they come in by eth1, which does not run the program of ens4, and only that puts the service's address back",
      fix: 'l4lb-load -i eth1 --share ens4',
    },
    {
      what: 'answers by link that XDP is to send, and no program where they come in',
      broken: sending(gateway()),
      check: 'way back',
      severity: 'remark',
      finding: 'the kernel sends what 10.0.1.15 answer, and not XDP',
      evidence: 'it comes in by eth1, which does not run the program of ens4',
      fix: 'l4lb-load -i eth1 --share ens4',
    },
    {
      what: 'an own address as the source of answers that do not come',
      broken: gateway(
        { ...VLAN, routing: { ...ROUTER, acceptLocal: false } },
        { answers: new Map() },
      ),
      check: 'way back',
      severity: 'remark',
      finding:
        'the kernel would drop what 10.0.1.15 answer, if it came through this host',
      evidence: `${VIP} is an address of this host, and accept_local is 0 on eth1.20, so the kernel takes answers for forged; no answer came during the check`,
      fix: 'sysctl -w net.ipv4.conf.eth1/20.accept_local=1',
    },
    {
      what: 'an own address as the source of answers, most of which XDP sends',
      broken: sending(
        gateway(
          { ...SHARED, routing: { ...ROUTER, acceptLocal: false } },
          { answers: new Map() },
        ),
      ),
      check: 'way back',
      severity: 'remark',
      finding: 'the kernel would drop answers of 10.0.1.15 that XDP leaves to it',
      evidence: `${VIP} is an address of this host, and accept_local is 0 on eth1, so the kernel takes answers for forged; none of them came to it during the check`,
      fix: 'sysctl -w net.ipv4.conf.eth1.accept_local=1',
    },
    {
      what: 'a strict rp_filter, and answers by nat that XDP does not send',
      broken: sending(nat(gateway({ ...SHARED, routing: { ...ROUTER, rpFilter: 1 } }))),
      check: 'way back',
      finding: 'the kernel drops answers of 10.0.1.15 that XDP leaves to it',
      evidence: `rp_filter is strict on eth1, and answers have ${VIP} as their source, which the kernel reaches by another device; 90 of them came to it during the check`,
      fix: 'sysctl -w net.ipv4.conf.eth1.rp_filter=2',
    },
    {
      what: 'an own address as the source of answers by a tunnel, which XDP does not send',
      broken: sending(
        tunnel(gateway({ ...SHARED, routing: { ...ROUTER, acceptLocal: false } })),
      ),
      check: 'way back',
      finding: 'the kernel drops what 10.0.1.15 answer',
      evidence: `${VIP} is an address of this host, and accept_local is 0 on eth1, so the kernel takes answers for forged; 90 answers came in by it during the check`,
      fix: 'sysctl -w net.ipv4.conf.eth1.accept_local=1',
    },
    {
      what: 'an own address as the source of answers with a tag, which XDP does not send',
      broken: sending(
        gateway({
          ...VLAN,
          sender: eth1({ programs: device().programs }),
          routing: { ...ROUTER, acceptLocal: false },
        }),
      ),
      check: 'way back',
      finding: 'the kernel drops what 10.0.1.15 answer',
      evidence: `${VIP} is an address of this host, and accept_local is 0 on eth1.20, so the kernel takes answers for forged; 90 answers came in by it during the check`,
      fix: 'sysctl -w net.ipv4.conf.eth1/20.accept_local=1',
    },
    {
      what: 'forwarding that is off, without which XDP sends nothing either',
      broken: sending(gateway({ ...SHARED, routing: { ...ROUTER, forwarding: false } })),
      check: 'way back',
      finding: 'the kernel drops what 10.0.1.15 answer',
      evidence:
        'forwarding of IPv4 is off on eth1; 90 answers came in by it during the check',
      fix: 'sysctl -w net.ipv4.conf.eth1.forwarding=1',
    },
    {
      what: 'forwarding that is off on one device',
      broken: gateway({ routing: { ...ROUTER, forwarding: false } }),
      check: 'way back',
      finding: 'the kernel drops what 10.0.1.15 answer',
      evidence:
        'forwarding of IPv4 is off on eth1; 90 answers came in by it during the check',
      fix: 'sysctl -w net.ipv4.conf.eth1.forwarding=1',
    },
    {
      what: 'IPv6 that is not forwarded',
      broken: IPV6(
        gateway(
          { routing: { ...ROUTER, acceptLocal: false, forwardingIpv6: false } },
          { answers: new Map([[VIP_6, 5]]) },
        ),
      ),
      check: 'way back',
      finding: 'the kernel drops what 10.0.1.15 answer',
      evidence:
        'forwarding of IPv6 is off, also on eth1; 5 answers came in by it during the check',
      fix: 'sysctl -w net.ipv6.conf.all.forwarding=1',
    },
    {
      what: 'a destination that does not answer on the exit',
      broken: gateway({}, {}, {}),
      check: 'answers',
      finding: 'the destination 10.0.1.15 does not answer',
      evidence: 'the kernel asked for its MAC on eth1, and nobody answered',
      fix: `start 10.0.1.15, or give it weight 0 with ${FILL}`,
    },
  ])('$what', ({ what, broken, check, severity, finding, evidence, fix }) => {
    const one = what.startsWith('a destination') ? silent(broken) : broken;
    expect(examine(one).findings).toEqual([
      { check, severity: severity ?? 'finding', finding, evidence, fix },
    ]);
  });
});

function silent(one: Facts): Facts {
  const own = one.balancer ?? balancer();
  const neighbour = { mac: undefined, answers: 'no' } as const;
  const destinations = own.destinations.map((each) => ({ ...each, neighbour }));
  return { ...one, balancer: { ...own, destinations } };
}

describe('says what it could not see', () => {
  test.each([
    {
      what: 'the other end of a veth, while nothing is sent',
      broken: gateway(UNSEEN_PEER, { balanced: 0, sent: 0 }),
      check: 'exit veth',
      text: 'whether eth1 can send: its other end is in a namespace that cannot be seen from here, and nothing was sent',
    },
    {
      what: 'GRO at the other end',
      broken: gateway({ ...UNSEEN_PEER, peer: PEER, gro: new Unseen('no ethtool') }),
      check: 'exit veth',
      text: 'whether eth0, the other end of eth1, has GRO: no ethtool',
    },
    {
      what: 'counters of drops',
      broken: gateway({}, { unseen: new Unseen('no ethtool') }),
      check: 'exit drops',
      text: 'whether eth1 drops what XDP sends: no ethtool',
    },
  ])('$what', ({ broken, check, text }) => {
    const { findings, unseen } = examine(broken);
    expect(findings).toEqual([]);
    expect(unseen).toEqual([{ check, text }]);
  });
});

test('where packets are too big for an exit, its MTU is the one to raise', () => {
  const narrow = { mac: mac(OUT_MAC), vlan: 0, ifindex: 3, mtu: 1400 };
  const one = gateway({ entry: narrow, device: eth1({ mtu: 1400 }) });
  const own = one.balancer ?? balancer();
  const entries = [...own.tables.destinations].map(
    ([id, entry]) => [id, { ...entry, largestPacket: 1400 }] as const,
  );
  const { findings } = examine({
    ...one,
    balancer: { ...own, tables: { ...own.tables, destinations: new Map(entries) } },
    traffic: traffic({ balanced: 10, 'too big': 3 }, { exits: new Map([[1, GOING]]) }),
  });
  expect(findings).toEqual([
    expect.objectContaining({
      check: 'mtu',
      finding: 'the MTU of eth1 is too small for the packets that come',
      fix: expect.stringContaining('ip link set dev eth1 mtu 1500 && l4lb-map'),
    }),
  ]);
});

test('where no device towards destinations works, nothing is said of routers', () => {
  const one = gateway({ isLost: true });
  const own = one.balancer ?? balancer();
  const destinations = own.destinations.map((each) => ({
    ...each,
    device: undefined,
    hop: undefined,
    neighbour: undefined,
  }));
  const { well } = examine({ ...one, balancer: { ...own, destinations } });
  expect(well.map(({ check }) => check)).not.toContain('link');
  expect(well.map(({ check }) => check)).not.toContain('answers');
});

test('packets are counted by where they come from, with tags and in both families', () => {
  const ethernet = '020000000001020000000002';
  const ipv4 = '0800450000140000000040110000c000020a0a000002';
  const ipv6 = `86dd6000000000001140${ip(VIP_6).toString('hex')}${'00'.repeat(16)}`;
  const frames = [
    ethernet + ipv4,
    `${ethernet}81000014${ipv4}`,
    ethernet + ipv6,
    `${ethernet}0806`,
  ].map((text) => Buffer.from(text, 'hex'));
  expect(Object.fromEntries(countSources(frames))).toEqual({ [VIP]: 2, [VIP_6]: 1 });
});
