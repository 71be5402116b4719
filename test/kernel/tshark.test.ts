// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A second opinion on what the balancer sends: tshark decodes it and finds no fault. */
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Build } from '../../src/abi/maps.js';
import type { VerdictName } from '../../src/abi/verdicts.js';
import type { Ethernet, Ports } from '../frames.js';
import {
  ICMP,
  ICMPV6,
  TCP,
  UDP,
  checksum,
  ethernet,
  icmp,
  ip,
  ipv4,
  packet,
  tcp,
  u16,
  udp,
} from '../frames.js';
import type { Dissected } from '../tshark.js';
import { dissect, dissectFile } from '../tshark.js';
import { Network } from './network.js';
import type { Outcome } from './program.js';
import { Program } from './program.js';

type Family = 'ipv4' | 'ipv6';

const client = { ipv4: '192.0.2.7', ipv6: '2001:db8:c::7', mac: '02:00:00:00:00:01' };
const balancer = { ipv4: '10.0.0.4', ipv6: '2001:db8:b::4', mac: '02:00:00:00:00:04' };
const destination = {
  ipv4: '10.0.1.15',
  ipv6: '2001:db8:d::15',
  mac: '02:00:0a:00:01:0f',
};
const ports: Ports = { from: 4242, to: 80 };
// tshark knows no protocol on these ports, so the layers end with those that we made.
const payload = Buffer.from('some payload');
/** Length of a packet as long as the MTU, which leaves no room for an outer header. */
const LONGEST = 1500;

interface Ends {
  from: string;
  to: string;
}

/** Fills in the checksum at an offset, which covers the pseudo header and the segment. */
function summed(segment: Buffer, protocol: number, at: number, ends: Ends): Buffer {
  const pseudo = Buffer.concat([
    ip(ends.from),
    ip(ends.to),
    u16(protocol),
    u16(segment.length),
  ]);
  const padding = Buffer.alloc(segment.length % 2);
  const result = Buffer.from(segment);
  result.writeUInt16BE(checksum(Buffer.concat([pseudo, segment, padding])), at);
  return result;
}

const toBalancer = { to: balancer.mac, from: client.mac };
const CUSTOMER: [number, number] = [0x8100, 7];
const PROVIDER: [number, number] = [0x88a8, 100];

function toService(family: Family): Ends {
  return { from: client[family], to: balancer[family] };
}

function tcpPacket(ends: Ends, content = payload, way = ports, tos = 0): Buffer {
  const segment = summed(Buffer.concat([tcp(way), content]), TCP, 16, ends);
  return packet({ ...ends, protocol: TCP, tos }, segment);
}

function udpPacket(ends: Ends): Buffer {
  return packet({ ...ends, protocol: UDP }, summed(udp(ports, payload), UDP, 6, ends));
}

function frame(whole: Buffer, tags: Ethernet['tags'] = []): Buffer {
  return ethernet({ ...toBalancer, tags }, whole);
}

function tcpFrame(family: Family = 'ipv4', tags: Ethernet['tags'] = []): Buffer {
  return frame(tcpPacket(toService(family)), tags);
}

/** An IP packet with an ICMP message of its own family. */
function icmpFrame(family: Family, type: number, rest: Buffer, content: Buffer): Buffer {
  const ends = toService(family);
  const isIpv6 = family === 'ipv6';
  const message = icmp(type, 0, rest, content, isIpv6 ? ends : undefined);
  return frame(packet({ ...ends, protocol: isIpv6 ? ICMPV6 : ICMP }, message));
}

/** An error that says that a packet from the service did not arrive. */
function errorFrame(family: Family): Buffer {
  const answer = tcpPacket({ from: balancer[family], to: client[family] }, payload, {
    from: ports.to,
    to: ports.from,
  });
  return icmpFrame(family, family === 'ipv6' ? 1 : 3, Buffer.alloc(4), answer);
}

function echoFrame(family: Family): Buffer {
  const identity = Buffer.concat([u16(77), u16(1)]);
  return icmpFrame(family, family === 'ipv6' ? 128 : 8, identity, payload);
}

function bigFrame(family: Family): Buffer {
  const headers = (family === 'ipv6' ? 40 : 20) + 20;
  return frame(tcpPacket(toService(family), Buffer.alloc(LONGEST - headers, 'l4lb')));
}

interface Row {
  what: string;
  /** The frame that comes to the balancer. */
  frame: Buffer;
  /** The layers that tshark finds in the result, with "outer" for the outer header. */
  layers: string;
  /** How many of the layers have a checksum, apart from the outer header. */
  checksums: number;
}

