// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The decapsulation program: single frames, and TCP all the way. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { hex } from '../../src/system/bpftool-text.js';
import type { MapInfo } from '../../src/system/bpftool-text.js';
import { encodeHost } from '../../src/abi/decap.js';
import { DECAP_ABI } from '../../src/abi/maps.js';
import { formatAddress, parseAddress } from '../../src/wire/address.js';
import { Bpftool } from '../../src/system/bpftool.js';
import { readDecap } from '../../src/program/decap.js';
import { mapNamed } from '../../src/program/find.js';
import { run } from '../../src/system/run.js';
import type { Ipv4 } from '../frames.js';
import {
  IPIP,
  IPV6,
  MORE_FRAGMENTS,
  UDP,
  ethernet,
  ipv4,
  packet,
  udp,
} from '../frames.js';
import { Network, ROOT } from './network.js';

const bpftool = new Bpftool(run);
const pin = `/sys/fs/bpf/l4lb-test-${process.pid}-decap`;
const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));

const balancer = { address: '10.0.0.4', mac: '02:00:00:00:00:04' };
const destination = { address: '10.0.1.15', mac: '02:00:0a:00:01:0f' };
const inner = ipv4(
  { from: '192.0.2.7', to: '203.0.113.10', protocol: UDP, tos: 4 },
  udp({ from: 4242, to: 80 }, Buffer.from('payload')),
);
const way = { to: destination.mac, from: balancer.mac };

function outer(fields: Partial<Ipv4> = {}, content = inner): Buffer {
  const header = { from: balancer.address, to: destination.address, protocol: IPIP };
  return ethernet(way, ipv4({ ...header, ...fields }, content));
}

let maps: MapInfo[];
afterAll(() => rmSync(folder, { recursive: true }));

async function send(
  frame: Buffer,
): Promise<{ retval: number; frame: Buffer; verdict: string }> {
  const before = (await readDecap({ bpftool }, maps)).verdicts;
  const file = join(folder, 'frame');
  writeFileSync(file, frame);
  const [answer] = await bpftool.queries([
    `prog run pinned ${pin} data_in ${file} data_out -`,
  ]);
  const { retval, data_out: data } = answer as { retval: number; data_out: number[] };
  const after = (await readDecap({ bpftool }, maps)).verdicts;
  const counted = Object.keys(after).filter(
    (name) => after[name]?.packets !== before[name]?.packets,
  );
  return { retval, frame: Buffer.from(data), verdict: counted.join() };
}

describe('single frames', () => {
  beforeAll(async () => {
    await bpftool.load(join(ROOT, 'l4lb_decap.o'), pin);
    maps = await bpftool.maps((await bpftool.program('pinned', pin)).mapIds);
  });
  afterAll(() => rmSync(pin, { force: true }));

  const PASS = 2;
  const DROP = 1;
  const plain = ethernet(way, inner);

  test('a program that knows no address takes every outer header off', async () => {
    expect(await send(outer({ to: '10.9.9.9' }))).toEqual({
      retval: PASS,
      frame: plain,
      verdict: 'decapsulated',
    });
  });

  test('told the addresses, it keeps to them', async () => {
    const id = (name: string): number => mapNamed(maps, name).id;
    const address = parseAddress(destination.address) as Buffer;
    await bpftool.queries([
      `map update id ${id('addresses')} key hex ${hex(address)} value hex 01 00 00 00`,
      `map update id ${id('host')} key hex 00 00 00 00 value hex ${hex(encodeHost({ abi: DECAP_ABI, names: {} }))}`,
    ]);
    const stranger = outer({ to: '10.9.9.9' });
    expect(await send(stranger)).toEqual({
      retval: PASS,
      frame: stranger,
      verdict: 'not this host',
    });
  });

  test.each<[string, Buffer, Buffer]>([
    ['an IPIP packet', outer(), plain],
    ['an outer header with options', outer({ options: Buffer.alloc(12, 1) }), plain],
    [
      'padding behind it',
      Buffer.concat([outer(), Buffer.alloc(9)]),
      Buffer.concat([plain, Buffer.alloc(9)]),
    ],
  ])('decapsulated: %s', async (_, frame, expected) => {
    expect(await send(frame)).toEqual({
      retval: PASS,
      frame: expected,
      verdict: 'decapsulated',
    });
  });

  test.each<[string, Buffer]>([
    ['plain UDP', plain],
    ['ARP', ethernet({ ...way, type: 0x0806 }, Buffer.alloc(28))],
    ['a fragment, which the stack puts together', outer({ fragment: MORE_FRAGMENTS })],
    ['a frame cut off in the outer header', outer().subarray(0, 33)],
    ['an outer header that is too short to be one', outer({ headerWords: 4 })],
  ])('not ipip: %s', async (_, frame) => {
    expect(await send(frame)).toEqual({ retval: PASS, frame, verdict: 'not ipip' });
  });

  test.each<[string, Buffer]>([
    ['the frame ends in the inner header', outer().subarray(0, 50)],
    ['the outer length claims too much', outer({ length: 1000 })],
    ['the outer length ends in the inner header', outer({ length: 39 })],
    ['the inner packet is not IPv4', outer({}, Buffer.alloc(40, 0x60))],
    ['the inner length claims too much', outer({}, inner.subarray(0, inner.length - 1))],
  ])('malformed: %s', async (_, frame) => {
    expect(await send(frame)).toEqual({ retval: DROP, frame, verdict: 'malformed' });
  });
});

