// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { CASES } from '../../../bench/cases.js';
import { readPerf } from '../../../bench/inside.js';
import { dnatRules, forwardRules } from '../../../bench/nftables.js';
import { report } from '../../../bench/report.js';
import type { PacketsResult, Result } from '../../../bench/result.js';
import { spreadBeside, spreadOf } from '../../../bench/result.js';
import { drawBench } from '../../../bench/svg.js';
import type { Traffic } from '../../../bench/traffic.js';
import { USUAL_TRAFFIC, floodArguments } from '../../../bench/traffic.js';
import { describeFrame } from '../../../src/explain/text.js';

describe('rounds', () => {
  test.each([
    { rounds: [3, 1, 2], median: 2 },
    { rounds: [4, 1, 3, 2], median: 2.5 },
    { rounds: [7], median: 7 },
  ])('of $rounds the median is $median', ({ rounds, median }) => {
    expect(spreadOf(rounds).median).toBe(median);
  });

  test('half of them lie between the quartiles', () => {
    expect(spreadOf([9, 1, 5, 3, 7])).toEqual({ median: 5, lower: 3, upper: 7 });
    expect(spreadOf([4, 1, 3, 2])).toEqual({ median: 2.5, lower: 1.75, upper: 3.25 });
  });

  test('each is compared with the same round of the other', () => {
    const over = spreadBeside([10, 50, 30], [1, 40, 22], (one, other) => one - other);
    expect(over).toEqual({ median: 9, lower: 8.5, upper: 9.5 });
  });
});

function argumentsOf(traffic: Partial<Traffic>): { frame: string[]; varied: string[] } {
  const args = floodArguments({ ...USUAL_TRAFFIC, ...traffic }, 1000);
  const headers = args[args.indexOf('--headers') + 1] ?? '';
  return {
    frame: describeFrame(Buffer.from(headers, 'hex')),
    varied: args.filter((_, index) => args[index - 1] === '--vary'),
  };
}

describe('traffic', () => {
  test('sources that a host can have, and ports above 32767', () => {
    expect(argumentsOf({}).varied).toEqual(['211+29@24,40u', '273+15@40u']);
  });

  test('64 services: the last six bits of the port instead', () => {
    expect(argumentsOf({ services: 64 }).varied).toEqual(['211+29@24,40u', '298+6@40u']);
  });

  test('encapsulated, the inner fields lie 20 bytes further on', () => {
    const { frame, varied } = argumentsOf({ isEncapsulated: true });
    expect(varied).toEqual(['371+29@44,60u', '433+15@60u']);
    const text = frame.join('\n');
    expect(text).toContain('10.0.0.9');
    expect(text).toContain('10.0.100.1');
  });
});

test('a hot packet of a connection that the destination has: only ports differ', () => {
  const hot = { kind: 'tcp', isEncapsulated: true, isNamed: true, isHeld: true } as const;
  const { frame, varied } = argumentsOf({ ...hot, flows: 1024 });
  expect(varied).toEqual(['438+10@70']);
  const text = frame.join('\n');
  expect(text).toContain('10.7.0.5');
  expect(text).toContain('10.8.0.1');
  expect(text).toContain('32768');
});

test('every case has a name of its own', () => {
  const names = CASES.map(({ group, name }) => `${group}: ${name}`);
  expect(new Set(names).size).toBe(names.length);
});

test('nftables gets one destination for each value of the hash', () => {
  expect(forwardRules(2)).toContain(
    'ip daddr 10.0.100.1 udp dport 8000 ether daddr set jhash ip saddr . udp sport mod 2 ' +
      'seed 1 map { 0 : 02:00:00:00:01:00, 1 : 02:00:00:00:01:01 } fwd to eth0',
  );
  expect(dnatRules(2)).toContain('map { 0 : 10.1.0.0, 1 : 10.1.0.1 }');
});

describe("the processor's counters", () => {
  test('a packet has its share', () => {
    const text = '5000,,cycles,100,100.00,,\n20000,,instructions,100,100.00,4.00,insn\n';
    expect(readPerf(text, 100)).toEqual({ cycles: 50, instructions: 200 });
  });

  test('a machine that has none, or keeps them to itself', () => {
    const text =
      '<not supported>,,cycles,0,100.00,,\n<not supported>,,instructions,0,,\n';
    expect(readPerf(text, 100)).toBeUndefined();
  });
});

const HOST: PacketsResult = {
  group: 'builds',
  name: 'host',
  packets: 1000,
  lost: 5,
  path: { median: 100, lower: 99, upper: 104 },
  over: { median: 22.5, lower: 21, upper: 25 },
  ratio: { median: 1.29, lower: 1.27, upper: 1.32 },
  run: 46,
  instructions: 5060,
  hardware: undefined,
};
const RESULT: Result = {
  machine: {
    date: '2026-01-02',
    kernel: '6.18',
    processor: 'one <of> many',
    processors: 2,
    commit: 'abc',
  },
  packets: [HOST],
  throughput: [],
  connections: [],
  tools: [],
  dpdk: [],
};

test('the table', () => {
  expect(report(RESULT)).toContain(
    '| builds | host | 100.0 (99.0 to 104.0) | 22.5 (21.0 to 25.0) | 1.29 (1.27 to 1.32) | ' +
      '10.00 | 0.50 % | ' +
      '46.0         | 5,060 long   |',
  );
});

test('the table of throughput: a ratio where there is something to compare with', () => {
  const rate = { median: 5, lower: 4.5, upper: 5.25 };
  const throughput = [
    { name: 'routing', rate, beside: undefined, ratio: undefined },
    { name: 'by the link', rate, beside: 'routing', ratio: rate },
  ];
  const text = report({ ...RESULT, packets: [], throughput });
  expect(text).toContain('| routing            | 5.00 (4.50 to 5.25) |');
  expect(text).toContain(
    '| by the link        | 5.00 (4.50 to 5.25) | 5.00 (4.50 to 5.25) | routing |',
  );
});

test('the drawing has a bar for each case over a floor', () => {
  const svg = drawBench({ ...RESULT, packets: [HOST, { ...HOST, over: undefined }] });
  expect(svg.match(/builds: host/g)).toHaveLength(1);
  expect(svg).toContain('one &lt;of&gt; many');
});

test('a bar that is off the scale is cut, and says how long it is', () => {
  const slow = { ...HOST, name: 'slow', over: { median: 4000, lower: 1, upper: 9000 } };
  const svg = drawBench({ ...RESULT, packets: [HOST, slow] });
  expect(svg).toContain('>4000.0 →<');
  const bars = [...svg.matchAll(/width="([\d.]+)" height="14"/g)];
  expect(bars.map(([, width]) => Number(width))).toEqual([34.5, 490]);
});
