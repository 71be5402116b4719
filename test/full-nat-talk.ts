// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Connections of a full-nat service, packet by packet in both directions. The model and
 * the program are held against them.
 */
import { expect } from '@jest/globals';

import { FIRST_PORT } from '../src/abi/pool.js';
import type { VerdictName } from '../src/abi/verdicts.js';
import { sumsOf } from '../src/model/sums.js';
import {
  TCP,
  UDP,
  checksum,
  ethernet,
  icmp,
  ip,
  packet,
  tcp,
  u16,
  udp,
} from './frames.js';

export interface End {
  address: string;
  port: number;
}

export interface FullNatCase {
  client: End;
  vip: End;
  /** Two, by their ids less one. */
  destinations: readonly [End, End];
  /** The address of its pool. */
  pool: string;
}

export const FULL_NAT: Record<'IPv4' | 'IPv6', FullNatCase> = {
  IPv4: {
    client: { address: '192.0.2.7', port: 4242 },
    vip: { address: '203.0.113.10', port: 80 },
    destinations: [
      { address: '10.0.1.15', port: 8080 },
      { address: '10.0.1.16', port: 0 },
    ],
    pool: '10.0.0.32',
  },
  IPv6: {
    client: { address: '2001:db8:1::7', port: 4242 },
    vip: { address: '2001:db8::10', port: 80 },
    destinations: [
      { address: 'fd00::15', port: 8080 },
      { address: 'fd00::16', port: 0 },
    ],
    pool: 'fd00::20',
  },
};

export const MACS = {
  balancer: '02:00:00:00:00:04',
  sender: '02:00:00:00:00:01',
  destination: '02:00:0a:00:01:0f',
};

/** What stands in the tables: where all slots lead, the weights, and who is forgotten. */
export interface Filled {
  current: 1 | 2;
  weights: readonly [number, number];
  forgotten?: 1;
}

export interface Balancer {
  send: (frame: Buffer) => Promise<{ verdict: VerdictName; frame: Buffer }>;
  fill: (filled: Filled) => Promise<void>;
}

const USUAL: Filled = { current: 1, weights: [1, 1] };
const MOVED: Filled = { current: 2, weights: [1, 1] };
const DRAINED: Filled = { current: 2, weights: [0, 1] };
const FORGOTTEN: Filled = { ...DRAINED, forgotten: 1 };

const FIN = 0x11;
const SYN = 0x02;
const RST = 0x04;
const PUSH = 0x08;
const ACK = 0x10;
const SYN_ACK = 0x12;

interface Segment {
  flags: number;
  sequence?: number;
  acknowledges?: number;
}

function summed(from: string, to: string, protocol: number, segment: Buffer): Buffer {
  const whole = Buffer.concat([
    ...[ip(from), ip(to), u16(protocol), u16(segment.length), segment],
  ]);
  segment.writeUInt16BE(checksum(whole), protocol === TCP ? 16 : 6);
  return segment;
}

function tcpPacket(
  from: End,
  to: End,
  { flags, sequence, acknowledges }: Segment,
): Buffer {
  const head = tcp({ from: from.port, to: to.port }, flags, sequence ?? 0);
  head.writeUInt32BE(acknowledges ?? 0, 8);
  const between = { from: from.address, to: to.address };
  return packet(
    { ...between, protocol: TCP },
    summed(between.from, between.to, TCP, head),
  );
}

function udpPacket(from: End, to: End, hasSum = true): Buffer {
  const between = { from: from.address, to: to.address };
  const datagram = udp({ from: from.port, to: to.port }, Buffer.from('hello'));
  return packet(
    { ...between, protocol: UDP },
    hasSum ? summed(between.from, between.to, UDP, datagram) : datagram,
  );
}

/** "Port unreachable", about a packet. */
function error(from: string, to: string, quoted: Buffer): Buffer {
  return from.includes(':')
    ? packet(
        { from, to, protocol: 58 },
        icmp(1, 4, Buffer.alloc(4), quoted, { from, to }),
      )
    : packet({ from, to, protocol: 1 }, icmp(3, 3, Buffer.alloc(4), quoted));
}

const framed = (content: Buffer): Buffer =>
  ethernet({ to: MACS.balancer, from: MACS.sender }, content);
const onward = (content: Buffer): Buffer =>
  ethernet({ to: MACS.destination, from: MACS.balancer }, content);

/** A connection of the client, and its port once it has one. */
class Talk {
  readonly #balancer: Balancer;
  readonly nat: FullNatCase;
  readonly client: End;
  /** Ours. */
  own: End | undefined;

  constructor(balancer: Balancer, nat: FullNatCase, client: End) {
    this.#balancer = balancer;
    this.nat = nat;
    this.client = client;
  }

  fill(filled: Filled): Promise<void> {
    return this.#balancer.fill(filled);
  }

