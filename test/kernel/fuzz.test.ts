// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The programs against the model, with a fixed seed: make fuzz runs more of it. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { fuzz, load } from '../fuzz/fuzz.js';
import type { Target } from '../fuzz/target.js';
import { PROGRAMS, PROGRAM_NAMES, describeDifference } from '../fuzz/target.js';

const COUNT = 20_000;
const SEED = 4;

describe.each(PROGRAM_NAMES)('%s', (name) => {
  let target: Target;
  beforeAll(async () => {
    target = await load(name);
  });
  afterAll(() => target.close());

  const count = COUNT * PROGRAMS[name].share;
  test(`${count} packets do what the model says`, async () => {
    const { packets, differences } = await fuzz(target, { count, seed: SEED });
    expect(differences.slice(0, 3).map(describeDifference).join('\n\n')).toBe('');
    expect(packets).toBe(count);
  });
});
