// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { formatAddress } from '../../../src/wire/address.js';
import { UsageFailure } from '../../../src/text/failure.js';
import { floodCommand } from '../../../src/flood.js';
import type { FramePlan } from '../../../src/flood/frame.js';
import { addMacs, checkFlows, planFrame } from '../../../src/flood/frame.js';
import type { Flood } from '../../../src/flood/report.js';
import {
  describeFlood,
  describeTotal,
  progressLine,
  totalJson,
} from '../../../src/flood/report.js';
import { failureOf, senderArguments } from '../../../src/flood/send.js';
import {
  anySource,
  checkFamilies,
  chooseWay,
  formatPrefix,
  parseDestination,
  parsePrefix,
} from '../../../src/flood/target.js';
import type { Way } from '../../../src/wire/way.js';
import { formatWay } from '../../../src/wire/way.js';
import { TCP, UDP, checksum, ethernet, ip, packet, tcp, u16, udp } from '../../frames.js';
import { mac } from '../wire/names.js';

function way(text: string, isSyn = false): Way {
  return chooseWay(parseDestination(text), isSyn);
}

test('l4lb-flood --help is this text', () => {
  const command = floodCommand().configureOutput({ getOutHelpWidth: () => 100 });
  expect(command.helpInformation()).toMatchSnapshot();
});

describe('a destination', () => {
  test.each([
    { text: '10.0.0.4', isSyn: false, means: '10.0.0.4:9/udp' },
    { text: '10.0.0.4', isSyn: true, means: '10.0.0.4:9/tcp' },
    { text: '10.0.0.4:80', isSyn: false, means: '10.0.0.4:80/udp' },
    { text: '10.0.0.4:80', isSyn: true, means: '10.0.0.4:80/tcp' },
    { text: '10.0.0.4:80/tcp', isSyn: false, means: '10.0.0.4:80/tcp' },
    { text: '[2001:db8::4]:53/udp', isSyn: false, means: '[2001:db8::4]:53/udp' },
    { text: '2001:db8::4', isSyn: false, means: '[2001:db8::4]:9/udp' },
  ])('"$text" with --syn $isSyn is $means', ({ text, isSyn, means }) => {
    expect(formatWay(way(text, isSyn))).toBe(means);
  });

  test.each([
    { text: 'any', why: 'stands for all addresses, but a flood goes to one' },
    { text: 'any/tcp', why: 'stands for all addresses, but a flood goes to one' },
    { text: '10.0.0', why: 'is not an IP address' },
    { text: '10.0.0.4:0', why: 'is not a port from 1 to 65535' },
    { text: '10.0.0.4/icmp', why: 'is neither tcp nor udp' },
    { text: '127.0.0.1', why: 'it is a loopback address' },
  ])('"$text" is none: $why', ({ text, why }) => {
    expect(() => parseDestination(text)).toThrow(why);
  });

  test('--syn is for TCP alone', () => {
    expect(() => way('10.0.0.4:80/udp', true)).toThrow(UsageFailure);
  });
});

describe('a prefix of sources', () => {
  test.each([
    { text: '10.1.2.3', length: 32 },
    { text: '10.1.0.0/16', length: 16 },
    { text: '10.128.0.0/9', length: 9 },
    { text: '0.0.0.0/0', length: 0 },
    { text: '2001:db8::/32', length: 32 },
    { text: '2001:db8::1', length: 128 },
  ])('"$text" has $length bits, and is printed as it is read', ({ text, length }) => {
    expect(parsePrefix(text).length).toBe(length);
    expect(formatPrefix(parsePrefix(text))).toBe(text);
  });

  test.each([
    { text: '10.1.2.3/16', why: 'has bits set after its length; write 10.1.0.0/16' },
    { text: '10.192.0.0/9', why: 'has bits set after its length; write 10.128.0.0/9' },
    { text: '2001:db8::1/64', why: 'write 2001:db8::/64' },
    { text: '10.0.0.0/33', why: 'does not end in a length from /0 to /32' },
    { text: '10.0.0.0/', why: 'does not end in a length' },
    { text: '10.0.0.0/8/8', why: 'does not end in a length' },
    { text: '2001:db8::/129', why: 'does not end in a length from /0 to /128' },
    { text: '::/0', why: 'stands for all addresses; use --random-source for that' },
    { text: 'here', why: 'is not an IP address' },
  ])('"$text" is none: $why', ({ text, why }) => {
    expect(() => parsePrefix(text)).toThrow(why);
  });

  test('is of the family of the destination', () => {
    const { address } = way('2001:db8::4');
    expect(() => checkFamilies(parsePrefix('10.0.0.0/8'), address)).toThrow(
      '--src is IPv4, and --dst is IPv6',
    );
    checkFamilies(parsePrefix('2001:db8::/64'), address);
    expect(formatPrefix(anySource(address))).toBe('2000::/3');
    expect(formatPrefix(anySource(way('10.0.0.4').address))).toBe('0.0.0.0/0');
  });
});

