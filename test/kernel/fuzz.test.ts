// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The programs against the model, with a fixed seed: make fuzz runs more of it. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Target } from '../fuzz/fuzz.js';
import { TARGETS, describeDifference, fuzz } from '../fuzz/fuzz.js';

const COUNT = 20_000;
const SEED = 4;

describe.each(['host', 'portable', 'decap'] as const)('%s', (name) => {
  let target: Target;
  beforeAll(async () => {
    target = await TARGETS[name]();
  });
  afterAll(() => target.close());

  test(`${COUNT} packets do what the model says`, async () => {
    const { packets, differences } = await fuzz(target, { count: COUNT, seed: SEED });
    expect(differences.slice(0, 3).map(describeDifference).join('\n\n')).toBe('');
    expect(packets).toBe(COUNT);
  });
});
