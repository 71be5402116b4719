// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The compiled programs that come with the package. */
import { existsSync, readFileSync, statSync } from 'node:fs';

import type { Mode } from '../text/mode.js';
import { Failure } from '../text/failure.js';
import { printableLine } from '../text/printable.js';
import { packaged } from '../system/package.js';

export function objectFor(mode: Mode | 'auto', isDecap: boolean): string {
  const name = isDecap
    ? 'l4lb_decap.o'
    : mode === 'xdpoffload'
      ? 'l4lb_xdp.o'
      : 'l4lb_xdp_host.o';
  return packaged(name);
}

/**
 * The same program for frames in several buffers, which some drivers need at a large MTU.
 * It is not the default, because it asks the kernel how long each frame is.
 */
export function fragsObjectFor(object: string): string | undefined {
  if (object === packaged('l4lb_xdp_host.o')) return packaged('l4lb_xdp_frags.o');
  if (object === packaged('l4lb_decap.o')) return packaged('l4lb_decap_frags.o');
  return undefined;
}

/**
 * Whether the object's program takes frames that lie in several buffers; its section says
 * so.
 */
export function takesBuffers(object: string): boolean {
  return readFileSync(object).includes('xdp.frags');
}

/** Whether the object has a map of this name, which then is among its strings. */
export function hasMap(object: string, map: string): boolean {
  if (!existsSync(object)) throw noObject(object);
  return statSync(object).isFile() && readFileSync(object).includes(`\0${map}\0`);
}

export function noObject(object: string): Failure {
  return new Failure(`no object ${printableLine(object)}`, {
    cause: 'it was not compiled, or the name is mistyped',
    next: 'make objects',
  });
}
