// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What l4lb-doctor makes of captured frames: src/tcpdump.ts and src/doctor/frames.ts. */
import { describe, expect, test } from '@jest/globals';

import { countFrames } from '../../../src/doctor/frames.js';
import { Unseen } from '../../../src/text/unseen.js';
import type { Run } from '../../../src/system/run.js';
import { captureIncoming, decodeDump } from '../../../src/system/tcpdump.js';
import { ICMP, IPIP, TCP, UDP, ethernet, ipv4, u16, udp } from '../../frames.js';
import { fakeRun } from './fake-run.js';

const OWN = '02:00:0a:00:00:01';
const CLIENT = '02:00:0a:00:00:c1';
const TO_US = { to: OWN, from: CLIENT };
const WEB = { from: '192.0.2.7', to: '10.0.0.9' };
const PORTS = Buffer.from('04d20050', 'hex'); // 1234 to 80
const VLAN = 0x8100;

function toWeb(protocol: number, payload: Buffer): Buffer {
  return ipv4({ ...WEB, protocol }, payload);
}

function ipv6(
  next: number,
  payload: Buffer,
  to = '20010db8000000000000000000000010',
): Buffer {
  const from = '20010db8000100000001000000000007';
  return Buffer.concat([
    Buffer.from('60000000', 'hex'),
    u16(payload.length),
    Buffer.from([next, 64]),
    Buffer.from(from + to, 'hex'),
    payload,
  ]);
}

const QUOTED = ipv4(
  { from: '10.0.0.1', to: '10.0.1.15', protocol: IPIP },
  Buffer.alloc(8),
);
const UNKNOWN_PROTOCOL = Buffer.concat([Buffer.from('0302000000000000', 'hex'), QUOTED]);
const UNKNOWN_PORT = Buffer.concat([Buffer.from('0303000000000000', 'hex'), QUOTED]);
const UNKNOWN_HEADER = Buffer.concat([
  Buffer.from('0401000000000006', 'hex'),
  ipv6(41, Buffer.alloc(8)),
]);

describe('captured frames', () => {
  test.each<[string, Buffer, string]>([
    ['TCP', ethernet(TO_US, toWeb(TCP, PORTS)), '10.0.0.9:80/tcp'],
    ['UDP', ethernet(TO_US, toWeb(UDP, udp({ from: 1, to: 53 }))), '10.0.0.9:53/udp'],
    [
      'for another MAC',
      ethernet({ to: CLIENT, from: OWN }, toWeb(TCP, PORTS)),
      `10.0.0.9:80/tcp at MAC ${CLIENT}`,
    ],
    [
      'for a group',
      ethernet({ to: '01:00:5e:00:00:fb', from: CLIENT }, toWeb(UDP, PORTS)),
      '10.0.0.9:80/udp to a group',
    ],
    [
      'in a VLAN',
      ethernet(
        { ...TO_US, type: VLAN },
        Buffer.concat([u16(0x2005), u16(0x0800), toWeb(TCP, PORTS)]),
      ),
      '10.0.0.9:80/tcp with VLAN tag 5',
    ],
    [
      'ARP',
      ethernet({ to: 'ff:ff:ff:ff:ff:ff', from: CLIENT, type: 0x0806 }, PORTS),
      'ARP',
    ],
    ['LLDP', ethernet({ ...TO_US, type: 0x88cc }, PORTS), 'frames of type 0x88cc'],
    [
      'ICMP',
      ethernet(TO_US, toWeb(ICMP, Buffer.from('0800', 'hex'))),
      'ICMP to 10.0.0.9',
    ],
    [
      'ICMP of a port that is not open',
      ethernet(TO_US, toWeb(ICMP, UNKNOWN_PORT)),
      'ICMP to 10.0.0.9',
    ],
    ['a tunnel', ethernet(TO_US, toWeb(IPIP, PORTS)), 'IP in IP to 10.0.0.9'],
    ['another protocol', ethernet(TO_US, toWeb(132, PORTS)), 'protocol 132 to 10.0.0.9'],
    [
      'a later fragment',
      ethernet(TO_US, ipv4({ ...WEB, protocol: TCP, fragment: 0x0010 }, PORTS)),
      'fragments to 10.0.0.9',
    ],
    [
      'IPv6',
      ethernet({ ...TO_US, type: 0x86dd }, ipv6(TCP, PORTS)),
      '[2001:db8::10]:80/tcp',
    ],
    [
      'IPv6 behind an extension header',
      ethernet(
        { ...TO_US, type: 0x86dd },
        ipv6(60, Buffer.concat([Buffer.from([UDP, 0]), Buffer.alloc(6), PORTS])),
      ),
      '[2001:db8::10]:80/udp',
    ],
    [
      'IPv6 whose address begins and ends with zeros',
      ethernet({ ...TO_US, type: 0x86dd }, ipv6(TCP, PORTS, `${'0'.repeat(31)}1`)),
      '[::1]:80/tcp',
    ],
    [
      'IPv6 whose zeros are at the end',
      ethernet({ ...TO_US, type: 0x86dd }, ipv6(TCP, PORTS, `20010db8${'0'.repeat(24)}`)),
      '[2001:db8::]:80/tcp',
    ],
    ['nothing to speak of', Buffer.alloc(5), 'frames cut short'],
    ['IPv4 cut short', ethernet(TO_US, Buffer.alloc(8)), 'IPv4 cut short'],
  ])('%s', (_, frame, what) => {
    expect(countFrames([frame], OWN)).toMatchObject([{ what, count: 1 }]);
  });

  test.each<[string, Buffer, string, string]>([
    [
      'an IPv4 destination',
      ethernet(
        TO_US,
        ipv4({ from: '10.0.1.15', to: '10.0.0.1', protocol: ICMP }, UNKNOWN_PROTOCOL),
      ),
      'ICMP "protocol 4 unreachable" from 10.0.1.15',
      '10.0.1.15',
    ],
    [
      'an IPv6 destination',
      ethernet({ ...TO_US, type: 0x86dd }, ipv6(58, UNKNOWN_HEADER)),
      'ICMPv6 "protocol 41 unreachable" from 2001:db8:1:0:1::7',
      '2001:db8:1:0:1::7',
    ],
  ])('tell that %s has no tunnel', (_, frame, what, withoutTunnel) => {
    expect(countFrames([frame], OWN)).toMatchObject([{ what, withoutTunnel }]);
  });

  test('are counted by kind, the most frequent first', () => {
    const one = ethernet(TO_US, toWeb(UDP, udp({ from: 1, to: 53 })));
    const two = ethernet(TO_US, toWeb(TCP, PORTS));
    expect(countFrames([one, two, two], OWN)).toEqual([
      {
        what: '10.0.0.9:80/tcp',
        count: 2,
        to: { address: '10.0.0.9', port: 80, protocol: 'tcp', mac: OWN },
        withoutTunnel: undefined,
      },
      expect.objectContaining({ what: '10.0.0.9:53/udp', count: 1 }),
    ]);
  });
});

