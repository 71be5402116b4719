// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { VERDICTS } from '../../../src/abi/verdicts.js';
import { toJson } from '../../../src/system/output.js';
import { sampleJson } from '../../../src/stats/json.js';
import { sample, withAnswers } from './samples.js';

const RATES = ['packets', 'bytes', 'pps', 'bps'];
const SAMPLE = sample({ '10.0.1.15': 1000, '10.0.2.16': 500 }, { 'not ip': 3 });

describe('sample-json', () => {
  test('has these names, in this order', () => {
    const json = sampleJson(SAMPLE);
    expect(Object.keys(json)).toEqual([
      'time',
      'interface',
      'mode',
      'interval_s',
      'destinations',
      'totals',
      'verdicts',
      'records',
    ]);
    const { destinations, totals, verdicts } = json as {
      destinations: object[];
      totals: object;
      verdicts: Record<string, object>;
    };
    for (const destination of destinations) {
      expect(Object.keys(destination)).toEqual(['id', 'address', ...RATES]);
    }
    expect(Object.keys(totals)).toEqual(RATES);
    expect(Object.keys(verdicts)).toEqual(VERDICTS.map(({ name }) => name));
    for (const verdict of Object.values(verdicts)) {
      expect(Object.keys(verdict)).toEqual(RATES);
    }
  });

  test('is one line of JSON with the values of the sample', () => {
    const line = toJson(sampleJson(SAMPLE));
    expect(line).not.toContain('\n');
    expect(JSON.parse(line)).toMatchObject({
      time: '2026-11-21T09:00:00.000Z',
      interface: 'ens4',
      mode: 'Driver',
      interval_s: 1,
      destinations: [
        {
          id: 1,
          address: '10.0.1.15',
          packets: 1_000_000,
          bytes: 144_000_000,
          pps: 1000,
          bps: 1_152_000,
        },
        { id: 2, address: '10.0.2.16' },
      ],
      totals: { packets: 1_500_000, bytes: 216_000_000, pps: 1500, bps: 1_728_000 },
      verdicts: { 'not ip': { packets: 3000 } },
    });
  });

  test('has answers where they come back, and in the totals', () => {
    const json = sampleJson(withAnswers(SAMPLE, { '10.0.1.15': 900 }));
    const answers = { packets: 900_000n, bytes: 129_600_000n, pps: 900, bps: 1_036_800 };
    const { destinations, totals } = json as {
      destinations: Record<string, unknown>[];
      totals: Record<string, unknown>;
    };
    expect(destinations[0]).toMatchObject({ address: '10.0.1.15', pps: 1000, answers });
    expect(Object.keys(destinations[1] ?? {})).not.toContain('answers');
    expect(totals).toMatchObject({ pps: 1500, answers });
  });

  test.each([
    { packets: 0n },
    { packets: 2n ** 53n + 1n },
    { packets: 2n ** 64n - 1n },
    { packets: -1n },
  ])('writes the exact integer $packets', ({ packets }) => {
    const totals = { ...SAMPLE.totals, packets };
    expect(toJson(sampleJson({ ...SAMPLE, totals }))).toContain(
      `"totals":{"packets":${packets},"bytes":`,
    );
  });

  test('a text of digits stays a text', () => {
    expect(toJson({ text: '12', number: 12n })).toBe('{"text":"12","number":12}');
    const hostile = 'a\u001b[2J\u009b\u202e\n';
    const told = toJson({ reason: hostile });
    expect(told).toBe('{"reason":"a\\u001b[2J\\u009b\\u202e\\n"}');
    expect(JSON.parse(told)).toEqual({ reason: hostile });
  });

  test.each([
    { value: 0.30000000000000004, written: 0.3 },
    { value: 1234.5678, written: 1234.6 },
    { value: 1e12 + 0.25, written: 1_000_000_000_000.3 },
  ])('rounds the rate $value to $written', ({ value, written }) => {
    const json = sampleJson({ ...SAMPLE, totals: { ...SAMPLE.totals, pps: value } });
    expect(json).toMatchObject({ totals: { pps: written } });
  });

  test('has the interval to the microsecond', () => {
    expect(sampleJson({ ...SAMPLE, interval: 1.00000149 })).toMatchObject({
      interval_s: 1.000001,
    });
  });
});
