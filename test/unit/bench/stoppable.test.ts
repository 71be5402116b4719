// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from '@jest/globals';

import {
  removeLeftNamespaces,
  removeNamespace,
  stoppable,
} from '../../../bench/stoppable.js';
import type { Run } from '../../../src/system/run.js';
import { fakeRun } from '../system/fake-run.js';

test('a signal ends what is waited for, and nothing but the end is started after it', async () => {
  const { run: fake, lines } = fakeRun({ 'ip netns delete a': '' });
  const ending = new AbortController();
  const start: Run = async (command, args, options) => {
    if (command !== 'flood') return fake(command, args, options);
    await once(ending.signal, 'abort');
    return { exitCode: 0, stdout: '', stderr: '' };
  };
  const end = (): Promise<void> => {
    ending.abort();
    return Promise.resolve();
  };
  const done = stoppable(
    start,
    async (_, run) => {
      try {
        await run('flood', []);
        await run('flood', ['again']);
      } finally {
        await run('ip', ['netns', 'delete', 'a'], { detached: true });
      }
    },
    end,
  );
  await setImmediate();
  process.emit('SIGTERM', 'SIGTERM');
  await expect(done).rejects.toMatchObject({
    message: 'stopped by SIGTERM',
    exitCode: 143,
  });
  expect(lines).toEqual(['ip netns delete a']);
});

test('a namespace goes with all that runs in it', async () => {
  const { run, lines, options } = fakeRun({
    'ip netns pids a': '17\n18\n',
    'kill -KILL 17 18': '',
    'ip netns delete a': '',
  });
  await removeNamespace(run, 'a');
  expect(lines).toEqual(['ip netns pids a', 'kill -KILL 17 18', 'ip netns delete a']);
  expect(options).toEqual(lines.map(() => ({ detached: true })));
});

test('what a benchmark left that is gone is removed, and nothing else', async () => {
  // No process can have this number.
  const gone = 'l4lb-bench-4194305';
  const { run, lines } = fakeRun({
    [`ip netns pids ${gone}-3-near`]: '',
    [`ip netns delete ${gone}-3-near`]: '',
    [`ip netns pids ${gone}-tools`]: '',
    [`ip netns delete ${gone}-tools`]: '',
  });
  await removeLeftNamespaces(run, [
    ...[`${gone}-3-near`, `${gone}-tools`],
    // These have owners: testbed/network.sh, the benchmark of a process that lives, others.
    ...[`${gone}-client`, `${gone}-1-client`, `l4lb-bench-${process.pid}-0-far`, 'a'],
  ]);
  expect(lines).toEqual(
    ['3-near', 'tools'].flatMap((name) => [
      `ip netns pids ${gone}-${name}`,
      `ip netns delete ${gone}-${name}`,
    ]),
  );
});
