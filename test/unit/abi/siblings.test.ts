// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The structs of programs/decap.h about names and siblings, byte by byte. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';

import { decodeHost, encodeHost } from '../../../src/abi/decap.js';
import { LITTLE, putU32, putU64 } from '../../../src/abi/bytes.js';
import {
  MOST_SIBLINGS,
  decodeSibling,
  decodeSiblingKey,
  encodePair,
  encodeSibling,
  encodeSiblingKey,
  sumPairs,
} from '../../../src/abi/siblings.js';
import type { Pair } from '../../../src/abi/siblings.js';
import { ip, mac } from '../wire/names.js';

const HEADER = readFileSync(
  new URL('../../../programs/decap.h', import.meta.url),
  'utf8',
);

/** The offsets of the fields of a struct whose words all have the size of their type. */
function offsetsOf(struct: string): Record<string, number> {
  const body = new RegExp(`struct ${struct} \\{([^}]*)\\}`).exec(HEADER)?.[1] ?? '';
  const sizes: Record<string, number> = {
    __u8: 1,
    __u16: 2,
    __be32: 4,
    __u32: 4,
    __u64: 8,
  };
  let at = 0;
  const offsets: Record<string, number> = {};
  const fields = body.matchAll(/^\t(?:struct )?(\w+) (\w+)(?:\[(\d+)\])?;/gm);
  for (const [, type = '', name = '', count = '1'] of fields) {
    offsets[name] = at;
    at += (sizes[type] ?? 24) * Number(count);
  }
  return { ...offsets, end: at };
}

const IPV4 = { address: ip('10.7.0.0'), length: 16 };
const IPV6 = { address: ip('fd00:7::'), length: 96 };

test.each([
  ['decap_host', encodeHost({ abi: 1, names: {} }).length],
  ['decap_sibling_key', encodeSiblingKey({ number: 1, version: 4 }).length],
  [
    'decap_sibling',
    encodeSibling({ address: ip('::1'), mac: mac('02:00:00:00:00:01'), pair: 1 }).length,
  ],
  ['decap_pair', encodePair(sumPairs([])).length],
])('struct %s has as many bytes as the header asserts', (struct, length) => {
  const asserted = new RegExp(`sizeof\\(struct ${struct}\\) == (\\d+)`).exec(HEADER)?.[1];
  expect(Number(asserted)).toBe(length);
  expect(offsetsOf(struct).end).toBe(length);
});

test('the most siblings are as many as in the header', () => {
  expect(HEADER).toContain(`#define DECAP_SIBLINGS ${MOST_SIBLINGS}\n`);
});

test('names lie in the host where the header has them', () => {
  const host = encodeHost({ abi: 1, names: { ipv4: IPV4, ipv6: IPV6 } });
  const { names = 0 } = offsetsOf('decap_host');
  const { prefix = 0, mask = 0, bits = 0 } = offsetsOf('decap_names');
  const four = host.subarray(names, names + 24);
  expect(four.subarray(prefix, prefix + 16)).toEqual(ip('10.7.0.0'));
  expect(four.subarray(mask, mask + 4).toString('hex')).toBe('ffff0000');
  const eight = Buffer.alloc(4);
  putU32(eight, 8, 0);
  expect(four.subarray(bits, bits + 4)).toEqual(eight);
  const six = host.subarray(names + 24);
  expect(six.subarray(prefix, prefix + 16)).toEqual(ip('fd00:7::'));
  expect(six.subarray(mask, mask + 4).toString('hex')).toBe('00000000');
});

test.each([
  { abi: 1, names: {} },
  { abi: 1, names: { ipv4: IPV4 } },
  { abi: 1, names: { ipv6: IPV6 } },
  { abi: 1, names: { ipv4: IPV4, ipv6: IPV6 } },
])('a host is read back as it was written', (host) => {
  expect(decodeHost(encodeHost(host))).toEqual(host);
});

test('a sibling lies as in the header, and is read back', () => {
  const sibling = {
    address: ip('10.0.1.2'),
    mac: mac('02:00:0a:00:01:02'),
    pair: 0x0102,
  };
  const value = encodeSibling(sibling);
  const pair = LITTLE ? '0201' : '0102';
  expect(value.toString('hex')).toBe(
    `00000000000000000000ffff0a00010202000a000102${pair}`,
  );
  expect(decodeSibling(value)).toEqual(sibling);
  for (const version of [4, 6] as const) {
    const key = { number: 258, version };
    expect(decodeSiblingKey(encodeSiblingKey(key))).toEqual(key);
  }
});

test('a pair has its words in the order of the header', () => {
  const pair: Pair = {
    since: 1n,
    found: { packets: 2n, last: 3n },
    sent: { packets: 4n, bytes: 5n, last: 6n },
    named: { packets: 7n, last: 8n },
  };
  const names = [
    'since',
    'found',
    'found_last',
    'sent',
    'sent_bytes',
    'sent_last',
    'named',
    'named_last',
  ];
  const offsets = offsetsOf('decap_pair');
  const expected = Buffer.alloc(64);
  names.forEach((name, index) =>
    putU64(expected, BigInt(index + 1), offsets[name] ?? -1),
  );
  expect(encodePair(pair)).toEqual(expected);
});

test('the packets of all CPUs are added, and the last time is the latest', () => {
  const cpu = (packets: bigint, last: bigint): Buffer => {
    const events = { packets, last };
    return encodePair({
      since: last,
      found: events,
      sent: { ...events, bytes: 2n * packets },
      named: events,
    });
  };
  expect(sumPairs([cpu(1n, 9n), cpu(2n, 5n)])).toEqual({
    since: 9n,
    found: { packets: 3n, last: 9n },
    sent: { packets: 3n, bytes: 6n, last: 9n },
    named: { packets: 3n, last: 9n },
  });
});
