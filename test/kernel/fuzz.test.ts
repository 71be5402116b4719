// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Compares the programs with the model, with a fixed seed. make fuzz runs more of it. */
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { SIZES } from '../fuzz/balancer.js';
import { Engines } from '../fuzz/engines.js';
import type { Target } from '../fuzz/fuzz.js';
import { fuzz, load } from '../fuzz/fuzz.js';
import { PROGRAMS, PROGRAM_NAMES, ROOT, describeDifference } from '../fuzz/target.js';

/** `make test-all` runs ten times as many. */
const COUNT = process.env.L4LB_TEST === 'all' ? 2_000_000 : 200_000;
const SEED = 4;

beforeAll(async () => {
  await execa('make', ['workers'], { cwd: ROOT });
});

test('a kernel that runs another build is found out', async () => {
  const engines = new Engines('portable', SIZES, PROGRAMS.host.object);
  const target: Target = { program: 'portable', engines };
  const { differences } = await fuzz(target, { count: 10_000, seed: SEED });
  engines.close();
  expect(differences.map(describeDifference).join('\n')).toMatch(
    /native: [A-Z]+\n[^]*kernel: [A-Z]+\n/,
  );
});

describe.each(PROGRAM_NAMES)('%s', (name) => {
  let target: Target;
  beforeAll(() => {
    target = load(name);
  });
  afterAll(() => target.engines.close());

  const count = COUNT * PROGRAMS[name].share;
  test(`${count} packets do what the model says, natively and in the kernel`, async () => {
    const { packets, differences } = await fuzz(target, { count, seed: SEED });
    expect(differences.slice(0, 3).map(describeDifference).join('\n\n')).toBe('');
    expect(packets).toBe(count);
  });
});
