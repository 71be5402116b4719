// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Puts a program of the first version in the place of the attached one, with its tables. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';

import { EARLIER_SIZES } from '../../src/abi/maps.js';
import type { Bpftool } from '../../src/system/bpftool.js';
import { decodeEntries, valueOf } from '../../src/system/bpftool-text.js';
import { must } from '../../src/text/must.js';
import { ROOT } from './network.js';
import type { Network } from './network.js';
import { update } from '../../src/system/entries.js';

const SOURCE = 'test/kernel/first_version.c';

export async function takeBackToFirst(
  network: Network,
  bpftool: Bpftool,
  program: number,
  folder: string,
): Promise<void> {
  const object = join(folder, 'first_version.o');
  const { stdout: machine } = await execa('uname', ['-m']);
  const includes = ['-I.', `-I/usr/include/${machine}-linux-gnu`];
  const options = ['-O2', '-g', '-Wall', '-Wextra', '-Werror', '-target', 'bpf'];
  await execa('clang', [...options, ...includes, '-c', SOURCE, '-o', object], {
    cwd: ROOT,
  });
  const { maps } = await bpftool.programWithMaps('id', program);
  const longer = must(
    maps.find(({ name }) => name === 'destinations'),
    'its destinations',
  );
  const pin = `/sys/fs/bpf/l4lb-test-${process.pid}-first`;
  await bpftool.load(object, pin, { reuse: maps.filter((map) => map !== longer) });
  const first = await bpftool.programWithMaps('pinned', pin);
  const shorter = must(
    first.maps.find(({ name }) => name === 'destinations'),
    'the destinations of the first version',
  );
  const length = must(EARLIER_SIZES.get(1)?.destinations, 'their length');
  const [answer] = await bpftool.queries([`map dump id ${longer.id}`]);
  const changes = decodeEntries(answer).map((entry) =>
    update(shorter, entry.key, valueOf(entry).subarray(0, length)),
  );
  await bpftool.write(changes, undefined);
  const attach = ['net', 'attach', 'xdpdrv', 'id', String(first.id), 'dev', 'eth0'];
  await network.expectOk('balancer', 'bpftool', ...attach, 'overwrite');
  rmSync(pin);
}