  send(content: Buffer): Promise<{ verdict: VerdictName; frame: Buffer }> {
    return this.#balancer.send(framed(content));
  }

  /** Where the packets to a destination go. */
  end(id: 1 | 2): End {
    const { destinations, vip } = this.nat;
    const { address, port } = destinations[id - 1] as End;
    return { address, port: port === 0 ? vip.port : port };
  }

  /** Sends what the client sends, and expects it to go to that destination. */
  async goesTo(id: 1 | 2, make: (from: End, to: End) => Buffer): Promise<void> {
    const { verdict, frame } = await this.send(make(this.client, this.nat.vip));
    expect(verdict).toBe('balanced');
    this.own ??= { address: this.nat.pool, port: sourcePort(frame) };
    expect(this.own.port).toBeGreaterThanOrEqual(FIRST_PORT);
    expect(frame).toEqual(onward(make(this.own, this.end(id))));
    expect(sumsOf(frame).filter(({ isRight }) => !isRight)).toEqual([]);
  }

  segment(id: 1 | 2, segment: Segment): Promise<void> {
    return this.goesTo(id, (from, to) => tcpPacket(from, to, segment));
  }

  /** Sends what a destination sends, and expects it to be an answer to the client. */
  async comesFrom(id: 1 | 2, make: (from: End, to: End) => Buffer): Promise<void> {
    const { verdict, frame } = await this.send(make(this.end(id), this.port()));
    expect(verdict).toBe('answer passed');
    expect(frame).toEqual(framed(make(this.nat.vip, this.client)));
    expect(sumsOf(frame).filter(({ isRight }) => !isRight)).toEqual([]);
  }

  answer(id: 1 | 2, segment: Segment): Promise<void> {
    return this.comesFrom(id, (from, to) => tcpPacket(from, to, segment));
  }

  port(): End {
    if (!this.own) throw new Error('the connection has no port yet');
    return this.own;
  }

  /** A handshake with the first destination; the client has acknowledged 1001. */
  async establish(): Promise<void> {
    await this.segment(1, { flags: SYN });
    await this.answer(1, { flags: SYN_ACK, sequence: 1000, acknowledges: 1 });
    await this.segment(1, { flags: ACK, sequence: 1, acknowledges: 1001 });
  }

  async expectUntouched(content: Buffer, verdict: VerdictName): Promise<void> {
    expect(await this.send(content)).toMatchObject({ verdict, frame: framed(content) });
  }
}

function sourcePort(frame: Buffer): number {
  const isIpv6 = frame.readUInt16BE(12) === 0x86dd;
  return frame.readUInt16BE(14 + (isIpv6 ? 40 : 20));
}