const CLIENT_MAC = '02:00:0a:00:00:0a';
const BALANCER_MAC = '02:00:0a:00:00:04';

/** The whole frame of a plan. */
function frameOf({ headers, length }: FramePlan): Buffer {
  return Buffer.concat([headers, Buffer.alloc(length - headers.length)]);
}

interface FrameRow {
  what: string;
  to: string;
  source: string;
  isSyn: boolean;
  size: number | undefined;
  protocol: number;
  /** With a checksum of 0. */
  transport: Buffer;
  varied: string[];
}

const FRAMES: FrameRow[] = [
  {
    what: 'UDP over IPv4, as short as can be',
    to: '10.0.0.4:53/udp',
    source: '10.1.0.0/16',
    isSyn: false,
    size: undefined,
    protocol: UDP,
    transport: udp({ from: 32768, to: 53 }, Buffer.alloc(18)),
    varied: ['224+16@24,40u', '273+15@40u'],
  },
  {
    what: 'an ACK over IPv4, from one source',
    to: '10.0.0.4:80/tcp',
    source: '10.1.2.3',
    isSyn: false,
    size: undefined,
    protocol: TCP,
    transport: Buffer.concat([tcp({ from: 32768, to: 80 }, 0x10, 1), Buffer.alloc(6)]),
    varied: ['273+15@50'],
  },
  {
    what: 'a SYN over IPv6',
    to: '[2001:db8::4]:443/tcp',
    source: '2001:db8:1::/64',
    isSyn: true,
    size: undefined,
    protocol: TCP,
    transport: tcp({ from: 32768, to: 443 }, 0x02),
    varied: ['240+64@70', '433+15@70'],
  },
  {
    what: 'a full frame of UDP over IPv6',
    to: '[2001:db8::4]:53/udp',
    source: '2000::/3',
    isSyn: false,
    size: 1514,
    protocol: UDP,
    transport: udp({ from: 32768, to: 53 }, Buffer.alloc(1452)),
    varied: ['179+125@60u', '433+15@60u'],
  },
];

describe('the frames', () => {
  test.each(FRAMES)('of $what are right', (row) => {
    const target = way(row.to, row.isSyn);
    const source = parsePrefix(row.source);
    const { size, isSyn } = row;
    const bare = planFrame({ way: target, source, size, isSyn });
    const plan = addMacs(bare, mac(BALANCER_MAC), mac(CLIENT_MAC));

    const addresses = {
      from: formatAddress(source.address),
      to: formatAddress(target.address),
    };
    // The window is whatever it is.
    const frame = frameOf(plan);
    const isV6 = addresses.to.includes(':');
    const at = 14 + (isV6 ? 40 : 20);
    const sumAt = row.protocol === TCP ? 16 : 6;
    if (row.protocol === TCP) frame.copy(row.transport, 14, at + 14, at + 16);
    row.transport.writeUInt16BE(0, sumAt);
    const pseudo = Buffer.concat([
      ip(addresses.from),
      ip(addresses.to),
      u16(row.protocol),
      u16(row.transport.length),
      row.transport,
    ]);
    row.transport.writeUInt16BE(checksum(pseudo), sumAt);
    const expected = ethernet(
      { to: BALANCER_MAC, from: CLIENT_MAC },
      packet({ ...addresses, protocol: row.protocol }, row.transport),
    );
    expect(frame.toString('hex')).toBe(expected.toString('hex'));
    expect(plan.varied).toEqual(row.varied);
  });

  test('are not shorter than their headers', () => {
    const flow = { way: way('[2001:db8::4]:80/tcp'), source: parsePrefix('2001:db8::1') };
    expect(() => planFrame({ ...flow, size: 73, isSyn: false })).toThrow(
      '--size 73: the headers alone take 74',
    );
    expect(planFrame({ ...flow, size: undefined, isSyn: false }).length).toBe(74);
  });

  test('make as many flows as sources and ports allow', () => {
    const flow = { way: way('10.0.0.4'), size: undefined, isSyn: false };
    const one = planFrame({ ...flow, source: parsePrefix('10.1.2.3') });
    checkFlows(one, 32768);
    expect(() => checkFlows(one, 32769)).toThrow(
      '--flows 32769: these sources and ports make only 32,768',
    );
    checkFlows(planFrame({ ...flow, source: parsePrefix('10.1.0.0/16') }), 2 ** 31);
  });
});

