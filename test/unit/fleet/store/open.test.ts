// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What a store is called on the command line, and what can be wrong with that. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';

import type { Access } from '../../../../src/fleet/store/options.js';
import {
  emptyState,
  formatState,
  parseState,
  written,
} from '../../../../src/fleet/store/file-state.js';
import { openStore } from '../../../../src/fleet/store/open.js';
import { UsageFailure } from '../../../../src/text/failure.js';
import { fakeRun } from '../../system/fake-run.js';
import { CA, CLIENT_KEY, SERVER } from './certificates.js';

const { run } = fakeRun({});
const folder = mkdtempSync(join(tmpdir(), 'l4lb-open-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string, mode = 0o600): string {
  writeFileSync(join(folder, name), text, { mode });
  return join(folder, name);
}

test.each([
  ['etcd:https://h:2379,https://h2:2379', 'etcd:https://h:2379,https://h2:2379', 0],
  ['etcd:https://[fd00::1]:2379/', 'etcd:https://[fd00::1]:2379', 0],
  ['etcd:http://127.0.0.1:2379', 'etcd:http://127.0.0.1:2379', 0],
  ['etcd:http://10.0.0.1:2379', 'etcd:http://10.0.0.1:2379', 1],
  ['file:/var/lib/l4lb/fleet', 'file:/var/lib/l4lb/fleet', 0],
  ['file:/a/../b', 'file:/b', 0],
])('%s is a store', (text, name, warnings) => {
  const store = openStore(text, { run });
  expect([store.name, store.warnings.length]).toEqual([name, warnings]);
  store.close();
});

test.each([
  ['', 'it is neither etcd: nor file:'],
  ['https://h:2379', 'it is neither etcd: nor file:'],
  ['etcd:', 'nothing follows etcd:'],
  ['file:', 'nothing follows file:'],
  ['etcd:h:2379', '"h:2379" does not begin with https:// or http://'],
  ['etcd:https://h:2379,', 'an endpoint is empty'],
  ['etcd:https://h', '"https://h" has no port; etcd\'s is 2379'],
  ['etcd:https://h:2379/v3', 'something follows the port in "https://h:2379/v3"'],
  ['etcd:https://h:99999', '"https://h:99999" is no URL'],
  ['etcd:https://h:2379,https://H:2379', 'an endpoint is there twice'],
  ['etcd:https://me:secret@h:2379', 'everybody on this machine can read command lines'],
  ['etcd:\u001b[2J', '"\\u001b[2J" does not begin with https:// or http://'],
])('"%s" is none', (text, cause) => {
  expect(failureOf(text, {})).toMatchObject({ exitCode: 2, advice: { cause } });
});

test.each<[string, string, Access, string]>([
  ['TLS for http:', 'etcd:http://h:2379', { ca: '/ca' }, 'names no store'],
  ['TLS for a folder', 'file:/a', { ca: '/ca' }, 'names no store'],
  [
    'no such file',
    'etcd:https://h:2379',
    { ca: '/none' },
    '--store-ca: cannot read /none',
  ],
  [
    'a certificate alone',
    'etcd:https://h:2379',
    { certificate: '/c' },
    '--store-cert needs --store-key',
  ],
  [
    'a user alone',
    'etcd:https://h:2379',
    { user: 'me' },
    '--store-user needs --store-password-file',
  ],
  [
    ...(['no PEM', 'etcd:https://h:2379'] as const),
    { certificate: file('bad.pem', CLIENT_KEY), key: file('bad.key', CA) },
    '--store-cert: cannot use',
  ],
  [
    ...(['a key of another', 'etcd:https://h:2379'] as const),
    { certificate: file('server.pem', SERVER), key: file('client.key', CLIENT_KEY) },
    '--store-key: cannot use',
  ],
  [
    ...(['a secret that others may read', 'etcd:https://h:2379'] as const),
    { tokenFile: file('open', 'secret', 0o644) },
    '--store-token-file: others may read',
  ],
  [
    ...(['a secret of two lines', 'etcd:https://h:2379'] as const),
    { tokenFile: file('lines', 'one\ntwo') },
    'has no secret',
  ],
])('%s is refused', (_, text, access, why) => {
  expect(failureOf(text, access)).toMatchObject({ exitCode: 2 });
  expect(failureOf(text, access).message).toContain(why);
});

function failureOf(text: string, access: Access): UsageFailure {
  try {
    openStore(text, { run, ...access });
  } catch (error) {
    if (error instanceof UsageFailure) return error;
    throw error;
  }
  throw new Error('it is a store');
}

test('a folder forgets its oldest changes, each revision whole, and keeps what is there', () => {
  let state = emptyState('id');
  for (let round = 0; round < 9; round++) {
    const puts = Array.from({ length: 125 }, (_, at) => ({
      key: `/${at}`,
      value: `${round}`,
    }));
    state = written(state, [], puts)?.state ?? state;
  }
  expect(state).toMatchObject({ revision: 10, forgotten: 2 });
  expect([state.log.length, state.entries.size]).toEqual([1000, 125]);
  expect(state.entries.get('/7')).toMatchObject({
    revision: 10,
    created: 2,
    file: '10-7',
  });
  for (let round = 0; round < 40; round++) {
    const value = 'x'.repeat(1 << 20);
    state = written(state, [], [{ key: '/large', value }])?.state ?? state;
  }
  expect([state.log.length, state.forgotten]).toEqual([33, 17]);
  expect(parseState(formatState(state))).toEqual(state);
});

test.each([
  [
    '{"version":1,"id":"a","revision":2,"forgotten":1,"entries":[],"log":',
    'it is not JSON',
  ],
  ['{"version":2}', 'it is of another version'],
  [
    '{"version":1,"id":"a","revision":-1,"forgotten":1,"entries":[],"log":[]}',
    'a number',
  ],
  [
    '{"version":1,"id":"a","revision":2,"forgotten":1,"entries":[["/a",2,2,"../../shadow",1]],"log":[]}',
    'none names a file',
  ],
])('an index like %s is refused', (text, why) => {
  expect(() => parseState(text)).toThrow(why);
});
