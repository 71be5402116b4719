// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import { Conflict } from '../../../src/daemon/by-hand.js';
import { again } from '../../../src/fleet/operate/change.js';
import { Failure } from '../../../src/text/failure.js';

test('what the leader wrote in between is read, and the change made anew', async () => {
  let tries = 0;
  const work = (): Promise<number> =>
    ++tries < 3 ? Promise.reject(new Conflict('in between')) : Promise.resolve(tries);
  expect(await again(work)).toBe(3);
});

test('at some time it is told, and other failures at once', async () => {
  let tries = 0;
  const busy = (): Promise<never> => {
    tries++;
    return Promise.reject(new Conflict('always'));
  };
  await expect(again(busy)).rejects.toThrow('always');
  expect(tries).toBe(5);
  const gone = (): Promise<never> => {
    tries++;
    return Promise.reject(new Failure('gone'));
  };
  await expect(again(gone)).rejects.toThrow('gone');
  expect(tries).toBe(6);
});
