// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { clientArguments, parseIperf, serverArguments } from '../../../bench/iperf.js';
import { dnatTo } from '../../../bench/nftables.js';
import { THROUGHPUT, checkIperf, throughputCases } from '../../../bench/throughput.js';
import { Failure } from '../../../src/text/failure.js';

const names = (only: RegExp): string[] => throughputCases(only).map(({ name }) => name);

describe('iperf', () => {
  test('the last field of its line is bits a second', () => {
    const line =
      '19700101000000,10.0.0.2,49042,10.2.0.2,23,1,0.0-1.0,1075707964,8594817052';
    expect(parseIperf(`${line}\n`)).toBeCloseTo(8.5948, 4);
  });

  test.each(['', 'tcp connect failed: No route to host', '1,2,3,0'])(
    '%j is no rate',
    (text) => {
      expect(() => parseIperf(text)).toThrow(Failure);
    },
  );

  test('an IPv6 address needs its family said, at both ends', () => {
    const [ipv4, ipv6] = ['10.0.0.1', '2001:db8::1'].map((address) => {
      const target = { address, port: 23 };
      return [...serverArguments(target), ...clientArguments(target, 1)];
    });
    expect(ipv4).not.toContain('--ipv6_domain');
    expect(ipv6?.filter((one) => one === '--ipv6_domain')).toHaveLength(2);
  });

  test('where it is missing, the failure says how to install it, or to do without', async () => {
    const missing = (): Promise<never> =>
      Promise.reject(new Failure('no iperf on this machine'));
    await expect(checkIperf(missing)).rejects.toMatchObject({
      message: 'no iperf on this machine',
      advice: { next: './setup.sh iperf, or make bench ARGS=--no-throughput' },
    });
  });
});

describe('cases', () => {
  test('each has a name of its own, and comes after what it is compared with', () => {
    const all = THROUGHPUT.map(({ name }) => name);
    expect(new Set(all).size).toBe(all.length);
    THROUGHPUT.forEach(({ beside }, index) => {
      if (beside !== undefined) expect(all.slice(0, index)).toContain(beside);
    });
  });

  test('a pattern chooses some, and what these are compared with', () => {
    expect(names(/throughput: by the link, IPv6/)).toEqual([
      "the kernel's routing, IPv6",
      'by the link, IPv6',
    ]);
    expect(names(/builds/)).toEqual([]);
    expect(names(/(?:)/)).toHaveLength(THROUGHPUT.length);
  });
});

test('nftables sends the same connections on', () => {
  expect(dnatTo({ address: '10.0.0.1', port: 23 }, '10.2.0.2')).toContain(
    'ip daddr 10.0.0.1 tcp dport 23 dnat to 10.2.0.2\n',
  );
});
