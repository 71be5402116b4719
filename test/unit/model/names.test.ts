// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Packets of hot slots at a destination: taken, or sent on to the sibling named. */
import { describe, expect, test } from '@jest/globals';

import { decap } from '../../../src/model/decap.js';
import type { DecapAnswer } from '../../../src/model/decap.js';
import type { Neighbourhood, Socket } from '../../../src/model/names.js';
import {
  ICMP,
  IPIP,
  TCP,
  UDP,
  ethernet,
  ip,
  ipv4,
  mac,
  packet,
  u16,
} from '../../frames.js';

const WAY = { to: '02:00:0a:00:01:02', from: '02:00:00:00:00:04' };
const CLIENT = '192.0.2.7';
const VIP = '203.0.113.10';
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;
/** This host is 10.0.1.2. The siblings are 10.0.1.1 and 10.0.1.3. */
const ONE = { address: ip('10.0.1.1'), mac: mac('02:00:0a:00:01:01'), pair: 1 };
const THREE = { address: ip('10.0.1.3'), mac: mac('02:00:0a:00:01:03'), pair: 2 };
const SELF = { address: ip('10.0.1.9'), mac: mac('02:00:0a:00:01:02'), pair: 0 };
const NAMES = [{ prefix: ip('10.7.0.0'), length: 16 }];

interface Segment {
  flags?: number;
  sequence?: number;
  acknowledged?: number;
}