const rows: Row[] = [
  { what: 'TCP, IPv4', frame: tcpFrame(), layers: 'eth:outer:ip:tcp', checksums: 2 },
  {
    what: 'TCP, IPv6',
    frame: tcpFrame('ipv6'),
    layers: 'eth:outer:ipv6:tcp',
    checksums: 1,
  },
  {
    what: 'UDP, IPv4',
    frame: frame(udpPacket(toService('ipv4'))),
    layers: 'eth:outer:ip:udp',
    checksums: 2,
  },
  {
    what: 'UDP, IPv6',
    frame: frame(udpPacket(toService('ipv6'))),
    layers: 'eth:outer:ipv6:udp',
    checksums: 1,
  },
  {
    what: 'a class of service',
    frame: frame(tcpPacket(toService('ipv4'), payload, ports, 0xb9)),
    layers: 'eth:outer:ip:tcp',
    checksums: 2,
  },
  {
    what: 'padding',
    frame: Buffer.concat([frame(udpPacket(toService('ipv4'))), Buffer.alloc(4)]),
    layers: 'eth:outer:ip:udp',
    checksums: 2,
  },
  {
    what: 'a VLAN tag',
    frame: tcpFrame('ipv4', [CUSTOMER]),
    layers: 'eth:vlan:outer:ip:tcp',
    checksums: 2,
  },
  {
    what: 'two VLAN tags (QinQ)',
    frame: tcpFrame('ipv6', [PROVIDER, CUSTOMER]),
    layers: 'eth:ieee8021ad:vlan:outer:ipv6:tcp',
    checksums: 1,
  },
  {
    what: 'an ICMP error',
    frame: errorFrame('ipv4'),
    layers: 'eth:outer:ip:icmp:ip:tcp',
    checksums: 4,
  },
  {
    what: 'an ICMPv6 error',
    frame: errorFrame('ipv6'),
    layers: 'eth:outer:ipv6:icmpv6:ipv6:tcp',
    checksums: 2,
  },
];

interface AnswerRow extends Row {
  verdict: VerdictName;
  /**
   * Whether it quotes only the beginning of a packet. A checksum over the whole packet
   * cannot be checked then, and tshark would call the one of TCP bad.
   */
  isCut?: boolean;
}

/** Answers of the host build itself, which have no outer header. */
const answers: AnswerRow[] = [
  {
    what: 'too big, IPv4',
    frame: bigFrame('ipv4'),
    verdict: 'too big told',
    layers: 'eth:ip:icmp:ip:tcp',
    checksums: 3,
    isCut: true,
  },
  {
    what: 'too big, IPv6',
    frame: bigFrame('ipv6'),
    verdict: 'too big told',
    layers: 'eth:ipv6:icmpv6:ipv6:tcp',
    checksums: 1,
    isCut: true,
  },
  {
    what: 'echo, IPv4',
    frame: echoFrame('ipv4'),
    verdict: 'echo answered',
    layers: 'eth:ip:icmp',
    checksums: 2,
  },
  {
    what: 'echo, IPv6',
    frame: echoFrame('ipv6'),
    verdict: 'echo answered',
    layers: 'eth:ipv6:icmpv6',
    checksums: 1,
  },
];

/** Removes the payload, which tshark shows as a layer after the last that we made. */
function withoutPayload(layers: string): string {
  return layers.replace(/:data$/, '');
}

interface Found {
  outcome: Outcome;
  dissected: Dissected | undefined;
}

/**
 * Sends the frames of the rows; one tshark decodes all results, since it starts slowly.
 */
async function sendRows(
  program: Program,
  sent: readonly AnswerRow[],
): Promise<Map<string, Found>> {
  const outcomes = await program.sendAll(sent.map((row) => row.frame));
  const found = new Map<string, Found>();
  for (const isCut of [false, true]) {
    const chosen = sent.flatMap((row, index) => {
      const outcome = outcomes[index];
      return outcome && (row.isCut ?? false) === isCut ? [{ row, outcome }] : [];
    });
    if (chosen.length === 0) continue;
    const frames = chosen.map(({ outcome }) => outcome.frame);
    const all = await dissect(frames, isCut ? ['ip'] : undefined);
    chosen.forEach(({ row, outcome }, index) =>
      found.set(row.what, { outcome, dissected: all[index] }),
    );
  }
  return found;
}

/** Compares the result with the rest of the row. */
function check(found: ReadonlyMap<string, Found>, row: AnswerRow): void {
  const { outcome, dissected } = found.get(row.what) ?? {};
  expect(outcome).toMatchObject({ action: 'TX', verdict: row.verdict });
  expect({ ...dissected, layers: withoutPayload(dissected?.layers ?? '') }).toEqual({
    layers: row.layers,
    faults: [],
    good: row.checksums,
    unverified: row.isCut ? 1 : 0,
  });
}

interface Outer {
  family: Family;
  layer: string;
  /** Whether the outer header has a checksum. */
  checksums: number;
}

const outers: Outer[] = [
  { family: 'ipv4', layer: 'ip', checksums: 1 },
  { family: 'ipv6', layer: 'ipv6', checksums: 0 },
];
const builds: Build[] = ['host', 'portable'];
const sides = builds.flatMap((build) => outers.map((outer) => ({ build, ...outer })));

