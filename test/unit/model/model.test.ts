// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import {
  CELL_BY_PORT,
  CELL_FRAGMENTS,
  CELL_HASH_SOURCE,
  CELL_KEEPS_SSH,
  CELL_USED,
} from '../../../src/abi/cell.js';
import { DEVICE_NO_ECHO } from '../../../src/abi/device.js';
import { evenOut } from '../../../src/wire/hash.js';
import { sumsOf } from '../../../src/model/sums.js';
import type { Tables } from '../../../src/model/types.js';
import {
  BALANCER,
  BALANCER_MAC,
  BALANCER_V6,
  CLIENT,
  CLIENT_MAC,
  CLIENT_V6,
  DESTINATION,
  DESTINATION_MAC,
  DESTINATION_V6,
  ETHERNET,
  SERVICE,
  SERVICE_V6,
  UDP,
  UDP_FRAME,
  UDP_V6,
  ask,
  bytes,
  cell,
  destination,
  state,
  tables,
} from './tables.js';

const V6_CELLS = [6, 17].map((protocol) =>
  cell({ address: bytes(SERVICE_V6), protocol }),
);
const withV6: Partial<Tables> = { cells: [...tables().cells, ...V6_CELLS] };
const toV6 = (fields = {}): Partial<Tables> => ({
  ...withV6,
  destinations: new Map([
    [
      1,
      destination({
        address: bytes(DESTINATION_V6),
        source: bytes(BALANCER_V6),
        largestPacket: 1460,
        ...fields,
      }),
    ],
  ]),
});

describe('the link', () => {
  const byLink = { destinations: new Map([[1, destination({ forward: 'link' })]]) };

  test.each([
    { what: 'IPv4', frame: UDP_FRAME },
    { what: 'IPv6', frame: bytes(`${ETHERNET} 86dd ${UDP_V6}`), more: withV6 },
    { what: 'a tag', frame: bytes(`${ETHERNET} 81002007 0800 ${UDP}`) },
  ])('$what: the MAC addresses change, and nothing else', ({ frame, more }) => {
    const macs = bytes(`${DESTINATION_MAC} ${BALANCER_MAC}`);
    expect(ask(frame, { ...more, ...byLink })).toMatchObject({
      verdict: 'balanced',
      action: 'TX',
      id: 1,
      bytes: frame.length,
      frame: Buffer.concat([macs, frame.subarray(12)]),
    });
  });

  test('takes a packet as long as the MTU, and no longer one', () => {
    const length = UDP_FRAME.length - 14;
    const of = (largestPacket: number): Partial<Tables> => ({
      destinations: new Map([[1, destination({ forward: 'link', largestPacket })]]),
    });
    expect(ask(UDP_FRAME, of(length)).verdict).toBe('balanced');
    expect(ask(UDP_FRAME, of(length - 1)).verdict).toBe('too big');
  });
});

