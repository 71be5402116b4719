// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Single packets through both builds: what comes in, its verdict, what goes out. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Build } from '../../src/abi/maps.js';
import { VERDICTS } from '../../src/abi/verdicts.js';
import type { VerdictName } from '../../src/abi/verdicts.js';
import {
  DONT_FRAGMENT,
  ICMP,
  IPIP,
  MORE_FRAGMENTS,
  TCP,
  UDP,
  checksum,
  ethernet,
  ip,
  ipv4,
  tcp,
  udp,
  u16,
} from '../frames.js';
import type { Ipv4 } from '../frames.js';
import type { Filled } from '../full-nat-talk.js';
import { FULL_NAT, expectNoMappedClient, talks } from '../full-nat-talk.js';
import { MACS, NAT, natRows, noAnswer } from '../nat-packets.js';
import type { Fill, Outcome } from './program.js';
import { Program } from './program.js';

const client = { address: '192.0.2.7', mac: '02:00:00:00:00:01' };
const balancer = { address: '10.0.0.4', mac: '02:00:00:00:00:04' };
const destination = { address: '10.0.1.15', mac: '02:00:0a:00:01:0f' };
const stranger = { address: '10.0.0.9', mac: '02:00:00:00:00:09' };

const toBalancer = { to: balancer.mac, from: client.mac };
const fromClient = { from: client.address, to: balancer.address };
const everything: Fill = {
  destinations: { [destination.address]: destination.mac },
  source: balancer.address,
  mac: balancer.mac,
};

function udpFrame(fields: Partial<Ipv4> = {}, ports = { from: 4242, to: 80 }): Buffer {
  return ethernet(
    toBalancer,
    ipv4({ ...fromClient, protocol: UDP, ...fields }, udp(ports)),
  );
}

function tcpFrame(fields: Partial<Ipv4> = {}, ports = { from: 4242, to: 80 }): Buffer {
  return ethernet(
    toBalancer,
    ipv4({ ...fromClient, protocol: TCP, ...fields }, tcp(ports)),
  );
}

