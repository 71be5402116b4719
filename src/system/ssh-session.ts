// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The ssh session that runs the tool, which a service on all ports must not cut. */
import { readFileSync } from 'node:fs';

import { codeOf } from '../text/file-fault.js';

/** The server's port of the ssh session we are in, or 0. */
export function sessionPort(): number {
  // sudo and su drop the variable, so the processes above us are asked as well.
  for (let process_ = 'self'; process_ !== '0'; process_ = parentOf(process_)) {
    const port = portOf(readProcess(process_, 'environ'));
    if (port !== 0) return port;
  }
  return 0;
}

/** SSH_CONNECTION: client address, client port, server address, server port. */
export function portOf(environment: string): number {
  const match = /(?:^|\0)SSH_CONNECTION=\S+ \d+ \S+ (\d+)/.exec(environment);
  return match ? Number(match[1]) : 0;
}

function parentOf(process_: string): string {
  return /^PPid:\s*(\d+)/m.exec(readProcess(process_, 'status'))?.[1] ?? '0';
}

/**
 * The first two say that there is no such process, the others that nobody may look into
 * it.
 */
const GONE = ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'];

/** A process may end or belong to another user; then the result is empty. */
function readProcess(process_: string, file: string): string {
  try {
    return readFileSync(`/proc/${process_}/${file}`, 'utf8');
  } catch (error) {
    if (!GONE.includes(codeOf(error) ?? '')) throw error;
    return '';
  }
}
