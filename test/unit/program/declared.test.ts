// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What objects say of themselves before they are loaded. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { DECAP_PROGRAM_NAME, PROGRAM_NAME } from '../../../src/abi/maps.js';
import { declaredBy } from '../../../src/program/declared.js';

const ROOT = new URL('../../../', import.meta.url).pathname;
const HOST = `${ROOT}l4lb_xdp_host.o`;

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'))));
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  ['l4lb_xdp_host.o', PROGRAM_NAME],
  ['l4lb_xdp_frags.o', PROGRAM_NAME],
  ['l4lb_xdp.o', PROGRAM_NAME],
  ['l4lb_decap.o', DECAP_PROGRAM_NAME],
])('%s has the program %s', (object, name) => {
  expect(declaredBy(ROOT + object, {})?.name).toBe(name);
});

test('sizes that the user chooses stand for the object’s own', () => {
  const entries = (sizes: { sets?: number; blocks?: number }): unknown =>
    Object.fromEntries(
      ['flows', 'claims', 'ports', 'counters'].map((name) => [
        name,
        declaredBy(HOST, sizes)?.maps.find((map) => map.name === name)?.entries,
      ]),
    );
  const usual = { flows: 1 << 17, claims: 16_384, ports: 131_072, counters: 4097 };
  expect(entries({})).toEqual(usual);
  expect(entries({ sets: 1024 })).toEqual({ ...usual, flows: 1024 });
  expect(entries({ blocks: 8 })).toEqual({ ...usual, claims: 32_768, ports: 262_144 });
});

test('of a map it says what bpftool would', () => {
  const maps = declaredBy(HOST, {})?.maps;
  expect(maps?.find(({ name }) => name === 'exit_devices')).toEqual({
    ...{ name: 'exit_devices', kind: 'devmap', keySize: 4, valueSize: 4, entries: 65 },
  });
});

test.each<[string, () => Buffer | undefined]>([
  ['a file that is not there', () => undefined],
  ['an empty file', () => Buffer.alloc(0)],
  ['a text', () => Buffer.from('address, MAC\n10.0.0.57, 02:00:0a:00:00:39\n')],
  ['an object that is cut short', () => readFileSync(HOST).subarray(0, 5000)],
])('%s says nothing', (_, content) => {
  const path = join(folder, 'object');
  const bytes = content();
  if (bytes) writeFileSync(path, bytes);
  expect(declaredBy(path, {})).toBeUndefined();
});
