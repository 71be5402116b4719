// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Each header of the C side includes what it needs, in every build and natively. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, expect, test } from '@jest/globals';

const ROOT = new URL('../../../', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Of one side of the seam, which the other cannot compile. */
const isOfOther = (header: string, build: string): boolean =>
  build === 'native' ? /platform\/bpf/.test(header) : /platform\/native/.test(header);

/** Debian keeps asm/types.h where clang does not look when it compiles to BPF. */
const asm = readdirSync('/usr/include').filter((name) => /linux-gnu/.test(name));
const BPF = ['-target', 'bpf', ...asm.map((name) => `-I/usr/include/${name}`)];

const headers = ['datapath', 'datapath/platform', 'programs'].flatMap((room) =>
  readdirSync(join(ROOT, room))
    .filter((name) => name.endsWith('.h'))
    .map((name) => `${room}/${name}`),
);

test.each<[string, string[]]>([
  ['portable', [...BPF]],
  ['host', [...BPF, '-DL4LB_HOST']],
  ['jumbo', [...BPF, '-DL4LB_HOST', '-DL4LB_FRAGS']],
  ['native', ['-DL4LB_NATIVE', '-DL4LB_HOST', '-fno-strict-aliasing']],
])('each header stands alone in the %s build', async (build, flags) => {
  const files = headers
    .filter((header) => !isOfOther(header, build))
    .map((header) => {
      const file = join(folder, `${build}-${header.replaceAll('/', '-')}.c`);
      writeFileSync(file, `#include "${header}"\n`);
      return file;
    });
  expect(files.length).toBeGreaterThan(20);
  const all = ['-fsyntax-only', '-Wall', '-Wextra', '-Werror', `-I${ROOT}`, ...flags];
  const { stderr } = await execa('clang', [...all, ...files], { reject: false });
  expect(stderr).toBe('');
});