function segment({ flags = ACK, sequence = 1000, acknowledged = 1 }: Segment): Buffer {
  const words = Buffer.alloc(8);
  words.writeUInt32BE(sequence, 0);
  words.writeUInt32BE(acknowledged, 4);
  const rest = Buffer.from([0x50, flags, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([u16(40_000), u16(80), words, rest]);
}

function client(fields: Segment, protocol = TCP): Buffer {
  return ipv4({ from: CLIENT, to: VIP, protocol }, segment(fields));
}

function outer(source: string, inner: Buffer, ttl = 64): Buffer {
  return ipv4({ from: source, to: '10.0.1.2', protocol: IPIP, ttl }, inner);
}

function ask(
  source: string,
  inner: Buffer,
  sockets: readonly Socket[] = [],
  ttl = 64,
): DecapAnswer {
  const neighbourhood: Neighbourhood = {
    names: NAMES,
    siblings: [ONE, THREE, SELF],
    sockets,
  };
  const frame = ethernet(WAY, outer(source, inner, ttl));
  return decap(undefined, frame, { ...neighbourhood });
}

const own = (state: Socket['state'], sequence = 0): Socket => ({
  ...{ state, address: ip(VIP), port: 80, sequence },
  ...(state === 'listens' ? {} : { peer: { address: ip(CLIENT), port: 40_000 } }),
});

const takes = (inner: Buffer, sockets: readonly Socket[]): boolean => {
  const { verdict } = ask('10.7.0.1', inner, sockets);
  expect(['taken hot', 'sent on']).toContain(verdict);
  return verdict === 'taken hot';
};

test.each<[string, Buffer, Socket[], boolean]>([
  ['a SYN', client({ flags: SYN }), [], true],
  ['a SYN and ACK', client({ flags: SYN | ACK }), [], false],
  ['an ACK without a socket', client({}), [], false],
  ['an ACK of a connection', client({}), [own('open')], true],
  ['an ACK to a port where somebody listens', client({}), [own('listens', 9)], false],
  ['a valid cookie', client({ acknowledged: 10 }), [own('listens', 9)], true],
  [
    'an RST with the number of a cookie',
    client({ acknowledged: 10, flags: RST | ACK }),
    [own('listens', 9)],
    false,
  ],
  ['the ACK of a SYN-ACK', client({ acknowledged: 10 }), [own('half-open', 9)], true],
  [
    "the ACK of another host's SYN-ACK",
    client({ acknowledged: 11 }),
    [own('half-open', 9)],
    false,
  ],
  [
    'the ACK of the last ISN',
    client({ acknowledged: 0 }),
    [own('half-open', 0xffffffff)],
    true,
  ],
  ['a FIN again', client({ sequence: 900 }), [own('time-wait', 1000)], true],
  ['64 KB ahead', client({ sequence: 65_536 }), [own('time-wait', 0)], true],
  ['more than 64 KB ahead', client({ sequence: 65_537 }), [own('time-wait', 0)], false],
  ['64 KB behind', client({ sequence: 0xffff0000 }), [own('time-wait', 0)], true],
  [
    'more than 64 KB behind',
    client({ sequence: 0xfffeffff }),
    [own('time-wait', 0)],
    false,
  ],
  ['UDP', client({}, UDP), [], true],
  [
    'a fragment',
    ipv4({ from: CLIENT, to: VIP, protocol: TCP, fragment: 1 }, segment({})),
    [],
    true,
  ],
])('%s', (_, inner, sockets, isTaken) => {
  expect(takes(inner, sockets)).toBe(isTaken);
});

describe('an ICMP error', () => {
  const error = (protocol: number): Buffer => {
    const quoted = ipv4(
      { from: VIP, to: CLIENT, protocol },
      Buffer.concat([u16(80), u16(40_000), Buffer.alloc(16)]),
    );
    const message = Buffer.concat([Buffer.from([3, 4, 0, 0, 0, 0, 5, 0]), quoted]);
    return ipv4({ from: '192.0.2.1', to: VIP, protocol: ICMP }, message);
  };

  test.each<[string, Buffer, Socket[], boolean]>([
    ['about a connection of this host', error(TCP), [own('open')], true],
    ['about a connection of another', error(TCP), [], false],
    ['where somebody only listens', error(TCP), [own('listens')], false],
    ['about UDP', error(UDP), [], true],
  ])('%s', (_, inner, sockets, isTaken) => {
    expect(takes(inner, sockets)).toBe(isTaken);
  });
});

describe('names', () => {
  const ack = client({});
  /** Outer source and address of what was sent on, and the MAC it goes to. */
  const way = ({ verdict, frame }: DecapAnswer): string[] => [
    verdict,
    frame.subarray(0, 6).toString('hex'),
    [...frame.subarray(26, 30)].join('.'),
    [...frame.subarray(30, 34)].join('.'),
  ];
  const [MAC_1, MAC_3] = [ONE, THREE].map((one) => one.mac.toString('hex'));

  test.each<[string, string, string[]]>([
    ['one', '10.7.0.1', ['sent on', MAC_1 ?? '', '10.7.2.0', '10.0.1.1']],
    ['two', '10.7.3.1', ['sent on', MAC_1 ?? '', '10.7.0.3', '10.0.1.1']],
    ['itself first', '10.7.3.2', ['sent on', MAC_3 ?? '', '10.7.2.0', '10.0.1.3']],
    ['itself second', '10.7.2.1', ['sent on', MAC_1 ?? '', '10.7.0.2', '10.0.1.1']],
    [
      'itself under another address',
      '10.7.3.9',
      ['sent on', MAC_3 ?? '', '10.7.2.0', '10.0.1.3'],
    ],
  ])('%s', (_, source, expected) => {
    expect(way(ask(source, ack))).toEqual(expected);
  });

  test.each<[string, string, string]>([
    ['a stranger', '10.7.0.77', 'nobody named'],
    ['a stranger before a sibling', '10.7.1.77', 'nobody named'],
    ['itself alone', '10.7.0.2', 'nobody named'],
    ['nobody', '10.7.0.0', 'decapsulated'],
    ['nobody any more', '10.7.1.0', 'decapsulated'],
    ['another prefix', '10.8.0.1', 'decapsulated'],
  ])('%s: the outer header comes off', (_, source, verdict) => {
    const answer = ask(source, ack);
    expect(answer.verdict).toBe(verdict);
    expect(answer.frame).toEqual(ethernet(WAY, ack));
    expect(answer.event).toBeUndefined();
  });

  test('what is sent on is the same but for addresses, hops and checksum', () => {
    const answer = ask('10.7.3.1', ack);
    const on = ipv4({ from: '10.7.0.3', to: '10.0.1.1', protocol: IPIP, ttl: 63 }, ack);
    expect(answer).toEqual({
      verdict: 'sent on',
      action: 'TX',
      frame: ethernet({ to: '02:00:0a:00:01:01', from: WAY.to }, on),
      event: { pair: 1, kind: 'sent' },
    });
  });

  test.each([0, 1])('a TTL of %d does not suffice', (ttl) => {
    const { verdict, action } = ask('10.7.0.1', ack, [], ttl);
    expect({ verdict, action }).toEqual({ verdict: 'hops used up', action: 'DROP' });
  });

  test('a socket is counted under the sibling that sent, or that is named', () => {
    const open = [own('open')];
    expect(ask('10.7.1.0', ack, open)).toMatchObject({
      verdict: 'taken hot',
      event: { pair: 1, kind: 'found' },
    });
    expect(ask('10.7.1.3', ack, open)).toMatchObject({
      verdict: 'taken hot',
      event: { pair: 2, kind: 'named' },
    });
    expect(ask('10.7.77.0', ack, open).event).toBeUndefined();
  });

  test('IPv6 names by the bits behind its prefix', () => {
    const six = { address: ip('fd00::1:2'), mac: mac('02:00:0a:00:01:06'), pair: 3 };
    const sources = { from: 'fd00:7::5:2', to: 'fd00::1:1', protocol: IPIP };
    const frame = ethernet(WAY, packet(sources, ack));
    const answer = decap(undefined, frame, {
      names: [{ prefix: ip('fd00:7::'), length: 96 }],
      siblings: [six],
      sockets: [],
    });
    const on = Buffer.from(frame);
    six.mac.copy(on, 0);
    mac(WAY.to).copy(on, 6);
    on.writeUInt8(63, 21);
    ip('fd00:7::5').copy(on, 22);
    six.address.copy(on, 38);
    expect(answer).toMatchObject({ verdict: 'sent on', frame: on });
  });
});