/** The packet that the destination must receive. */
function encapsulated(inner: Buffer, tos = 0, padding = 0): Buffer {
  const outer = {
    from: balancer.address,
    to: destination.address,
    protocol: IPIP,
    tos,
    fragment: DONT_FRAGMENT,
  };
  return ethernet(
    { to: destination.mac, from: balancer.mac },
    ipv4(outer, inner),
    padding,
  );
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** Programs whose tables are empty, which tests use one after the other. */
const shared = new Map<Build, Program>();
afterAll(() => {
  for (const program of shared.values()) program.close();
});

/** Runs a test that needs tables of its own. */
async function withProgram<T>(
  build: Build,
  work: (program: Program) => Promise<T>,
): Promise<T> {
  const program = shared.get(build) ?? (await Program.load(build));
  shared.set(build, program);
  try {
    return await work(program);
  } finally {
    await program.empty();
  }
}

function actionOf(verdict: VerdictName): string | undefined {
  return VERDICTS.find(({ name }) => name === verdict)?.action;
}

/**
 * Expects that a packet passes or is dropped unchanged, and is counted with its length.
 */
function expectUntouched(outcome: Outcome, frame: Buffer, verdict: VerdictName): void {
  expect(outcome).toEqual({
    action: actionOf(verdict),
    verdict,
    bytes: frame.length,
    frame,
  });
}

function expectBalanced(outcome: Outcome, frame: Buffer): void {
  expect(outcome).toEqual({
    action: 'TX',
    verdict: 'balanced',
    bytes: frame.length,
    frame,
  });
}

describe.each(['IPv4', 'IPv6'] as const)('nat, %s', (family) => {
  const nat = NAT[family];
  let program: Program;
  beforeAll(async () => {
    program = await Program.load('host');
    const { vip, destination: to } = nat;
    await program.fill({
      ...{ ...everything, mac: MACS.balancer, source: NAT.IPv4.router },
      ...{ destinations: {}, vips: [`${bracketed(vip.address)}:${vip.port}`] },
    });
    await program.makeNat(vip, to, MACS.destination);
  });
  afterAll(() => program.close());

  test.each(natRows(nat))('$verdict: $what', async ({ verdict, comes, goes }) => {
    expect(await program.send(comes)).toEqual({
      action: actionOf(verdict),
      verdict,
      bytes: comes.length,
      frame: goes,
    });
  });

  test('not ours: from another port of a destination', async () => {
    const frame = noAnswer(nat);
    expectUntouched(await program.send(frame), frame, 'not ours');
  });
});

describe.each(['IPv4', 'IPv6'] as const)('full-nat, %s', (family) => {
  const nat = FULL_NAT[family];
  const { vip, pool, destinations } = nat;
  let program: Program;
  beforeAll(async () => {
    program = await Program.load('host');
    await program.fill({
      ...{ ...everything, mac: MACS.balancer, source: NAT.IPv4.router },
      destinations: {},
      vips: ['tcp', 'udp'].map((by) => `${bracketed(vip.address)}:${vip.port}/${by}`),
    });
  });
  afterAll(() => program.close());

  const balancer = {
    send: (frame: Buffer): Promise<Outcome> => program.send(frame),
    fill: ({ current, weights, forgotten }: Filled): Promise<void> =>
      program.makeFullNat(
        destinations.map((end, index) => ({
          ...{ ...end, weight: weights[index] ?? 1 },
          isForgotten: forgotten === index + 1,
        })),
        { pool, current, mac: MACS.destination },
      ),
  };
  test.each(talks(nat))('$what', ({ run }) => run(balancer));

  if (family === 'IPv6') {
    test('an answer to a client with an IPv4 address in IPv6 is left as it is', () =>
      expectNoMappedClient(balancer));
  }
});

describe.each<Build>(['portable', 'host'])('the %s build', (build) => {
  let program: Program;

  describe('with one destination for everything', () => {
    beforeAll(async () => {
      program = await Program.load(build);
      await program.fill(everything);
    });
    afterAll(() => program.close());

    const options = Buffer.from('0102030401020304', 'hex');
    test.each<[string, Buffer, number]>([
      ['UDP', ipv4({ ...fromClient, protocol: UDP }, udp({ from: 4242, to: 80 })), 0],
      ['TCP', ipv4({ ...fromClient, protocol: TCP }, tcp({ from: 4242, to: 80 })), 0],
      [
        'TCP without flags to port 0, as hping3 sends it',
        ipv4({ ...fromClient, protocol: TCP }, tcp({ from: 4242, to: 0 }, 0)),
        0,
      ],
      [
        'TCP to another address of the network',
        ipv4(
          { from: client.address, to: '198.51.100.1', protocol: TCP },
          tcp({ from: 1, to: 2 }),
        ),
        0,
      ],
      [
        'UDP with header options',
        ipv4({ ...fromClient, protocol: UDP, options }, udp({ from: 4242, to: 80 })),
        0,
      ],
      [
        'TCP with the longest header options',
        ipv4(
          { ...fromClient, protocol: TCP, options: Buffer.alloc(40, 1) },
          tcp({ from: 1, to: 2 }),
        ),
        0,
      ],
      [
        'UDP with DSCP and ECN',
        ipv4({ ...fromClient, protocol: UDP, tos: 0xb9 }, udp({ from: 4242, to: 80 })),
        0xb9,
      ],
      [
        'the largest packet that fits the MTU',
        ipv4(
          { ...fromClient, protocol: UDP },
          udp({ from: 4242, to: 80 }, Buffer.alloc(1452, 7)),
        ),
        0,
      ],
      [
        'a packet that must not be fragmented',
        ipv4(
          { ...fromClient, protocol: UDP, fragment: DONT_FRAGMENT },
          udp({ from: 4, to: 8 }),
        ),
        0,
      ],
    ])('sends %s to the destination', async (_, inner, tos) => {
      const outcome = await program.send(ethernet(toBalancer, inner));
      expectBalanced(outcome, encapsulated(inner, tos));
    });

    test('keeps padding behind the packet and out of its length', async () => {
      const inner = ipv4({ ...fromClient, protocol: UDP }, udp({ from: 4242, to: 80 }));
      const outcome = await program.send(ethernet(toBalancer, inner, 18));
      expectBalanced(outcome, encapsulated(inner, 0, 18));
    });

    const tunnel = { ...fromClient, protocol: IPIP };
    const group = { to: '01:00:5e:00:00:01', from: client.mac };
    const broadcast = { to: 'ff:ff:ff:ff:ff:ff', from: client.mac };
    const someUdp = ipv4({ ...fromClient, protocol: UDP }, udp({ from: 4242, to: 80 }));
    test.each<[VerdictName, string, Buffer]>([
      ['not ip', 'ARP', ethernet({ ...broadcast, type: 0x0806 }, Buffer.alloc(28))],
      ['not ip', 'MPLS', ethernet({ ...toBalancer, type: 0x8847 }, Buffer.alloc(60))],
      [
        'not ip',
        'a VLAN tag',
        ethernet({ ...toBalancer, type: 0x8100 }, Buffer.alloc(46)),
      ],
      [
        'not ip',
        'nothing but an Ethernet header',
        ethernet({ ...toBalancer, type: 0 }, u16(0)),
      ],
      [
        'not tcp or udp',
        'a ping',
        ethernet(toBalancer, ipv4({ ...fromClient, protocol: ICMP }, Buffer.alloc(8, 8))),
      ],
      [
        'not tcp or udp',
        'a packet in a packet',
        ethernet(toBalancer, ipv4(tunnel, someUdp)),
      ],
      [
        'not tcp or udp',
        'a fragment of a ping',
        ethernet(
          toBalancer,
          ipv4(
            { ...fromClient, protocol: ICMP, fragment: MORE_FRAGMENTS },
            Buffer.alloc(8),
          ),
        ),
      ],
      ['not for us', 'multicast', ethernet(group, someUdp)],
      ['not for us', 'broadcast', ethernet(broadcast, someUdp)],
      [
        'not for us',
        "another device's MAC",
        ethernet({ to: stranger.mac, from: client.mac }, someUdp),
      ],
      [
        'not for us',
        "another device's MAC, in its last byte",
        ethernet({ to: '02:00:00:00:00:05', from: client.mac }, someUdp),
      ],
      [
        'not for us',
        'a fragment to another device',
        ethernet(
          { to: stranger.mac, from: client.mac },
          ipv4({ ...fromClient, protocol: UDP, fragment: 100 }, Buffer.alloc(16)),
        ),
      ],
      ['ssh kept', 'ssh to the host', tcpFrame({}, { from: 4242, to: 22 })],
      ['dhcp kept', 'an answer from DHCP', udpFrame({}, { from: 67, to: 68 })],
      ['fragment', 'a first fragment', udpFrame({ fragment: MORE_FRAGMENTS })],
      ['fragment', 'a last fragment', udpFrame({ fragment: 185 })],
      ['fragment', 'a TCP fragment', tcpFrame({ fragment: MORE_FRAGMENTS | 1 })],
      [
        'too big',
        'one byte more than fits the MTU',
        ethernet(
          toBalancer,
          ipv4(
            { ...fromClient, protocol: UDP },
            udp({ from: 4242, to: 80 }, Buffer.alloc(1453)),
          ),
        ),
      ],
    ])('%s: %s', async (verdict, _, frame) => {
      expectUntouched(await program.send(frame), frame, verdict);
    });

    test.each<[string, Buffer]>([
      ['version 6 in an IPv4 frame', udpFrame({ version: 6 })],
      ['version 0', udpFrame({ version: 0 })],
      ['a header of 16 bytes', udpFrame({ headerWords: 4 })],
      ['a header of no bytes', udpFrame({ headerWords: 0 })],
      ['a header longer than the packet', udpFrame({ headerWords: 15 })],
      ['a length of one byte more than there is', udpFrame({ length: 29 })],
      ['a length of 65,535', udpFrame({ length: 65535 })],
      ['a length of 0', udpFrame({ length: 0 })],
      ['a length that ends in the UDP header', udpFrame({ length: 27 })],
      ['a length that ends in the TCP header', tcpFrame({ length: 39 })],
      ['a fragment without content', udpFrame({ fragment: MORE_FRAGMENTS, length: 20 })],
      ['a fragment that claims too much', udpFrame({ fragment: 1, length: 100 })],
    ])('malformed: %s', async (_, frame) => {
      expectUntouched(await program.send(frame), frame, 'malformed');
    });

    test.each(['UDP', 'TCP'])('malformed: %s cut off at each byte', async (kind) => {
      const whole = kind === 'UDP' ? udpFrame() : tcpFrame();
      const frames = Array.from({ length: whole.length - 15 }, (_, cut) =>
        whole.subarray(0, 15 + cut),
      );
      const outcomes = await program.sendAll(frames);
      outcomes.forEach((outcome, number) => {
        expectUntouched(outcome, frames[number] ?? whole, 'malformed');
      });
    });

    test('no room: the head of the frame cannot grow', async () => {
      // The context only gives `data`: that many bytes lie before the frame.
      const context = Buffer.alloc(24);
      context.writeUInt32LE(0, 0);
      const frame = udpFrame();
      const cramped = Buffer.concat([Buffer.alloc(200), frame]);
      context.writeUInt32LE(200, 0);
      context.writeUInt32LE(cramped.length, 4);
      const outcome = await program.send(cramped, context);
      expect(outcome).toMatchObject({
        action: 'DROP',
        verdict: 'no room',
        bytes: frame.length,
      });
    });
  });

  describe('the outer checksum', () => {
    test('is right where one fold is not enough: 10.0.0.1 to 10.1.154.254, 1,255 bytes', () =>
      withProgram(build, async (own) => {
        await own.fill({
          destinations: { '10.1.154.254': destination.mac },
          source: '10.0.0.1',
          mac: balancer.mac,
        });
        const inner = ipv4(
          { ...fromClient, protocol: UDP },
          udp({ from: 4242, to: 80 }, Buffer.alloc(1255 - 28)),
        );
        expect(inner.length).toBe(1255);
        const { frame } = await own.send(ethernet(toBalancer, inner));
        const outer = frame.subarray(14, 34);
        expect(outer.subarray(16)).toEqual(ip('10.1.154.254'));
        expect(checksum(outer)).toBe(0);
      }));

    test('is right for many lengths and every TOS', () =>
      withProgram(build, async (own) => {
        await own.fill(everything);
        const frames = Array.from({ length: 256 }, (_, number) =>
          ethernet(
            toBalancer,
            ipv4(
              { ...fromClient, protocol: UDP, tos: number },
              udp({ from: number, to: 80 }, Buffer.alloc((number * 491) % 1450)),
            ),
          ),
        );
        const { ran, verdicts } = await own.runAll(frames);
        expect(verdicts).toEqual({ balanced: 256 });
        for (const { frame } of ran) expect(checksum(frame.subarray(14, 34))).toBe(0);
      }));
  });

  describe('with services on addresses and ports', () => {
    const web = '203.0.113.10';
    const mail = '203.0.113.25';
    beforeAll(async () => {
      program = await Program.load(build);
      await program.fill({
        ...everything,
        vips: [`${web}:80/tcp`, `${web}:443`, `${mail}/tcp`],
        sessionPort: 2222,
      });
    });
    afterAll(() => program.close());

    const to = (address: string, protocol: number, port: number): Buffer =>
      protocol === TCP
        ? tcpFrame({ to: address }, { from: 4242, to: port })
        : udpFrame({ to: address }, { from: 4242, to: port });

    test.each<[string, number, number]>([
      [web, TCP, 80],
      [web, TCP, 443],
      [web, UDP, 443],
      [mail, TCP, 25],
      [mail, TCP, 0],
      [mail, TCP, 65535],
    ])('balances %s, protocol %i, port %i', async (address, protocol, port) => {
      expect((await program.send(to(address, protocol, port))).verdict).toBe('balanced');
    });

    test.each<[VerdictName, string, Buffer]>([
      ['not ours', 'another protocol', to(web, UDP, 80)],
      ['not ours', 'another port', to(web, TCP, 81)],
      ['not ours', 'port 0', to(web, TCP, 0)],
      ['not ours', 'another address', to('203.0.113.11', TCP, 80)],
      ['not ours', 'no UDP on an address for TCP', to(mail, UDP, 25)],
      ['not ours', 'ssh to an address with ports', to(web, TCP, 22)],
      ['ssh kept', 'ssh to an address with all ports', to(mail, TCP, 22)],
      ['ssh kept', "the session's port", to(mail, TCP, 2222)],
      [
        'not ours',
        'a fragment to another address',
        udpFrame({ to: '203.0.113.11', fragment: 100 }),
      ],
      [
        'not ours',
        'a fragment of another protocol',
        udpFrame({ to: mail, fragment: 100 }),
      ],
      [
        'fragment',
        'a fragment to an address with ports',
        tcpFrame({ to: web, fragment: 100 }),
      ],
      [
        'fragment',
        'a fragment to an address with all ports',
        tcpFrame({ to: mail, fragment: 9 }),
      ],
      ['not ours', 'a lying length to another address', udpFrame({ length: 100 })],
      ['malformed', 'a lying length to an address', udpFrame({ to: web, length: 100 })],
      ['not ours', 'no address at all', udpFrame({ to: web }).subarray(0, 30)],
    ])('%s: %s', async (verdict, _, frame) => {
      expectUntouched(await program.send(frame), frame, verdict);
    });
  });

  describe('ssh', () => {
    test('is taken where the operator says so, and DHCP is not', () =>
      withProgram(build, async (own) => {
        await own.fill({ ...everything, takeSsh: true, sessionPort: 2222 });
        const verdictOf = async (frame: Buffer): Promise<VerdictName> =>
          (await own.send(frame)).verdict;
        expect(await verdictOf(tcpFrame({}, { from: 1, to: 22 }))).toBe('balanced');
        expect(await verdictOf(tcpFrame({}, { from: 1, to: 2222 }))).toBe('balanced');
        expect(await verdictOf(udpFrame({}, { from: 67, to: 68 }))).toBe('dhcp kept');
      }));

    test('is taken where a service names its port', () =>
      withProgram(build, async (own) => {
        await own.fill({ ...everything, vips: [`${balancer.address}:22/tcp`] });
        const outcome = await own.send(tcpFrame({}, { from: 1, to: 22 }));
        expect(outcome.verdict).toBe('balanced');
      }));
  });

  test('not ours: everything, while nobody has filled the tables', async () => {
    const own = await Program.load(build);
    for (const frame of [udpFrame(), tcpFrame(), udpFrame({ fragment: 1 })]) {
      expectUntouched(await own.send(frame), frame, 'not ours');
    }
    own.close();
  });

  test('empty slot: everything, while a service has no destination', () =>
    withProgram(build, async (own) => {
      await own.fill({ ...everything, destinations: {} });
      const frame = udpFrame();
      expectUntouched(await own.send(frame), frame, 'empty slot');
    }));

  test('local server: what a server on this host gets, untouched', () =>
    withProgram(build, async (own) => {
      const destinations = { 'local:127.0.0.23:223': '' };
      const filled = own.fill({ ...everything, destinations, vips: ['10.0.0.4:80/tcp'] });
      if (build === 'portable') {
        await expect(filled).rejects.toThrow('this program cannot pass packets to it');
        return;
      }
      await filled;
      const frame = tcpFrame();
      expectUntouched(await own.send(frame), frame, 'local server');
    }));

  test('spreads sources over all destinations, and keeps each flow on one', () =>
    withProgram(build, async (own) => {
      const addresses = Array.from({ length: 16 }, (_, number) => `10.0.2.${number + 1}`);
      await own.fill({
        ...everything,
        destinations: Object.fromEntries(addresses.map((to) => [to, destination.mac])),
      });
      const frames = Array.from({ length: 400 }, (_, number) =>
        udpFrame(
          { from: `192.0.2.${number % 200}` },
          { from: 1000 + (number % 200), to: 80 },
        ),
      );
      const { ran, verdicts } = await own.runAll(frames);
      expect(verdicts).toEqual({ balanced: 400 });
      const chosen = ran.map(({ frame }) => [...frame.subarray(30, 34)].join('.'));
      expect(new Set(chosen)).toEqual(new Set(addresses));
      expect(chosen.slice(0, 200)).toEqual(chosen.slice(200));
    }));
});
