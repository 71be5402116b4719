// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { chmodSync, mkdtempSync, openSync, closeSync, readFileSync } from 'node:fs';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from '@jest/globals';

import type { Entry } from '../../../src/api/events.js';
import { Hook } from '../../../src/daemon/hooks.js';

const folder = mkdtempSync(join(tmpdir(), 'l4lb-hooks-'));
afterAll(() => rmSync(folder, { recursive: true }));

const ENTRY: Entry = {
  ...{ id: 1, time: '2026-11-30T10:00:00.000Z', interface: 'eth0', kind: 'state' },
  ...{ service: 'web', destination: '10.0.1.1', before: 'up', after: 'down' },
  reason: 'timeout',
};

async function troubleOf(command: readonly string[]): Promise<string> {
  const troubles: string[] = [];
  const hook = new Hook((what) => troubles.push(what));
  hook.set(command);
  hook.tell(ENTRY);
  for (let time = 0; time < 200 && troubles.length === 0; time++) await sleep(10);
  return troubles.join();
}

test('it gets the event as words and as JSON', async () => {
  const told = join(folder, 'told');
  const hook = new Hook((what) => {
    throw new Error(what);
  });
  hook.set([
    '/bin/sh',
    '-c',
    'printf "%s " "$@" >"$0.new"; cat >>"$0.new"; mv "$0.new" "$0"',
    told,
  ]);
  hook.tell(ENTRY);
  let text = '';
  for (let time = 0; time < 200 && text === ''; time++) {
    await sleep(10);
    try {
      text = readFileSync(told, 'utf8');
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOENT' });
    }
  }
  expect(text).toBe(`state web 10.0.1.1 down ${JSON.stringify(ENTRY)}\n`);
});

test('one that cannot be started is trouble, and no end of l4lbd', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '#!/bin/sh\n');
  chmodSync(file, 0o755);
  expect(await troubleOf([join(file, 'below')])).toContain('ENOTDIR');
  expect(await troubleOf([join(folder, 'none')])).toContain('ENOENT');
  const writer = openSync(file, 'a');
  expect(await troubleOf([file])).toContain('ETXTBSY');
  closeSync(writer);
});

test('one that fails is trouble', async () => {
  expect(await troubleOf(['/bin/false'])).toBe('on_change: /bin/false: ended with 1');
});