describe('encapsulation', () => {
  test('IPv4 in IPv4', () => {
    const sent = bytes(`${DESTINATION_MAC} ${BALANCER_MAC} 0800
      45000030 00004000 400425b8 ${BALANCER} ${DESTINATION} ${UDP}`);
    expect(ask(UDP_FRAME)).toMatchObject({
      verdict: 'balanced',
      action: 'TX',
      id: 1,
      bytes: 62,
      frame: sent,
    });
  });

  test('the TOS goes out too, with a checksum of its own', () => {
    const inner = UDP.replace('4500', '452e');
    expect(ask(`${ETHERNET} 0800 ${inner}`).frame).toEqual(
      bytes(`${DESTINATION_MAC} ${BALANCER_MAC} 0800
        452e0030 00004000 4004258a ${BALANCER} ${DESTINATION} ${inner}`),
    );
  });

  test('IPv6 in IPv4, with padding behind it', () => {
    const inner = UDP_V6.replace('60000000', '60200000');
    expect(ask(`${ETHERNET} 86dd ${inner} ffff`, withV6).frame).toEqual(
      bytes(`${DESTINATION_MAC} ${BALANCER_MAC} 0800
        45020044 00004000 4029257d ${BALANCER} ${DESTINATION} ${inner} ffff`),
    );
  });

  test('IPv6 in IPv6: the flow label is the low bits of the hash, evened out', () => {
    const answer = ask(`${ETHERNET} 86dd ${UDP_V6}`, toV6());
    const label = (evenOut(answer.reasons.hash ?? 0) & 0xfffff)
      .toString(16)
      .padStart(5, '0');
    expect(answer.frame).toEqual(
      bytes(`${DESTINATION_MAC} ${BALANCER_MAC} 86dd
        600${label} 0030 29 40 ${BALANCER_V6} ${DESTINATION_V6} ${UDP_V6}`),
    );
  });

  test('IPv4 in IPv6, with the TOS as traffic class, and two tags', () => {
    const inner = UDP.replace('4500', '45b8');
    const tags = '88a80064 81000065';
    const answer = ask(`${ETHERNET} ${tags} 0800 ${inner}`, toV6());
    const label = (evenOut(answer.reasons.hash ?? 0) & 0xfffff)
      .toString(16)
      .padStart(5, '0');
    expect(answer.frame).toEqual(
      bytes(`${DESTINATION_MAC} ${BALANCER_MAC} ${tags} 86dd
        6b8${label} 001c 04 40 ${BALANCER_V6} ${DESTINATION_V6} ${inner}`),
    );
  });

  test('the outer source is spread over the bits that the entry leaves', () => {
    const answer = ask(`${ETHERNET} 86dd ${UDP_V6}`, toV6({ spread: 0xff00 }));
    const spread = ((evenOut(answer.reasons.hash ?? 0) >>> 8) & 0xff)
      .toString(16)
      .padStart(2, '0');
    expect(answer.frame.subarray(22, 38)).toEqual(
      bytes(`${BALANCER_V6.slice(0, 28)}${spread}04`),
    );
  });
});

const ipv6 = (next: string, content: string): string => {
  const length = (bytes(content).length & 0xffff).toString(16).padStart(4, '0');
  return `${ETHERNET} 86dd 60000000 ${length} ${next} 40 ${CLIENT_V6} ${SERVICE_V6} ${content}`;
};
const PORTS = '1092 0050 0008 0000';
const options = (next: string): string => `${next}00 000000000000`;