const ROWS: [string, (talk: Talk) => Promise<void>][] = [
  [
    'TCP goes to its destination from one port, and comes back',
    async (talk) => {
      await talk.establish();
      await talk.answer(1, { flags: ACK | PUSH, sequence: 1001, acknowledges: 1 });
      await talk.fill(MOVED);
      await talk.segment(1, { flags: ACK | PUSH, sequence: 1, acknowledges: 2001 });
    },
  ],
  [
    'UDP does, with and without a checksum',
    async (talk) => {
      for (const hasSum of [true, false]) {
        const make = (from: End, to: End): Buffer => udpPacket(from, to, hasSum);
        await talk.goesTo(1, make);
        await talk.comesFrom(1, make);
      }
    },
  ],
  [
    'ICMP errors do, with what they quote',
    async (talk) => {
      await talk.goesTo(1, udpPacket);
      await talk.goesTo(1, (from, to) =>
        error(from.address, to.address, udpPacket(to, from)),
      );
      await talk.comesFrom(1, (from, to) =>
        error(from.address, to.address, udpPacket(to, from)),
      );
    },
  ],
  [
    'what begins no connection is dropped',
    async (talk) => {
      const { client, nat } = talk;
      const segment = { flags: ACK, sequence: 1, acknowledges: 1 };
      await talk.expectUntouched(tcpPacket(client, nat.vip, segment), 'no connection');
      const quoted = tcpPacket(nat.vip, client, segment);
      const about = error(client.address, nat.vip.address, quoted);
      await talk.expectUntouched(about, 'no connection');
    },
  ],
  [
    'only its own destination answers, and only to a port that is taken',
    async (talk) => {
      await talk.segment(1, { flags: SYN });
      const segment = { flags: SYN_ACK, sequence: 7 };
      const from = (end: End, to: End): Promise<void> =>
        talk.expectUntouched(tcpPacket(end, to, segment), 'not ours');
      await from(talk.end(2), talk.port());
      await from({ ...talk.end(1), port: 81 }, talk.port());
      await from(talk.end(1), { ...talk.port(), port: talk.port().port ^ 1 });
      await from(talk.end(1), { ...talk.port(), port: talk.port().port - FIRST_PORT });
    },
  ],
  [
    'a forged RST, FIN and SYN do not move a connection whose slot has moved',
    async (talk) => {
      await talk.establish();
      await talk.fill(MOVED);
      await talk.segment(1, { flags: RST, sequence: 77 });
      await talk.segment(1, { flags: SYN, sequence: 77 });
      await talk.segment(1, { flags: FIN, sequence: 77 });
      await talk.segment(1, { flags: SYN, sequence: 77 });
      // Nor does it count as one that may go elsewhere.
      await talk.fill(DRAINED);
      await talk.segment(1, { flags: SYN, sequence: 77 });
      await talk.answer(1, { flags: ACK, sequence: 1001, acknowledges: 1 });
    },
  ],
  [
    'a connection that both ends have closed begins anew where its slot leads',
    async (talk) => {
      await talk.establish();
      await talk.segment(1, { flags: FIN, sequence: 1, acknowledges: 1001 });
      await talk.answer(1, { flags: FIN, sequence: 1001, acknowledges: 2 });
      await talk.fill(MOVED);
      await talk.segment(1, { flags: ACK, sequence: 2, acknowledges: 1002 });
      await talk.segment(2, { flags: SYN, sequence: 9 });
    },
  ],
  [
    'a number without the flag ACK establishes nothing',
    async (talk) => {
      await talk.segment(1, { flags: SYN });
      await talk.answer(1, { flags: SYN_ACK, sequence: 1000 });
      await talk.segment(1, { flags: PUSH, sequence: 1, acknowledges: 1001 });
      await talk.segment(1, { flags: ACK, sequence: 1, acknowledges: 1001 + (1 << 14) });
      await talk.segment(1, { flags: ACK, sequence: 1, acknowledges: 1000 });
      await talk.fill(DRAINED);
      await talk.segment(2, { flags: SYN });
    },
  ],
  [
    'an established connection stays on a drained destination',
    async (talk) => {
      await talk.establish();
      await talk.fill(DRAINED);
      await talk.segment(1, { flags: SYN });
      await talk.segment(1, { flags: ACK, sequence: 1, acknowledges: 1001 });
    },
  ],
  [
    'a server that sends its SYN again has no established connection',
    async (talk) => {
      await talk.establish();
      await talk.answer(1, { flags: SYN_ACK, sequence: 1000 });
      await talk.fill(DRAINED);
      await talk.segment(2, { flags: SYN });
    },
  ],
  [
    'a forgotten destination has no connections, and a SYN begins one elsewhere',
    async (talk) => {
      const { client, nat } = talk;
      const segment = { flags: ACK, sequence: 1, acknowledges: 1001 };
      const about = tcpPacket(nat.vip, client, { flags: ACK, sequence: 1001 });
      const quoting = error(client.address, nat.vip.address, about);
      await talk.establish();
      await talk.fill(FORGOTTEN);
      for (const flags of [ACK, FIN, RST, SYN_ACK]) {
        const content = tcpPacket(client, nat.vip, { ...segment, flags });
        await talk.expectUntouched(content, 'no connection');
      }
      await talk.expectUntouched(quoting, 'no connection');
      await talk.segment(2, { flags: SYN });
      await talk.answer(2, { flags: SYN_ACK, sequence: 1000, acknowledges: 1 });
      await talk.segment(2, segment);
      await talk.fill(USUAL);
      await talk.segment(2, segment);
    },
  ],
  [
    'UDP leaves a forgotten destination, and is not dropped',
    async (talk) => {
      await talk.goesTo(1, udpPacket);
      await talk.comesFrom(1, udpPacket);
      await talk.fill(FORGOTTEN);
      await talk.goesTo(2, udpPacket);
      await talk.comesFrom(2, udpPacket);
    },
  ],
];

/** Rows for test.each: each has a client's port of its own. */
export function talks(
  nat: FullNatCase,
): { what: string; run: (balancer: Balancer) => Promise<void> }[] {
  return ROWS.map(([what, talk], index) => ({
    what,
    run: async (balancer) => {
      await balancer.fill(USUAL);
      const client = { ...nat.client, port: nat.client.port + index };
      await talk(new Talk(balancer, nat, client));
    },
  }));
}

/** From a client in a form of IPv6 that an answer cannot be written in. */
export async function expectNoMappedClient(balancer: Balancer): Promise<void> {
  await balancer.fill(USUAL);
  const mapped = Buffer.concat([Buffer.alloc(10), Buffer.from('ffffc0000207', 'hex')]);
  const talk = new Talk(balancer, FULL_NAT.IPv6, FULL_NAT.IPv6.client);
  const request = framed(udpPacket(talk.client, talk.nat.vip, false));
  mapped.copy(request, 14 + 8);
  const { verdict, frame } = await balancer.send(request);
  expect(verdict).toBe('balanced');
  const own = { address: talk.nat.pool, port: sourcePort(frame) };
  await talk.expectUntouched(udpPacket(talk.end(1), own), 'not ours');
}
