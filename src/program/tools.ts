// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What code that works on programs needs to reach them: other processes, as root. */
import { Bpftool } from '../system/bpftool.js';
import { Iproute } from '../system/ip/links.js';
import type { Run } from '../system/run.js';
import { run } from '../system/run.js';
import { Failure } from '../text/failure.js';
import { printableLine } from '../text/printable.js';

export interface Tools {
  ip: Iproute;
  bpftool: Bpftool;
}

export interface Context extends Tools {
  run: Run;
}

export function context(): Context {
  if (process.geteuid?.() !== 0) {
    throw new Failure('this needs root', {
      cause: 'XDP programs and their maps belong to the administrator',
      next: `sudo ${process.argv.slice(1).map(printableLine).join(' ')}`,
    });
  }
  return { run, ip: new Iproute(run), bpftool: new Bpftool(run) };
}
