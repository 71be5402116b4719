// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * How far the verifier has to look. It follows every path through a program and gives up
 * after a million instructions. One branch at the wrong place can double them, and nobody
 * notices until a kernel refuses the program. Each row allows about twice what the
 * kernels 6.1 and 6.18 look at.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { ROOT } from './network.js';

const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
const verified = join(folder, 'verified');

beforeAll(async () => {
  const source = `${ROOT}test/kernel/verified.c`;
  await execa('clang', ['-Wall', '-Wextra', '-Werror', source, '-lbpf', '-o', verified]);
});
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  ['l4lb_xdp.o', 150_000],
  ['l4lb_xdp_host.o', 600_000],
  ['l4lb_xdp_frags.o', 700_000],
  ['l4lb_decap.o', 250_000],
  ['l4lb_decap_frags.o', 250_000],
  ['l4lb_carry.o', 3_000],
  ['l4lb_carry_flows.o', 40_000],
  ['l4lb_sum.o', 10_000],
  ['l4lb_steer.o', 2_000],
  ['l4lb_check.o', 20_000],
])('%s is verified within %d instructions', async (object, most) => {
  const { stdout } = await execa(verified, [ROOT + object]);
  const instructions = Number(stdout);
  expect(instructions).toBeGreaterThan(0);
  expect(instructions).toBeLessThan(most);
});