describe('verdicts', () => {
  const ipv4 = (text: string): string => `${ETHERNET} 0800 ${text}`;
  test.each<[string, string, string]>([
    ['not ip', 'ARP', `${ETHERNET} 0806 0001`],
    ['not ip', 'three tags', `${ETHERNET} 81000001 81000001 81000001 0800 ${UDP}`],
    ['not ip', 'a tag cut short', `${ETHERNET} 8100 0001 08`],
    ['balanced', 'two tags', `${ETHERNET} 81000001 88a80001 0800 ${UDP}`],
    ['not ours', 'nothing behind Ethernet', ipv4('')],
    ['not ours', 'version 5', ipv4(UDP.replace('45', '55'))],
    ['not ours', 'a header of four words', ipv4(UDP.replace('45', '44'))],
    ['malformed', 'a length beyond the frame', ipv4(UDP.replace('001c', '001d'))],
    ['malformed', 'a length within UDP', ipv4(UDP.replace('001c', '001b'))],
    ['fragment', 'the first piece', ipv4(UDP.replace('00004000', '00002000'))],
    ['fragment', 'a later piece', ipv4(UDP.replace('00004000', '00000001'))],
    [
      'malformed',
      'an empty piece',
      ipv4(UDP.replace('001c', '0014').replace('00004000', '00002000')),
    ],
    ['not tcp or udp', 'GRE', ipv4(UDP.replace('4011', '402f'))],
    ['not ours', 'another address', ipv4(UDP.replace(SERVICE, 'cb00710b'))],
    [
      'not ours',
      'a lying length to another address',
      ipv4(UDP.replace(SERVICE, 'cb00710b').replace('001c', '001d')),
    ],
    ['not for us', 'a group', ipv4(UDP).replace(BALANCER_MAC, '01005e000001')],
    [
      'not for us',
      'a lying length to another MAC',
      ipv4(UDP.replace('001c', '001d')).replace(BALANCER_MAC, CLIENT_MAC),
    ],
    [
      'not for us',
      'a piece to another MAC',
      ipv4(UDP.replace('00004000', '00000001')).replace(BALANCER_MAC, CLIENT_MAC),
    ],
    ['balanced', 'IPv6', ipv6('11', PORTS)],
    [
      'balanced',
      'six extension headers',
      ipv6('00', options('3c').repeat(5) + options('11') + PORTS),
    ],
    [
      'extension headers',
      'seven of them',
      ipv6('00', options('3c').repeat(6) + options('11') + PORTS),
    ],
    [
      'extension headers',
      'routing with a stop left',
      ipv6('2b', `1100 0001 00000000 ${PORTS}`),
    ],
    ['balanced', 'routing that is done', ipv6('2b', `1100 0000 00000000 ${PORTS}`)],
    [
      'balanced',
      'authentication, of 16 bytes',
      ipv6('33', `1102 0000 ${'00'.repeat(12)} ${PORTS}`),
    ],
    ['balanced', 'an atomic fragment', ipv6('2c', `1100 0000 00000001 ${PORTS}`)],
    ['fragment', 'a first piece', ipv6('2c', `1100 0001 00000001 ${PORTS}`)],
    ['fragment', 'a last piece', ipv6('2c', `1100 0008 00000001 ${PORTS}`)],
    ['malformed', 'an empty piece of IPv6', ipv6('2c', `1100 0001 00000001`)],
    [
      'extension headers',
      'a piece that begins with one',
      ipv6('2c', `3c00 0001 00000001 ${options('11')}`),
    ],
    ['malformed', 'an extension header cut short', ipv6('00', '1100 0000')],
    ['not tcp or udp', 'nothing next', ipv6('3b', '')],
    [
      'not tcp or udp',
      'a piece of ICMPv6',
      ipv6('2c', `3a00 0001 00000001 8000 0000 00000000`),
    ],
  ])('%s: %s', (verdict, _, frame) => {
    const answer = ask(frame, withV6);
    expect(answer.verdict).toBe(verdict);
    if (verdict !== 'balanced') {
      expect(answer.frame).toEqual(bytes(frame));
      expect(answer.action).toBe(
        ['malformed', 'fragment', 'extension headers'].includes(verdict)
          ? 'DROP'
          : 'PASS',
      );
    }
  });

  test('an IPv6 packet to ::ffff:203.0.113.10 is none to 203.0.113.10', () => {
    const mapped = `00000000000000000000ffff${SERVICE}`;
    expect(ask(ipv6('11', PORTS).replace(SERVICE_V6, mapped)).verdict).toBe('not ours');
  });
});