describe.each(sides)('$build build, outer header $family', (side) => {
  const ours = rows.map((row): AnswerRow => ({
    ...row,
    verdict: 'balanced',
    layers: row.layers.replace('outer', side.layer),
    checksums: row.checksums + side.checksums,
  }));
  let found: Map<string, Found>;

  beforeAll(async () => {
    const program = await Program.load(side.build);
    await program.fill({
      destinations: { [destination[side.family]]: destination.mac },
      source: balancer[side.family],
      // Only an address that is a service's own answers an echo.
      vips: [balancer.ipv4, balancer.ipv6],
      mac: balancer.mac,
      mtu: LONGEST,
    });
    found = await sendRows(program, side.build === 'host' ? [...ours, ...answers] : ours);
    program.close();
  });

  test.each(ours)('$what: tshark decodes it as $layers', (row) => check(found, row));

  if (side.build === 'portable') return;

  test.each(answers)('$what: tshark decodes the answer as $layers', (row) =>
    check(found, row),
  );
});

describe('tshark would tell', () => {
  const OUTER_SUM = 14 + 10;
  const INNER_SUM = OUTER_SUM + 20;
  const TCP_SUM = 14 + 20 + 20 + 16;
  const OUTER_LENGTH = 14 + 2;
  const whole = ethernet(
    { to: destination.mac, from: balancer.mac },
    ipv4(
      { from: balancer.ipv4, to: destination.ipv4, protocol: 4 },
      tcpFrame().subarray(14),
    ),
  );
  // After Ethernet, the IP header, and the message's type and code.
  const ICMP_SUM = 14 + 20 + 2;
  const ICMPV6_SUM = 14 + 40 + 2;

  /** The frame with one bit flipped. */
  function wrongAt(at: number, right = whole): Buffer {
    const wrong = Buffer.from(right);
    wrong.writeUInt8(wrong.readUInt8(at) ^ 1, at);
    return wrong;
  }

  test('that the frame these are made of is right', async () => {
    expect(await dissect([whole])).toMatchObject([{ faults: [], good: 3 }]);
  });

  test.each<[string, Buffer, RegExp]>([
    ['a wrong outer checksum', wrongAt(OUTER_SUM), /checksum/i],
    ['a wrong inner checksum', wrongAt(INNER_SUM), /checksum/i],
    ['a wrong checksum of TCP', wrongAt(TCP_SUM), /checksum/i],
    ['a wrong checksum of ICMP', wrongAt(ICMP_SUM, echoFrame('ipv4')), /checksum/i],
    ['a wrong checksum of ICMPv6', wrongAt(ICMPV6_SUM, echoFrame('ipv6')), /checksum/i],
    ['a wrong outer length', wrongAt(OUTER_LENGTH), /length|checksum/i],
    ['a frame that was cut off', whole.subarray(0, 60), /malformed|length/i],
  ])('of %s', async (_, frame, words) => {
    const [dissected] = await dissect([frame]);
    expect(dissected?.faults.join()).toMatch(words);
  });
});

describe('captured', () => {
  const VIP = '10.0.100.1';
  const BYTES = 50_000;
  let network: Network;
  const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
  const file = join(folder, 'capture.pcap');

  beforeAll(async () => {
    network = await Network.up('--count', '1', '--vip', VIP);
  });
  afterAll(async () => {
    await network.down();
    rmSync(folder, { recursive: true });
  });

  test('each packet of a connection, at the port of the destination', async () => {
    await network.expectOk('destination1', 'bin/l4lb-load.js', '-i', 'eth0', '--decap');
    network.start('destination1', 'node', 'testbed/transfer.mjs', 'answer', '7000');
    await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0', '-m', 'xdpdrv');
    const rows = join(folder, 'destinations.csv');
    writeFileSync(rows, '10.0.1.1,\n');
    const fill = ['-i', 'eth0', '-f', rows, '--vip', `${VIP}:7000/tcp`];
    await network.expectOk('balancer', 'bin/l4lb-map.js', ...fill);
    // Otherwise the switch merges several packets, and the result is none of ours.
    await network.expectOk('switch', 'ethtool', '-K', 'balancer', 'gro', 'off');
    // A short snapshot length lets its buffer hold more packets, so that none is lost.
    const tcpdump = ['-s', '2000', '-U', '-i', 'destination1', '-w', file, 'ip'];
    const capturing = network.start('switch', 'tcpdump', ...tcpdump);
    // tcpdump writes the file's header when it is ready.
    while (!existsSync(file) || statSync(file).size === 0) await sleep(20);

    const ask = ['testbed/transfer.mjs', 'ask', VIP, '7000', String(BYTES)];
    await network.expectOk('client', 'node', ...ask);
    await sleep(1500); // tcpdump looks for the last of them once a second
    capturing.kill('SIGINT');
    await new Promise((resolve) => capturing.on('close', resolve));

    const dissected = await dissectFile(file);
    expect(dissected.flatMap(({ faults }) => faults)).toEqual([]);
    expect(dissected.filter(({ unverified }) => unverified > 0)).toEqual([]);
    const there = dissected.filter(({ layers }) => layers.startsWith('eth:ip:ip:tcp'));
    const back = dissected.filter(({ layers }) => layers.startsWith('eth:ip:tcp'));
    expect(there.length).toBe((await network.sample()).totals.packets);
    expect(there.every(({ good }) => good === 3)).toBe(true);
    expect(back.every(({ good }) => good === 2)).toBe(true);
    expect(there.length + back.length).toBe(dissected.length);
  });
});
