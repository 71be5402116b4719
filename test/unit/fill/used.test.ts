// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The files of --settle --used: how old they are, and whether they are of these tables. */
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';

import { CELL_NAMES } from '../../../src/abi/cell.js';
import { checkWitnesses, readWitnesses } from '../../../src/fill/used.js';
import { parseNames } from '../../../src/wire/names.js';
import { untouched } from '../plan/states.js';

const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const NOW = { wall: Date.parse('2026-11-30T12:00:00Z'), kernel: 5000 };

/** Both times in seconds before now. */
function file({ printed = 0, written = 0, text = '' }): string {
  const path = join(folder, 'status.json');
  const program = {
    name: 'l4lb_decap_1',
    names: ['10.7.0.0/16'],
    self: ['10.0.1.1'],
    siblings: [],
  };
  const time = new Date(NOW.wall - printed * 1000).toISOString();
  const status = JSON.stringify({ time, interface: 'eth0', programs: [program] });
  writeFileSync(path, text || status);
  utimesSync(path, NOW.wall / 1000, NOW.wall / 1000 - written);
  return path;
}

test.each([
  { case: 'both clocks agree', printed: 20, written: 20, age: 20 },
  { case: 'it was copied here later', printed: 90, written: 20, age: 90 },
  {
    case: 'the destination’s clock is a little ahead',
    printed: -5,
    written: 20,
    age: 20,
  },
  { case: 'it is of just now', printed: -5, written: -1, age: 0 },
])('if $case, a status is $age s old', ({ printed, written, age }) => {
  const [one] = readWitnesses([file({ printed, written })], NOW);
  expect(one?.printed).toBe(NOW.kernel - age);
});

test('a status of a clock that is far ahead is refused', () => {
  expect(() => readWitnesses([file({ printed: -60 })], NOW)).toThrow(
    'is of 60 s from now',
  );
});

test('a file that is no status is refused by its name', () => {
  expect(() => readWitnesses([file({ text: 'no route to host' })], NOW)).toThrow(
    /status\.json is not the status of destinations: .*not JSON/,
  );
  expect(() => readWitnesses([join(folder, 'none.json')])).toThrow(/cannot read .*none/);
});

describe('a status', () => {
  const tables = (prefix: string) => {
    const { device } = untouched();
    return { device: { ...device, names: { ipv4: parseNames(prefix) } } };
  };
  const witnesses = () => readWitnesses([file({})], NOW);
  const NAMING = [{ flags: CELL_NAMES }];

  test('of another prefix is refused', () => {
    expect(() => checkWitnesses(witnesses(), tables('10.8.0.0/16'), NAMING)).toThrow(
      'is of a destination with the names 10.7.0.0/16; here they are 10.8.0.0/16',
    );
    checkWitnesses(witnesses(), tables('10.7.0.0/16'), NAMING);
  });

  test('is of no use where the balancer remembers', () => {
    const check = () =>
      checkWitnesses(witnesses(), tables('10.7.0.0/16'), [{ flags: 0 }]);
    expect(check).toThrow('--used is for services whose destinations remember');
  });
});