describe('services', () => {
  const EVERYTHING = [6, 17].map((protocol) =>
    cell({ address: Buffer.alloc(16), protocol, flags: CELL_USED | CELL_KEEPS_SSH }),
  );
  const tcp = (from: string, to: string): string =>
    `${ETHERNET} 0800 45000028 00004000 40063cbe ${CLIENT} ${SERVICE}
     ${from} ${to} 00000000 00000000 50020000 00000000`;
  const device = { ...tables().device, sessionPort: 2222 };

  test.each<[string, string, string]>([
    ['ssh kept', 'ssh', tcp('1092', '0016')],
    ['ssh kept', 'the session', tcp('1092', '08ae')],
    ['balanced', 'the web', tcp('1092', '0050')],
    [
      'dhcp kept',
      'a DHCP answer',
      `${ETHERNET} 0800 ${UDP.replace('1092 0050', '0043 0044')}`,
    ],
    ['dhcp kept', 'a DHCPv6 answer', ipv6('11', '0223 0222 0008 0000')],
    ['balanced', "DHCP's ports in IPv6", ipv6('11', '0043 0044 0008 0000')],
    ['malformed', 'nothing behind Ethernet', `${ETHERNET} 0800`],
    ['malformed', 'version 5', `${ETHERNET} 0800 ${UDP.replace('45', '55')}`],
    [
      'malformed',
      'a header of four words',
      `${ETHERNET} 0800 ${UDP.replace('45', '44')}`,
    ],
    ['malformed', 'version 4 in IPv6', ipv6('11', PORTS).replace('6000', '4000')],
    ['malformed', 'what cannot be read', `${ETHERNET} 0800 45`],
  ])('any: %s, %s', (verdict, _, frame) => {
    expect(ask(frame, { cells: EVERYTHING, device }).verdict).toBe(verdict);
  });

  test('the narrowest way wins, and port 0 is no way by port', () => {
    const cells = [
      ...EVERYTHING,
      cell({ protocol: 6, firstSlot: 1 }),
      cell({ protocol: 6, port: 80, firstSlot: 2 }),
    ];
    const slotOf = (to: string): number | undefined =>
      ask(tcp('1092', to), { cells }).reasons.slotNumber;
    expect([slotOf('0050'), slotOf('0051'), slotOf('0000')]).toEqual([2, 1, 1]);
  });

  test('fragments go by the cell for all ports, a way or a note', () => {
    const piece = `${ETHERNET} 0800 ${UDP.replace('00004000', '00000001')}`;
    const way = cell({ port: 53 });
    const note = cell({ flags: CELL_BY_PORT });
    const balanced = cell({
      flags: CELL_BY_PORT | CELL_HASH_SOURCE | CELL_FRAGMENTS,
    });
    expect(ask(piece, { cells: [way, note] }).verdict).toBe('fragment');
    expect(ask(piece, { cells: [way, balanced] }).verdict).toBe('balanced');
    expect(ask(piece, { cells: [way] }).verdict).toBe('not ours');
  });

  test('by source, the ports do not count', () => {
    const cells = [cell({ flags: CELL_USED | CELL_HASH_SOURCE, log2Slots: 8 })];
    const other = Buffer.from(UDP_FRAME);
    other.writeUInt16BE(999, 34);
    expect(ask(UDP_FRAME, { cells }).reasons.hash).toBe(
      ask(other, { cells }).reasons.hash,
    );
    expect(ask(UDP_FRAME).reasons.hash).not.toBe(ask(other).reasons.hash);
  });

  test.each([
    ['without a destination', { current: 0, previous: 0, since: 0 }],
    ['with an id beyond the table', { current: 2, previous: 0, since: 0 }],
  ])('a slot %s is empty', (_, slot) => {
    expect(ask(UDP_FRAME, { slots: new Map([[0, slot]]) }).verdict).toBe('empty slot');
  });
});

