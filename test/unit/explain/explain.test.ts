// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { Fault } from '../../../src/text/fault.js';
import { buildFrame } from '../../../src/wire/frame.js';
import { differencesOf } from '../../../src/explain/ask.js';
import { headersOf } from '../../../src/explain/headers.js';
import { framesOfPcap } from '../../../src/explain/pcap.js';
import {
  parseEndpoint,
  parseTarget,
  parseTcpFlags,
} from '../../../src/explain/question.js';
import {
  ICMP,
  TCP,
  UDP,
  checksum,
  ethernet,
  icmp,
  ip,
  ipv4,
  ipv6,
  mac,
  packet,
  u16,
  udp,
} from '../../frames.js';
import { parseAddress } from '../../../src/wire/address.js';

const way = { to: '02:00:00:00:00:04', from: '02:00:00:00:00:01' };

describe('words of a question', () => {
  test.each([
    ['192.0.2.7:4242', 'c0000207', 4242],
    ['[2001:db8::7]:53', '20010db8000000000000000000000007', 53],
    ['10.0.0.4:0', '0a000004', 0],
  ])('%s is an address and a port', (text, address, port) => {
    const endpoint = parseEndpoint(text);
    expect(endpoint.address.toString('hex').endsWith(address)).toBe(true);
    expect(endpoint.port).toBe(port);
  });

  test.each([
    '192.0.2.7',
    '192.0.2.7:',
    '192.0.2.7:65536',
    '2001:db8::7:53',
    '[1.2.3.4]:5',
    'x:1',
  ])('%s is none', (text) => {
    expect(() => parseEndpoint(text)).toThrow(Fault);
  });

  test('a target is TCP unless it says otherwise', () => {
    expect(parseTarget('10.0.0.4:80')).toMatchObject({ port: 80, protocol: TCP });
    expect(parseTarget('10.0.0.4:80/UDP')).toMatchObject({ port: 80, protocol: UDP });
    expect(() => parseTarget('10.0.0.4:80/icmp')).toThrow('does not end in /tcp or /udp');
  });

  test.each([
    ['SYN', 0x02],
    ['syn,ack', 0x12],
    ['none', 0],
  ])('the flags %s', (text, flags) => {
    expect(parseTcpFlags(text)).toBe(flags);
  });
  test('a flag that is none', () => {
    expect(() => parseTcpFlags('SYM')).toThrow(Fault);
  });
});

describe('the frame of a question', () => {
  const endpoint = (text: string, port: number): { address: Buffer; port: number } => ({
    address: parseAddress(text) as Buffer,
    port,
  });
  const question = {
    tcpFlags: 2,
    length: 0,
    vlans: [],
    mac: mac(way.to),
  };

  test('UDP over IPv4 is as long as asked for, and its sums are right', () => {
    const frame = buildFrame({
      ...question,
      from: endpoint('192.0.2.7', 4242),
      to: endpoint('203.0.113.10', 53),
      protocol: UDP,
      length: 101,
    });
    expect(frame.length).toBe(14 + 101);
    expect(checksum(frame.subarray(14, 34))).toBe(0);
    const pseudo = Buffer.concat([frame.subarray(26, 34), u16(UDP), u16(81)]);
    expect(checksum(Buffer.concat([pseudo, frame.subarray(34), Buffer.alloc(1)]))).toBe(
      0,
    );
  });

  test('TCP over IPv6 behind a tag', () => {
    const frame = buildFrame({
      ...question,
      from: endpoint('2001:db8::7', 4242),
      to: endpoint('2001:db8::10', 80),
      protocol: TCP,
      vlans: [7],
    });
    const names = headersOf(frame).map(({ name }) => name);
    expect(names).toEqual(['Ethernet', 'VLAN tag', 'IPv6', 'TCP']);
    const pseudo = Buffer.concat([
      ip('2001:db8::7'),
      ip('2001:db8::10'),
      u16(20),
      u16(TCP),
    ]);
    expect(checksum(Buffer.concat([pseudo, frame.subarray(58)]))).toBe(0);
  });
});

