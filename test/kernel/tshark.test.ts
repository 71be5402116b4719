// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A second opinion on what the balancer sends: tshark decodes it, and finds no fault. */
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Build } from '../../src/attached.js';
import type { Ports } from '../frames.js';
import { TCP, UDP, checksum, ethernet, ip, ipv4, tcp, u16, udp } from '../frames.js';
import { dissect, dissectFile } from '../tshark.js';
import { Network } from './network.js';
import { Program } from './program.js';

const client = { address: '192.0.2.7', mac: '02:00:00:00:00:01' };
const balancer = { address: '10.0.0.4', mac: '02:00:00:00:00:04' };
const destination = { address: '10.0.1.15', mac: '02:00:0a:00:01:0f' };
const ports: Ports = { from: 4242, to: 80 };
// No protocol that tshark knows by its port: the layers end in what we made.
const payload = Buffer.from('some payload');

/** Fills in the checksum, which stands at an offset, over the pseudo header and all. */
function summed(segment: Buffer, protocol: number, at: number): Buffer {
  const pseudo = Buffer.concat([
    ip(client.address),
    ip(balancer.address),
    u16(protocol),
    u16(segment.length),
  ]);
  const padding = Buffer.alloc(segment.length % 2);
  const result = Buffer.from(segment);
  result.writeUInt16BE(checksum(Buffer.concat([pseudo, segment, padding])), at);
  return result;
}

const inIpv4 = { from: client.address, to: balancer.address };
const toBalancer = { to: balancer.mac, from: client.mac };

function tcpFrame(tos = 0): Buffer {
  const segment = summed(Buffer.concat([tcp(ports), payload]), TCP, 16);
  return ethernet(toBalancer, ipv4({ ...inIpv4, protocol: TCP, tos }, segment));
}

function udpFrame(): Buffer {
  const datagram = summed(udp(ports, payload), UDP, 6);
  return ethernet(toBalancer, ipv4({ ...inIpv4, protocol: UDP }, datagram));
}

interface Row {
  what: string;
  /** What comes to the balancer. */
  frame: Buffer;
  /** What tshark finds in what it sends. */
  layers: string;
  /** How many of the layers have a checksum. */
  checksums: number;
}

const rows: Row[] = [
  { what: 'TCP, IPv4 in IPv4', frame: tcpFrame(), layers: 'eth:ip:ip:tcp', checksums: 3 },
  { what: 'UDP, IPv4 in IPv4', frame: udpFrame(), layers: 'eth:ip:ip:udp', checksums: 3 },
  {
    what: 'a class of service',
    frame: tcpFrame(0xb9),
    layers: 'eth:ip:ip:tcp',
    checksums: 3,
  },
  {
    what: 'padding',
    frame: Buffer.concat([udpFrame(), Buffer.alloc(4)]),
    layers: 'eth:ip:ip:udp',
    checksums: 3,
  },
];

/** Layers behind the last that we made are the payload, which is nobody's here. */
function withoutPayload(layers: string): string {
  return layers.replace(/:data$/, '');
}

describe.each<Build>(['host', 'portable'])('%s build', (build) => {
  let program: Program;

  beforeAll(async () => {
    program = await Program.load(build);
    await program.fill({
      destinations: { [destination.address]: destination.mac },
      source: balancer.address,
      mac: balancer.mac,
    });
  });
  afterAll(() => program.close());

  test.each(rows)('$what: tshark decodes it as $layers', async (row) => {
    const { action, frame } = await program.send(row.frame);
    expect(action).toBe('TX');
    const [dissected] = await dissect([frame]);
    expect({ ...dissected, layers: withoutPayload(dissected?.layers ?? '') }).toEqual({
      layers: row.layers,
      faults: [],
      good: row.checksums,
      unverified: 0,
    });
  });
});

describe('tshark would tell', () => {
  const OUTER_SUM = 14 + 10;
  const INNER_SUM = OUTER_SUM + 20;
  const TCP_SUM = 14 + 20 + 20 + 16;
  const OUTER_LENGTH = 14 + 2;
  const whole = ethernet(
    { to: destination.mac, from: balancer.mac },
    ipv4(
      { from: balancer.address, to: destination.address, protocol: 4 },
      tcpFrame().subarray(14),
    ),
  );

  /** The frame with one bit the other way. */
  function wrongAt(at: number): Buffer {
    const frame = Buffer.from(whole);
    frame.writeUInt8(frame.readUInt8(at) ^ 1, at);
    return frame;
  }

  test('that the frame these are made of is right', async () => {
    expect(await dissect([whole])).toMatchObject([{ faults: [], good: 3 }]);
  });

  test.each<[string, Buffer, RegExp]>([
    ['a wrong outer checksum', wrongAt(OUTER_SUM), /checksum/i],
    ['a wrong inner checksum', wrongAt(INNER_SUM), /checksum/i],
    ['a wrong checksum of TCP', wrongAt(TCP_SUM), /checksum/i],
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
    // Or the switch puts several packets together, and these are none of ours.
    await network.expectOk('switch', 'ethtool', '-K', 'balancer', 'gro', 'off');
    // No more of a packet than it has: its buffer holds more of them, and none is lost.
    const tcpdump = ['-s', '2000', '-U', '-i', 'destination1', '-w', file, 'ip'];
    const capturing = network.start('switch', 'tcpdump', ...tcpdump);
    // It writes the file's header when it is ready.
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