describe('ICMP', () => {
  /** From a router, quoting what the service sent to the client. */
  const quote = `4500001c 00004000 40113cbf ${SERVICE} ${CLIENT} 0050 1092 0008 0000`;
  const error = (content = quote, type = '0301'): string =>
    `${ETHERNET} 0800 45000038 00004000 4001ffff c6336401 ${SERVICE} ${type} 0000 00000000 ${content}`;

  test('an error goes where the connection that it quotes goes', () => {
    const answer = ask(error());
    expect(answer.verdict).toBe('balanced');
    expect(answer.reasons.hash).toBe(ask(UDP_FRAME).reasons.hash);
    expect(answer.frame.subarray(34)).toEqual(bytes(error()).subarray(14));
  });

  test('and so for IPv6, behind an extension header in the quote', () => {
    const quoted = `60000000 0010 3c 40 ${SERVICE_V6} ${CLIENT_V6} ${options('11')} 0050 1092 0008 0000`;
    const answer = ask(ipv6('3a', `0200 0000 00000500 ${quoted}`), withV6);
    expect(answer.verdict).toBe('balanced');
    expect(answer.reasons.hash).toBe(
      ask(`${ETHERNET} 86dd ${UDP_V6}`, withV6).reasons.hash,
    );
  });

  test.each<[string, string]>([
    ['redirect', error(quote, '0500')],
    ['a quote of another sender', error(quote.replace(SERVICE, 'cb00710b'))],
    ['a quote of ICMP', error(quote.replace('4011', '4001'))],
    ['a quote cut off in the ports', error().replace('45000038', '45000037')],
    ['a quote that is no IPv4', error(quote.replace('4500', '6500'))],
    ['an error in pieces', error().replace('00004000', '00002000')],
    ['a length beyond the frame', error().replace('45000038', '45000039')],
  ])('not tcp or udp: %s', (_, frame) => {
    expect(ask(frame).verdict).toBe('not tcp or udp');
  });

  test('a quoted piece has no ports, and needs none', () => {
    const piece = quote.replace('00004000', '00002000').slice(0, -20);
    const frame = error(piece).replace('45000038', '45000030');
    expect(ask(frame).verdict).toBe('fragment');
  });

  const echo = (to = SERVICE, sum = 'f7e3', ttl = '1701 6600'): string =>
    `${ETHERNET} 0800 45000020 00000000 ${ttl} ${CLIENT} ${to} 0800 ${sum} 0007 0001 61 62 63 64`;

  test('an echo request is answered, and checksums are brought up to date', () => {
    // 0x17 becomes 0x40 in the TTL: the sum falls by 0x2900. 8 becomes 0: it grows by 0x0800.
    expect(ask(echo()).frame).toEqual(
      bytes(`${CLIENT_MAC} ${BALANCER_MAC} 0800
        45000020 00000000 4001 3d00 ${SERVICE} ${CLIENT} 0000 ffe3 0007 0001 61626364`),
    );
    expect(ask(echo()).verdict).toBe('echo answered');
  });

  test('so is one in IPv6, with padding behind it', () => {
    const frame = `${ETHERNET} 86dd 60000000 0008 3a ff ${CLIENT_V6} ${SERVICE_V6} 8000 1234 0007 0001 ee`;
    expect(ask(frame, withV6).frame).toEqual(
      bytes(`${CLIENT_MAC} ${BALANCER_MAC} 86dd
        60000000 0008 3a 40 ${SERVICE_V6} ${CLIENT_V6} 8100 1134 0007 0001 ee`),
    );
  });

  test('an answer in IPv6 whose checksum would be 0 has 0xffff, which is the same', () => {
    // Found by the fuzzer, in one of 4,000,000 packets: 0x0100 falls by 0x0100.
    const frame = `${ETHERNET} 86dd 60000000 0008 3a ff ${CLIENT_V6} ${SERVICE_V6} 8000 0100 0007 0001`;
    expect(ask(frame, withV6).frame.subarray(54).toString('hex')).toBe(
      '8100ffff00070001',
    );
  });

  test('an answer of zeros has the checksum 0xffff, for its sum is 0', () => {
    const zeros = `${ETHERNET} 0800 4500001c 00000000 4001 7ccf ${CLIENT} ${SERVICE} 0800 f7ff 0000 0000`;
    const { frame } = ask(zeros);
    expect(frame.subarray(34).toString('hex')).toBe('0000ffff00000000');
    expect(sumsOf(frame).filter(({ isRight }) => !isRight)).toEqual([]);
  });

  test.each([
    ['this network', '00000000'],
    ['0/8', '00ffffff'],
    ['loopback', '7f000001'],
    ['a group', 'e0000001'],
    ['broadcast', 'ffffffff'],
    ['itself', SERVICE],
  ])('an echo request from %s is not answered', (_, from) => {
    expect(ask(echo().replace(CLIENT, from)).verdict).toBe('not tcp or udp');
  });

  test.each([
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['a group', 'ff020000000000000000000000000001'],
    ['itself', SERVICE_V6],
  ])('an echo request in IPv6 from %s is not answered', (_, from) => {
    const frame = `${ETHERNET} 86dd 60000000 0008 3a ff ${from} ${SERVICE_V6} 8000 1234 0007 0001`;
    expect(ask(frame, withV6).verdict).toBe('not tcp or udp');
  });

  test('an echo request from the MAC address of a group is not answered', () => {
    expect(ask(echo().replace(CLIENT_MAC, '030000000001')).verdict).toBe(
      'not tcp or udp',
    );
  });

  test('what is more than may be answered is dropped', () => {
    const answer = ask(echo(), {}, { ...state(), mayEcho: false });
    expect(answer).toMatchObject({ verdict: 'echo limited', action: 'DROP' });
  });

  test.each<[string, string, string, Partial<Tables>]>([
    ['not tcp or udp', 'to no service', echo('cb00710b'), {}],
    ['not for us', 'to another MAC', echo().replace(BALANCER_MAC, CLIENT_MAC), {}],
    ['not tcp or udp', 'the portable build', echo(), { build: 'portable' }],
    [
      'not tcp or udp',
      'switched off',
      echo(),
      { device: { ...tables().device, flags: DEVICE_NO_ECHO } },
    ],
    [
      'not tcp or udp',
      'a service for any address',
      echo(),
      { cells: [cell({ address: Buffer.alloc(16) })] },
    ],
    ['not tcp or udp', 'an answer', echo().replace('0800 f7e3', '0000 f7e3'), {}],
  ])('%s: an echo request, %s', (verdict, _, frame, on) => {
    expect(ask(frame, on).verdict).toBe(verdict);
  });
});

