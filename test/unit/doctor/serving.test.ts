// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import type { DestinationStatus, Status } from '../../../src/api/status.js';
import { checkDaemon, checkServing } from '../../../src/doctor/checks/serving.js';
import { fillCommand } from '../../../src/doctor/findings.js';
import { Unseen } from '../../../src/text/unseen.js';
import { facts } from './facts.js';

function destination(more: Partial<DestinationStatus> = {}): DestinationStatus {
  return {
    ...{ name: '10.0.1.1', state: 'up', by_hand: null, backup: false, weight: 1 },
    ...{ weight_by_hand: null, live: 1, forgotten: false, slots: 10, counted: null },
    ...{ since: '2026-11-30T10:00:00.000Z', reason: '', last: null, checks: '+++' },
    checked: { passed: 3, failed: 0, void: 0, seconds: 0.01 },
    ...more,
  };
}

function status(more: Partial<Status>, ...destinations: DestinationStatus[]): Status {
  const none = { fills: 0, slots_moved: 0, slots_ideal: 0, seconds: 0 };
  return {
    ...{ time: '', interface: 'ens4', version: '1', pid: 42, started: '', ready: true },
    ...{ program: { id: 7, mode: 'Driver' }, generation: 2, fleet: null },
    file: {
      ...{ path: '/etc/l4lb/l4lb.toml', read: '', fault: null },
      reloads: { good: 0, bad: 0 },
    },
    checker: { pid: 43, silent_ms: 20, late: 0, checks: 1 },
    services: [
      {
        ...{ name: 'web', ways: ['192.0.2.10:80/tcp'], forward: 'tunnel', slots: 256 },
        ...{ check: { kind: 'tcp', interval_ms: 1000 }, hot: 0, weight: 2, healthy: 1 },
        ...{ panic: false, on_panic: 'keep', on_backup: false, postponed_ms: null },
        ...{ counted: null, destinations },
      },
    ],
    ...{ verdicts: null, unseen: [] },
    changes: { start: none, file: none, health: none, hand: none },
    ...more,
  };
}

test('a destination whose checks fail is a finding with the reason', () => {
  const down = destination({
    ...{ name: '10.0.1.2', state: 'down', reason: 'connection refused' },
    live: 0,
  });
  expect(checkServing(facts({ daemon: status({}, destination(), down) }))).toEqual([
    {
      severity: 'finding',
      finding: '10.0.1.2 of web does not serve',
      evidence:
        '10.0.1.2 is down since 10:00:00 UTC: connection refused; 1 of 2 weight of web is healthy',
      fix: 'start what answers there, or mend its check in the file and: l4lb ctl -i ens4 reload',
    },
  ]);
});

test('one that somebody drained is a remark, whatever its checks say', () => {
  const drained = destination({ by_hand: 'drained', state: 'down' });
  expect(checkServing(facts({ daemon: status({}, drained) }))).toMatchObject([
    { severity: 'remark', fix: 'l4lb ctl -i ens4 auto web 10.0.1.1' },
  ]);
});

test('where all serve, that is well', () => {
  const daemon = status({}, destination(), destination({ state: 'suspect' }));
  expect(checkServing(facts({ daemon }))).toContain('2 destinations serve');
  expect(checkDaemon(facts({ daemon }))).toContain('process 42');
});

test.each([
  [{ pid: null, silent_ms: 5000 }, 'its second process has ended'],
  [{ pid: 43, silent_ms: 9000 }, 'process 43 is there, but it has said nothing for 9 s'],
])('a checker that is %j is a finding', (checker, evidence) => {
  const daemon = status({ checker: { ...checker, late: 0, checks: 1 } }, destination());
  const said = checkDaemon(facts({ daemon }));
  expect(said).toMatchObject([{ severity: 'finding' }]);
  expect(JSON.stringify(said)).toContain(evidence);
});

test('a file with a fault is a finding', () => {
  const { file } = status({});
  const daemon = status({ file: { ...file, fault: 'l4lb.toml:3: ports: 0 is no port' } });
  expect(checkDaemon(facts({ daemon }))).toMatchObject([
    { severity: 'finding', evidence: 'l4lb.toml:3: ports: 0 is no port' },
  ]);
});

test('one that does not answer is not seen, and none is not spoken of', () => {
  expect(checkDaemon(facts({ daemon: new Unseen('no answer') }))).toBeInstanceOf(Unseen);
  expect(checkServing(facts({ daemon: undefined }))).toBeUndefined();
});

test('what fixes a table beside l4lbd is a change of its file', () => {
  const daemon = status({}, destination());
  expect(fillCommand(facts({ daemon }))).toBe(
    'change /etc/l4lb/l4lb.toml, and: l4lb ctl -i ens4 reload',
  );
});
