// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Compiles preload.c, which tests preload into `entries/entries`. */
import { execa } from 'execa';

import { ROOT } from './network.js';

export async function compilePreload(to: string): Promise<void> {
  const options = ['-O2', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC'];
  await execa('clang', [...options, 'test/kernel/preload.c', '-o', to], { cwd: ROOT });
}