describe('too big', () => {
  const narrow: Partial<Tables> = {
    ...withV6,
    destinations: new Map([[1, destination({ largestPacket: 600 })]]),
  };
  const big = (length: number, flags = '4000'): string =>
    `${ETHERNET} 0800 4500 ${length.toString(16).padStart(4, '0')} 0000 ${flags} 4011 0000
     ${CLIENT} ${SERVICE} 1092 0050 ${'00'.repeat(length - 24)}`;

  test('the sender is told, with the first 512 bytes', () => {
    const answer = ask(big(601), narrow);
    expect(answer).toMatchObject({ verdict: 'too big told', action: 'TX', bytes: 615 });
    const quote = bytes(big(601)).subarray(14, 14 + 512);
    // ICMP's words are 0304 and 0258; those quoted 4500, 0259, 4000, 4011, c000, 0207, cb00,
    // 710a, 1092, 0050: together 2dbb9, folded dbbb, of which the complement is 2444.
    expect(answer.frame).toEqual(
      Buffer.concat([
        bytes(`${CLIENT_MAC} ${BALANCER_MAC} 0800
          45c0021c 00004000 40013a0f ${SERVICE} ${CLIENT} 0304 2444 0000 0258`),
        quote,
      ]),
    );
  });

  test('in IPv6 with the first 1,024', () => {
    const length = 1200;
    const frame = `${ETHERNET} 86dd 60000000 04b0 11 40 ${CLIENT_V6} ${SERVICE_V6}
      1092 0050 ${'00'.repeat(length - 4)}`;
    const answer = ask(frame, narrow);
    expect(answer.verdict).toBe('too big told');
    expect(answer.frame.length).toBe(14 + 40 + 1032);
    expect(answer.frame.subarray(0, 54)).toEqual(
      bytes(
        `${CLIENT_MAC} ${BALANCER_MAC} 86dd 6c000000 0408 3a 40 ${SERVICE_V6} ${CLIENT_V6}`,
      ),
    );
    // The addresses' words: 2001 + 0db8 + 0010 and 2001 + 0db8 + 0001 + 0007, together 5b8a; twice,
    // as they are quoted: b714. Then 0408 + 003a, 0200 + 0258, 6000 + 04b0 + 1140, 1092 + 0050:
    // 14680, folded 4681, of which the complement is b97e.
    expect(answer.frame.subarray(54, 62).toString('hex')).toBe('0200b97e00000258');
  });

  test.each<[string, string]>([
    ['without DF', big(601, '0000')],
    ['a piece', big(601, '6001')],
    ['from a group', big(601).replace(CLIENT, 'e0000001')],
    ['from the loopback', big(601).replace(CLIENT, '7f000001')],
    ['from nobody', big(601).replace(CLIENT, '00000000')],
  ])('nobody is told: %s', (_, frame) => {
    const cells = [cell({ flags: CELL_USED | CELL_FRAGMENTS | CELL_HASH_SOURCE })];
    const answer = ask(frame, { ...narrow, cells });
    expect([answer.verdict, answer.action]).toEqual(['too big', 'DROP']);
    expect(answer.frame).toEqual(bytes(frame));
  });

  test('nor beyond the rate, nor by the portable build, nor of a small packet', () => {
    expect(ask(big(601), narrow, state([], 1, false)).verdict).toBe('too big');
    expect(ask(big(601), { ...narrow, build: 'portable' }).verdict).toBe('too big');
    const tiny = new Map([[1, destination({ largestPacket: 500 })]]);
    expect(ask(big(511), { destinations: tiny }).verdict).toBe('too big');
    expect(ask(big(512), { destinations: tiny }).verdict).toBe('too big told');
  });
});
