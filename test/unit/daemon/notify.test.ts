// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import type { Event } from '../../../src/api/events.js';
import { isJournal, priorityOf } from '../../../src/daemon/priority.js';
import type { Environment, View } from '../../../src/daemon/notify.js';
import {
  Notifier,
  inOneLine,
  reloadingSince,
  watchdogOf,
} from '../../../src/daemon/notify.js';
import type { StateName } from '../../../src/health/condition.js';
import { fakeRun } from '../system/fake-run.js';

type Word = StateName | 'drained' | 'not checked';

function service(words: Word[], isPanic = false, name = 'web'): View {
  const destinations = words.map((word) => ({
    key: word === 'not checked' ? undefined : 'key',
    byHand: word === 'drained' ? word : undefined,
    condition: {
      state: word === 'drained' || word === 'not checked' ? ('up' as const) : word,
    },
  }));
  return { name, isPanic, destinations };
}

test.each<[string, View[]]>([
  ['no destinations', [service([])]],
  ['2 up', [service(['up']), service(['up'])]],
  ['2 up, 1 down, 1 drained', [service(['down', 'up', 'drained', 'up'])]],
  ['1 up, 1 unknown, 1 not checked', [service(['not checked', 'unknown', 'up'])]],
  [
    '1 down, 2 dead; panic in web, dns',
    [service(['dead', 'down'], true), service(['dead'], true, 'dns')],
  ],
])('in one line: %s', (line, services) => {
  expect(inOneLine(services)).toBe(line);
});

test.each<[string, Environment, number | undefined]>([
  ['nobody watches', {}, undefined],
  ['30 seconds', { WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' }, 30_000],
  ['any process of the service', { WATCHDOG_USEC: '30000000' }, 30_000],
  ['another process', { WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8' }, undefined],
  ['no number', { WATCHDOG_USEC: 'soon' }, undefined],
])('the watchdog: %s', (_, env, expected) => {
  expect(watchdogOf(env, 7)).toBe(expected);
});

test('since when it reads its file again', () => {
  expect(reloadingSince(12_345_678_901n)).toEqual([
    'RELOADING=1',
    'MONOTONIC_USEC=12345678',
  ]);
});

const READY: Event = { kind: 'ready' };
const TROUBLE: Event = { kind: 'trouble', what: 'no room' };

function noTrouble(what: string): never {
  throw new Error(what);
}

describe('what systemd is told', () => {
  const control = { view: () => [service(['up'])], isAlive: () => true };

  test('nothing, if it did not ask', async () => {
    const { run, lines } = fakeRun({});
    const notifier = new Notifier(run, {}, control, noTrouble);
    notifier.take(READY);
    notifier.reloading();
    notifier.stopping();
    await notifier.told();
    expect(lines).toEqual([]);
  });

  test('trouble before it is ready does not make it so', async () => {
    const { run, lines } = fakeRun({ 'systemd-notify STOPPING=1': '' });
    const notifier = new Notifier(run, { NOTIFY_SOCKET: '/s' }, control, noTrouble);
    notifier.reloading();
    notifier.take(TROUBLE);
    notifier.stopping();
    await notifier.told();
    expect(lines).toEqual(['systemd-notify STOPPING=1']);
  });

  test('that it could not be told is said once', async () => {
    const troubles: string[] = [];
    const failed = { exitCode: 1, stderr: 'no such socket\n' };
    const { run } = fakeRun({
      'systemd-notify READY=1 STATUS=1 up': failed,
      'systemd-notify STOPPING=1': failed,
    });
    const env = { NOTIFY_SOCKET: '/s' };
    const notifier = new Notifier(run, env, control, (what) => troubles.push(what));
    notifier.take(READY);
    notifier.stopping();
    await notifier.told();
    expect(troubles).toEqual(['systemd could not be told: no such socket']);
  });
});

const WEB = { service: 'web', destination: '10.0.1.1', reason: '' };

test.each<[number, Event]>([
  [2, { kind: 'panic', service: 'web', begins: true, healthy: 1, whole: 4 }],
  [6, { kind: 'panic', service: 'web', begins: false, healthy: 4, whole: 4 }],
  [3, TROUBLE],
  [4, { kind: 'state', ...WEB, before: 'suspect', after: 'down' }],
  [4, { kind: 'state', ...WEB, before: 'down', after: 'dead' }],
  [6, { kind: 'state', ...WEB, before: 'up', after: 'suspect' }],
  [4, { kind: 'backup', service: 'web', begins: true }],
  [6, { kind: 'backup', service: 'web', begins: false }],
  [6, READY],
])('priority %d: %j', (priority, event) => {
  expect(priorityOf(event)).toBe(priority);
});

test.each<[string | undefined, boolean]>([
  ['8:12345', true],
  ['8:1234', false],
  ['', false],
  [undefined, false],
])('JOURNAL_STREAM=%s', (stream, expected) => {
  expect(isJournal(stream, { dev: 8n, ino: 12345n })).toBe(expected);
});
