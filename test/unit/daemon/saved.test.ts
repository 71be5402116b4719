// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';

import type { Known } from '../../../src/daemon/health.js';
import { decideByHand } from '../../../src/daemon/by-hand.js';
import type { Action } from '../../../src/daemon/by-hand.js';
import {
  formatSaved,
  parseSaved,
  readSaved,
  savedKey,
  writeSaved,
} from '../../../src/daemon/saved.js';
import type { Destination } from '../../../src/health/service.js';
import { ServiceHealth } from '../../../src/health/service.js';
import { firstCondition } from '../../../src/health/condition.js';
import { Failure } from '../../../src/text/failure.js';

const SETTINGS = {
  patience: { rise: 2, fall: 3, deadAfter: 30_000, slowStart: 10_000 },
  ...{ onPanic: 'off' as const, interval: 1000, fast: 250 },
};
const NAMES = ['10.0.1.1', '10.0.1.2', '[fd00::1]:8080', 'local:127.0.0.23:223'];

type KnownOf = (name: string) => Known | undefined;
const WHOLE = NAMES.map(() => ({ weight: 10, isForgotten: false }));

function service(known: KnownOf, now: number, live = WHOLE): ServiceHealth {
  const destinations = NAMES.map((name): Destination => {
    const one = known(name);
    return {
      ...{ name, key: name, weight: 10, isBackup: false },
      ...{ byHand: one?.byHand, weightByHand: one?.weightByHand },
      condition: one?.condition ?? firstCondition(now, true),
    };
  });
  return new ServiceHealth('web', SETTINGS, destinations, live);
}

/** As a process does that reads what one before it saved, after a pause. */
function restarted(before: ServiceHealth, now: number, pause: number): ServiceHealth {
  const text = formatSaved([before], now);
  const states = parseSaved('state.json', text, now + pause);
  return service((name) => states.get(savedKey('web', name)), now + pause, before.live());
}

function reloaded(before: ServiceHealth, now: number): ServiceHealth {
  return service((name) => before.find(name), now, before.live());
}

/** What matters about each destination at a moment. */
function picture(one: ServiceHealth, now: number): unknown {
  return [
    one.destinations.map(({ name, byHand, weightByHand, condition }) => ({
      ...{ name, byHand, weightByHand, state: condition.state },
      age: Math.round(now - condition.since),
      downs: condition.downs.map((at) => Math.round(now - at)),
    })),
    one.shares(now),
  ];
}

/** Always the same numbers. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) % below;
  };
}

test('1,000 reloads, restarts and hands in any order leave what was decided', () => {
  const below = numbers(17);
  let now = 1000;
  let health = service(() => undefined, now);
  const hands: Action[] = ['drain', 'undrain', 'down', 'auto', 'weight'];
  for (let turn = 0; turn < 1000; turn++) {
    // Checks go on between; a suspect one is asked anew after a restart.
    for (const name of NAMES) {
      const passed = below(10) < 8;
      for (const at of [now + 1, now + 2, now + 3])
        health.judge(name, { at, passed, reason: passed ? '' : 'timeout' });
    }
    now += below(20_000);
    health.pass(now);
    health.setLive(health.shares(now).given);
    const before = picture(health, now);
    const what = below(3);
    if (what === 0) {
      health = reloaded(health, now);
      expect(picture(health, now)).toEqual(before);
    } else if (what === 1) {
      const pause = below(100_000);
      health = restarted(health, now, pause);
      now += pause;
      expect(picture(health, now)).toEqual(before);
    } else {
      const name = NAMES[below(NAMES.length)] ?? '';
      const action = hands[below(hands.length)] ?? 'auto';
      const there = health.find(name);
      if (!there || (action === 'undrain' && there.byHand !== 'drained')) continue;
      health.setByHand(name, decideByHand(there, action, below(20), name));
    }
  }
});

describe('what is no saved state', () => {
  test.each([
    ['', 'empty'],
    ['{"version":1', 'half of it'],
    ['null', 'nothing'],
    ['{"version":2,"destinations":[]}', 'of a later release'],
    ['{"version":1,"destinations":[{}]}', 'without its fields'],
    [
      '{"version":1,"destinations":[{"service":"a","destination":"b","state":"up","age":-1,"downs":[],"reason":""}]}',
      'of the future',
    ],
  ])('%s is refused (%s)', (text) => {
    expect(() => parseSaved('state.json', text, 0)).toThrow(Failure);
  });

  test('names of objects are names as others are', () => {
    const one = { service: '__proto__', destination: 'constructor', state: 'down' };
    const rest = { age: 5, downs: [], reason: 'timeout', by_hand: 'toString' };
    const text = JSON.stringify({ version: 1, destinations: [{ ...one, ...rest }] });
    const known = parseSaved('state.json', text, 100).get('__proto__ constructor');
    expect(known).toMatchObject({ byHand: undefined, condition: { state: 'down' } });
  });
});

describe('the file itself', () => {
  const folder = mkdtempSync(join(tmpdir(), 'l4lb-saved-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('a link in the way of the next one is not followed', () => {
    const victim = join(folder, 'victim');
    writeFileSync(victim, 'mine');
    const path = join(folder, 'eth0.json');
    symlinkSync(victim, `${path}.new`);
    writeSaved(path, formatSaved([], 0));
    expect(readFileSync(victim, 'utf8')).toBe('mine');
    expect(readSaved(path, 0).size).toBe(0);
  });

  test('a pipe is refused, and nobody waits for who writes to it', () => {
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    expect(() => readSaved(path, 0)).toThrow(Failure);
  });

  test('part of a weight is none', () => {
    const one = { service: 'a', destination: 'b', state: 'up', age: 5, downs: [] };
    const destinations = [{ ...one, reason: '', weight_by_hand: 0.5 }];
    const text = JSON.stringify({ version: 1, destinations });
    expect(() => parseSaved('state.json', text, 0)).toThrow(Failure);
  });
});