// tcpdump 4.99.3 -t -q -xx
const DUMP = `IP 192.0.2.7.1234 > 10.0.0.9.80: tcp 0
\t0x0000:  0200 0a00 0001 0200 0a00 00c1 0800 4500
\t0x0010:  0014 00
ARP, Request who-has 10.0.0.1 tell 10.0.255.1, length 28
\t0x0000:  ffff ffff ffff
`;

describe('tcpdump', () => {
  const LINE =
    'timeout --signal=INT 0.5 tcpdump -n -t -q -xx -l --immediate-mode -s 128 -i ens4 -p -Q in -c 500';

  test('prints frames', () => {
    expect(decodeDump(DUMP).map((frame) => frame.toString('hex'))).toEqual([
      '02000a00000102000a0000c108004500001400',
      'ffffffffffff',
    ]);
  });

  test('is stopped after a while, which is no failure', async () => {
    const { run } = fakeRun({ [LINE]: { exitCode: 124, stdout: DUMP } });
    expect(await captureIncoming(run, 'ens4', 0.5)).toHaveLength(2);
  });

  test('that is stopped before it listens is tried again', async () => {
    const early = { exitCode: 124, stdout: '', stderr: '' };
    const quiet = {
      ...early,
      stderr: 'listening on ens4, link-type EN10MB (Ethernet)\n',
    };
    const answers = [early, early, quiet];
    const late: Run = () => Promise.resolve(answers.shift() ?? early);
    expect(await captureIncoming(late, 'ens4', 0.5)).toEqual([]);
    expect(answers).toEqual([]);
    expect(await captureIncoming(late, 'ens4', 0.5)).toEqual(
      new Unseen('tcpdump did not listen within 0.5 s'),
    );
  });

  test('is missing', async () => {
    const { run } = fakeRun({ [LINE]: { exitCode: 127 } });
    expect(await captureIncoming(run, 'ens4', 0.5)).toEqual(
      new Unseen('no tcpdump on this machine'),
    );
  });

  test.each([
    [
      1,
      "tcpdump: ens4: You don't have permission to perform this capture on that device\n(socket: Operation not permitted)\n",
      "tcpdump: ens4: You don't have permission to perform this capture on that device",
    ],
    [
      1,
      'tcpdump: verbose output suppressed, use -v\ntcpdump: ens4: The interface disappeared\n',
      'tcpdump: ens4: The interface disappeared',
    ],
    [126, '', 'tcpdump ended with exit code 126'],
  ])('that fails has not seen that nothing comes: %d', async (exitCode, stderr, why) => {
    const { run } = fakeRun({ [LINE]: { exitCode, stderr } });
    expect(await captureIncoming(run, 'ens4', 0.5)).toEqual(new Unseen(why));
  });
});