test('what the sender is called with', () => {
  const plan = {
    headers: Buffer.from('0a0b', 'hex'),
    length: 60,
    varied: ['208+32@24', '273+15@40u'],
    bits: 47,
  };
  const pace = { threads: 2, flows: 1000, rate: 5000, duration: 2500 };
  expect(senderArguments('eth0', plan, pace).join(' ')).toBe(
    '-i eth0 --headers 0a0b --vary 208+32@24 --vary 273+15@40u ' +
      '--length 60 --threads 2 --flows 1000 --rate 5000 --seconds 2.5',
  );
  expect(senderArguments('eth0', plan, { threads: 1, count: 7 }).slice(-4)).toEqual([
    '--threads',
    '1',
    '--count',
    '7',
  ]);
});

describe('a failure of the sender', () => {
  test('keeps its cause, and what to do', () => {
    const said =
      'flood: eth0 accepted none: why\n  likely cause: no GRO\n  next: ethtool';
    expect(failureOf(said).format('l4lb-flood')).toBe(
      'l4lb-flood: eth0 accepted none: why\n  likely cause: no GRO\n  next: ethtool',
    );
  });

  test.each(['', 'spawn flood ENOEXEC', 'libbpf.so.1: cannot open shared object file'])(
    'that did not run, "%s", is told as such',
    (said) => {
      const failure = failureOf(said);
      expect(failure.message).toContain(`flood/flood does not run: ${said}`);
      expect(failure.advice.next).toBe('make setup && make');
    },
  );
});

describe('what is printed', () => {
  const flood: Flood = {
    interface: 'eth0',
    destination: '10.0.0.4:9/udp',
    source: '10.1.0.0/16',
    flows: 1000,
    size: 60,
  };
  const total = { seconds: 2, sent: 9_999_000, lost: 1000, busy: 500_000_000 };

  test('at the beginning, and each second', () => {
    expect(describeFlood(flood)).toBe(
      'eth0: 10.0.0.4:9/udp from 10.1.0.0/16, 1,000 flows, frames of 60 bytes',
    );
    const before = { seconds: 1.001, sent: 1_000_000, lost: 5 };
    const now = { seconds: 2.001, sent: 11_000_000, lost: 12 };
    expect(progressLine(flood, before, now)).toBe(
      '   2 s   10,000,000 pkts/s     4,800,000,000 bits/s          7 lost',
    );
    expect(progressLine(flood, before, { ...now, lost: undefined })).not.toContain(
      'lost',
    );
  });

  test('at the end', () => {
    expect(describeTotal(flood, total)).toEqual([
      'sent 9,999,000 packets in 2.0 s: 4,999,500 pkts/s, 2,399,760,000 bits/s',
      'lost 1,000 more (0.01%): the device accepted no more',
    ]);
    expect(describeTotal(flood, { ...total, lost: 0 })).toHaveLength(1);
    expect(describeTotal(flood, { ...total, lost: undefined })[1]).toContain(
      'does not report losses',
    );
  });

  test('as JSON', () => {
    expect(totalJson(flood, total)).toEqual({
      interface: 'eth0',
      destination: '10.0.0.4:9/udp',
      source: '10.1.0.0/16',
      flows: 1000,
      frame_bytes: 60,
      seconds: 2,
      sent: 9_999_000,
      lost: 1000,
      pps: 4_999_500,
      bps: 2_399_760_000,
      ns_per_packet: 50,
    });
    const nothing = { seconds: 0, sent: 0, lost: undefined, busy: 0 };
    expect(totalJson({ ...flood, flows: undefined }, nothing)).toMatchObject({
      flows: null,
      lost: null,
      pps: 0,
      ns_per_packet: null,
    });
  });
});