describe('headers', () => {
  const between = { from: '192.0.2.7', to: '203.0.113.10' };
  const answer = packet(
    { from: between.to, to: between.from, protocol: UDP },
    udp({ from: 80, to: 1 }),
  );
  const message = icmp(3, 4, Buffer.alloc(4), answer);
  const outer = { from: '10.0.0.4', to: '10.0.1.15', protocol: 4 };
  const inner = ipv6(
    { from: '2001:db8::7', to: '2001:db8::10', next: UDP },
    udp({ from: 1, to: 2 }),
  );

  test.each<[string, Buffer, string[]]>([
    [
      'ARP',
      ethernet({ ...way, type: 0x0806 }, Buffer.alloc(28)),
      ['Ethernet', 'the rest'],
    ],
    [
      'an ICMP error with its quote',
      ethernet(way, ipv4({ ...between, protocol: ICMP }, message)),
      ['Ethernet', 'IPv4', 'ICMP', 'IPv4, quoted', 'UDP, quoted'],
    ],
    [
      'IPv6 in IPv4',
      ethernet(way, ipv4({ ...outer, protocol: 41 }, inner)),
      ['Ethernet', 'IPv4', 'IPv6', 'UDP'],
    ],
    [
      'a header cut short',
      ethernet(way, inner.subarray(0, 30)),
      ['Ethernet', 'the rest'],
    ],
    ['nothing', Buffer.alloc(3), ['the rest']],
  ])('of %s', (_, frame, names) => {
    const headers = headersOf(frame);
    expect(headers.map(({ name }) => name)).toEqual(names);
    // Every byte stands in one field, in order.
    const bytes = headers.flatMap(({ fields }) => fields.map((field) => field.bytes));
    expect(Buffer.concat(bytes)).toEqual(frame);
  });

  test('a wrong checksum is told', () => {
    const right = ethernet(
      way,
      ipv4({ ...outer, protocol: 17 }, udp({ from: 1, to: 2 })),
    );
    const meaning = (frame: Buffer): string | undefined =>
      headersOf(frame)[1]?.fields.find(({ name }) => name === 'checksum')?.meaning;
    expect(meaning(right)).toBe('right');
    right.writeUInt8(63, 22);
    expect(meaning(right)).toBe('wrong');
  });
});

describe('captures', () => {
  const frame = Buffer.from('0123456789abcdef', 'hex');
  const pcap = (captured = frame.length, link = 1): Buffer => {
    const head = Buffer.alloc(24);
    head.writeUInt32LE(0xa1b2c3d4, 0);
    head.writeUInt32LE(link, 20);
    const record = Buffer.alloc(16);
    record.writeUInt32LE(captured, 8);
    record.writeUInt32LE(frame.length, 12);
    return Buffer.concat([head, record, frame.subarray(0, captured)]);
  };

  test('give their frames', () => {
    expect(framesOfPcap(pcap())).toEqual([frame]);
    const swapped = Buffer.from(pcap());
    for (const at of [0, 20, 32, 36]) swapped.subarray(at, at + 4).reverse();
    expect(framesOfPcap(swapped)).toEqual([frame]);
  });

  test.each<[string, Buffer, string]>([
    ['a text', Buffer.alloc(100, 'x'), 'not a capture file'],
    ['a short file', Buffer.alloc(9), 'too short'],
    ['pcapng', Buffer.from('0a0d0d0a'.padEnd(60, '0'), 'hex'), 'editcap -F pcap'],
    ['no Ethernet', pcap(8, 113), 'not Ethernet'],
    ['a cut packet', pcap(4), 'was cut to 4 of 8 bytes'],
    ['a file that ends early', pcap().subarray(0, 45), 'ends in the middle of packet 1'],
    ['an empty capture', pcap().subarray(0, 24), 'no packet in it'],
  ])('refuse %s', (_, file, reason) => {
    expect(() => framesOfPcap(file)).toThrow(reason);
  });
});

describe('a program and a model that disagree', () => {
  const frame = Buffer.from([1, 2, 3]);
  const one = { verdict: 'balanced' as const, action: 'TX' as const, frame, id: 3 };
  test.each<[string, Partial<typeof one>, string[]]>([
    ['on nothing', {}, []],
    ['on the destination', { id: 4 }, ['destination: program 3, model 4']],
    [
      'on a byte',
      { frame: Buffer.from([1, 9, 3]) },
      ['frame: they differ from byte 1 on'],
    ],
    [
      'on the length',
      { frame: Buffer.from([1, 2, 3, 4]) },
      ['bytes of the frame: program 3, model 4'],
    ],
  ])('%s', (_, other, differences) => {
    expect(differencesOf(one, { ...one, ...other })).toEqual(differences);
  });

  test('on the verdict', () => {
    const other = { verdict: 'not ours' as const, action: 'PASS' as const, frame };
    expect(differencesOf(one, other)).toEqual([
      'verdict: program balanced, model not ours',
      'action: program TX, model PASS',
      'destination: program 3, model none',
    ]);
  });
});