describe('both families, tags, and what routers said', () => {
  const addresses = {
    ipv4: {
      outer: [balancer.address, destination.address],
      inner: ['192.0.2.7', '203.0.113.10'],
    },
    ipv6: {
      outer: ['2001:db8:b::4', '2001:db8:d::15'],
      inner: ['2001:db8:c::7', '2001:db8:5::10'],
    },
  };
  const FAMILIES = ['ipv4', 'ipv6'] as const;
  type Family = (typeof FAMILIES)[number];
  const between = (
    family: Family,
    which: 'outer' | 'inner',
  ): { from: string; to: string } => {
    const [from = '', to = ''] = addresses[family][which];
    return { from, to };
  };
  const content = (family: Family, tos: number): Buffer =>
    packet(
      { ...between(family, 'inner'), protocol: UDP, tos },
      udp({ from: 4242, to: 80 }),
    );
  const around = (family: Family, tos: number, insides: Buffer): Buffer => {
    const protocol = (insides[0] ?? 0) >> 4 === 6 ? IPV6 : IPIP;
    return packet({ ...between(family, 'outer'), protocol, tos }, insides);
  };

  // A program that knows no address takes off every outer header.
  beforeAll(async () => {
    await bpftool.load(join(ROOT, 'l4lb_decap.o'), pin);
    maps = await bpftool.maps((await bpftool.program('pinned', pin)).mapIds);
  });
  afterAll(() => rmSync(pin, { force: true }));

  const tagged: [number, number][][] = [
    [],
    [[0x8100, 7]],
    [
      [0x88a8, 100],
      [0x8100, 7],
    ],
  ];
  const pairs = FAMILIES.flatMap((family) =>
    FAMILIES.map((over) => [family, over] as const),
  );
  test.each(pairs)('%s in %s, with no, one and two tags', async (family, over) => {
    for (const tags of tagged) {
      const frame = ethernet({ ...way, tags }, around(over, 0, content(family, 0xb8)));
      expect(await send(frame)).toEqual({
        retval: 2,
        frame: ethernet({ ...way, tags }, content(family, 0xb8)),
        verdict: 'decapsulated',
      });
    }
  });

  const NOT_ECT = 0;
  const ECT_1 = 1;
  const ECT_0 = 2;
  const CE = 3;
  /** RFC 6040, figure 4: rows are the inner marks, columns the outer ones. */
  const joined: Record<number, (number | 'drop')[]> = {
    [NOT_ECT]: [NOT_ECT, NOT_ECT, NOT_ECT, 'drop'],
    [ECT_0]: [ECT_0, ECT_1, ECT_0, CE],
    [ECT_1]: [ECT_1, ECT_1, ECT_1, CE],
    [CE]: [CE, CE, CE, CE],
  };
  test.each(pairs)('%s in %s: ECN after RFC 6040', async (family, over) => {
    for (const had of [NOT_ECT, ECT_1, ECT_0, CE]) {
      for (const said of [NOT_ECT, ECT_1, ECT_0, CE]) {
        const frame = ethernet(
          way,
          around(over, 0x68 | said, content(family, 0xb8 | had)),
        );
        const ecn = joined[had]?.[said] ?? 'drop';
        expect(await send(frame)).toEqual(
          ecn === 'drop'
            ? { retval: 1, frame, verdict: 'ecn' }
            : {
                retval: 2,
                frame: ethernet(way, content(family, 0xb8 | ecn)),
                verdict: 'decapsulated',
              },
        );
      }
    }
  });

  test.each<[string, Buffer]>([
    [
      'the wrong version inside',
      packet({ ...between('ipv6', 'outer'), protocol: IPV6 }, content('ipv4', 0)),
    ],
    ['IPv6 cut short inside', around('ipv4', 0, content('ipv6', 0).subarray(0, 39))],
    [
      'an inner length that claims too much',
      around('ipv6', 0, content('ipv6', 0).subarray(0, 47)),
    ],
  ])('malformed: %s', async (_, insides) => {
    const frame = ethernet(way, insides);
    expect(await send(frame)).toEqual({ retval: 1, frame, verdict: 'malformed' });
  });
});

describe('a host whose addresses change', () => {
  let network: Network;
  beforeAll(async () => {
    network = await Network.up('--ipv6');
  });
  afterAll(() => network.down());

  const address = (verb: 'add' | 'del', text: string): Promise<unknown> =>
    network.expectOk('balancer', 'ip', 'addr', verb, text, 'dev', 'lo');
  const whose = async (): Promise<string[]> => {
    const { stdout } = await network.l4lb('load', '--status', '--json');
    const { programs } = JSON.parse(stdout) as { programs: { id: number }[] };
    const { mapIds } = await bpftool.program('id', programs[0]?.id ?? -1);
    const map = mapNamed(await bpftool.maps(mapIds), 'addresses');
    return (await bpftool.dump(map.id)).map(({ key }) => formatAddress(key)).sort();
  };

  test('--replace forgets an address that the host no longer has', async () => {
    await address('add', '203.0.113.10/32');
    await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0', '--decap');
    expect(await whose()).toContain('203.0.113.10');
    await address('del', '203.0.113.10/32');
    await address('add', '203.0.113.11/32');
    await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0', '--replace');
    const now = await whose();
    expect(now).toContain('203.0.113.11');
    expect(now).not.toContain('203.0.113.10');
  });

  test('an IPv4 address in the form of IPv6 causes no crash', async () => {
    await address('add', '::ffff:9.9.9.9/128');
    await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0', '--replace');
    expect(await whose()).not.toContain('9.9.9.9');
  });
});

describe('TCP all the way', () => {
  test('reaches four destinations, which answer directly', async () => {
    const { stdout } = await execa('testbed/demo-tcp.sh', ['100'], { cwd: ROOT });
    const answered = [...stdout.matchAll(/destination\d\D+(\d+)/g)].map(([, count]) =>
      Number(count),
    );
    expect(stdout).toMatch(/100/);
    expect(answered.length).toBeGreaterThanOrEqual(4);
  });
});
