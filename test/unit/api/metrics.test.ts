// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';

import { VERDICTS } from '../../../src/abi/verdicts.js';
import { METRICS, metricsOf, serves } from '../../../src/api/metrics.js';
import { packaged } from '../../../src/system/package.js';
import { destination, fleet, service, status } from './status.js';

/** The lines of a metric, without those about it. */
function linesOf(text: string, name: string): string[] {
  return text.split('\n').filter((line) => new RegExp(`^${name}[ {]`).test(line));
}

describe('the text for Prometheus', () => {
  test('says all of a status', () => {
    // Verdicts are too many for a snapshot, and have a test of their own.
    const text = metricsOf(status({ verdicts: null, fleet: fleet() }));
    expect(text).toMatchSnapshot();
  });

  test('has each verdict, also those that no packet had', () => {
    const lines = linesOf(metricsOf(status()), 'l4lb_verdict_packets_total');
    expect(lines).toHaveLength(VERDICTS.length);
    expect(lines).toContain(
      'l4lb_verdict_packets_total{verdict="too big",action="DROP"} 3',
    );
    expect(lines).toContain(
      'l4lb_verdict_packets_total{verdict="balanced",action="TX"} 0',
    );
  });

  test('leaves out what could not be seen, and says how much that is', () => {
    const unseen = ['counters: no program', 'slots: no program'];
    const blind = service({
      ...{ hot: null, counted: null },
      destinations: [destination({ slots: null, counted: null })],
    });
    const text = metricsOf(status({ services: [blind], verdicts: null, unseen }));
    expect(linesOf(text, 'l4lb_unseen')).toEqual(['l4lb_unseen 2']);
    for (const name of [
      'l4lb_service_hot_slots',
      'l4lb_service_packets_total',
      'l4lb_destination_slots',
      'l4lb_destination_bytes_total',
      'l4lb_verdict_packets_total',
    ]) {
      expect(text).not.toContain(name);
    }
  });

  test.each([
    ['a quote', 'a "b"', 'a \\"b\\"'],
    ['a backslash', 'a\\b', 'a\\\\b'],
    ['the end of a line', 'a\nb', 'a\\nb'],
    ['other scripts', 'wëb {x}, y=1', 'wëb {x}, y=1'],
  ])('escapes %s in a label', (_, name, escaped) => {
    const text = metricsOf(status({ services: [service({ name })] }));
    expect(linesOf(text, 'l4lb_service_up')).toEqual([
      `l4lb_service_up{service="${escaped}"} 1`,
    ]);
  });

  test('says nothing of checks where there are none', () => {
    const text = metricsOf(status({ services: [service({ check: null })] }));
    expect(linesOf(text, 'l4lb_destination_checks_total')).toEqual([]);
  });

  test.each([
    ['up', null, 1, 1, 0],
    ['suspect', null, 1, 2, 0],
    ['down', null, 0, 3, 0],
    ['dead', 'down', 0, 4, 2],
    ['starting', 'drained', 1, 5, 1],
  ] as const)(
    'a destination that is %s, by hand %s',
    (state, byHand, up, number, hand) => {
      const one = destination({ state, by_hand: byHand });
      const text = metricsOf(status({ services: [service({ destinations: [one] })] }));
      const value = (name: string): number =>
        Number(linesOf(text, `l4lb_destination_${name}`)[0]?.split(' ').pop());
      expect([value('up'), value('state'), value('by_hand')]).toEqual([up, number, hand]);
    },
  );

  test.each([
    ['all are up', [destination()], true],
    ['one is up', [destination({ state: 'dead', live: 0 }), destination()], true],
    ['only one that is drained is up', [destination({ live: 0 })], false],
    ['those that get packets are down', [destination({ state: 'down' })], false],
    ['there are none', [], false],
  ])('whether a service serves: %s', (_, destinations, expected) => {
    expect(serves({ destinations })).toBe(expected);
  });

  test('is made of 4,096 destinations within a scrape', () => {
    const destinations = Array.from({ length: 4096 }, (_, index) =>
      destination({ name: `10.0.${index >> 8}.${index & 255}` }),
    );
    const large = status({ services: [service({ destinations })] });
    const begun = process.cpuUsage();
    const { length } = metricsOf(large).split('\n');
    const { user, system } = process.cpuUsage(begun);
    expect(length).toBeGreaterThan(12 * 4096);
    // A tenth of that, unless many others use the processor.
    expect((user + system) / 1000).toBeLessThan(600);
  });

  test('names are told apart, counters end as Prometheus wants it, others do not', () => {
    const names = METRICS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, type, help } of METRICS) {
      expect(name).toMatch(/^l4lb_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(type === 'counter');
      expect(help).toMatch(/^[^\n\\]+\.$/);
    }
  });
});

describe('what is made of them', () => {
  const known = new Set(METRICS.map(({ name }) => name));
  const namesIn = (text: string): string[] => text.match(/\bl4lb_[a-z_]+\b/g) ?? [];
  const read = (path: string): string => readFileSync(packaged(path), 'utf8');

  interface Panel {
    title: string;
    targets: { expr: string }[];
  }

  test('the alerts ask for metrics that there are, and say what to do', () => {
    const rules = read('packaging/prometheus/l4lb.rules.yml');
    expect(namesIn(rules).filter((name) => !known.has(name))).toEqual([]);
    const alerts = rules.split(/^ +- alert: /m).slice(1);
    expect(alerts.length).toBeGreaterThan(10);
    for (const alert of alerts) {
      const [name = ''] = alert.split('\n');
      const [summary, description] = ['summary', 'description'].map((one) =>
        alert.search(new RegExp(`^ +${one}: \\S`, 'm')),
      );
      expect([name, summary]).not.toEqual([name, -1]);
      expect([name, description]).not.toEqual([name, -1]);
    }
  });

  test('each alert has a case', () => {
    const named = read('packaging/prometheus/l4lb.rules.yml').matchAll(/- alert: (\S+)/g);
    const cases = ['rules', 'day'].map((one) =>
      read(`test/prometheus/l4lb.${one}.test.yml`),
    );
    for (const [, alert] of named)
      expect(cases.join('')).toContain(`alertname="${alert}"`);
  });

  test('the dashboard asks for metrics that there are', () => {
    const text = read('packaging/grafana/l4lb.json');
    const { panels } = JSON.parse(text) as { panels: Panel[] };
    expect(namesIn(text).filter((name) => !known.has(name))).toEqual([]);
    for (const { title, targets } of panels) {
      for (const { expr } of targets)
        expect([title, namesIn(expr).length]).not.toEqual([title, 0]);
    }
  });
});
