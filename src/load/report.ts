// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reports the result of attaching and taking off, as text and as JSON. */
import { basename } from 'node:path';

import type { Mode } from '../text/mode.js';
import { MODE_NAMES } from '../text/mode.js';
import { many } from '../text/format.js';
import { asMaps, buildOf } from '../program/find.js';
import type { AttachedProgram } from '../system/ip/links.js';
import type { LoadResult } from './attach.js';
import type { LeftBehind, Shared } from './share.js';

export function describeLoaded(device: string, result: LoadResult): string[] {
  const { mode, program, keptMaps, flows, refusal } = result;
  const verb = keptMaps === undefined ? 'attached' : 'replaced';
  const lines: string[] = [];
  if (refusal !== undefined) lines.push(`driver mode is not available: ${refusal}`);
  lines.push(
    `${device} [${MODE_NAMES[mode]}] ${basename(result.object)} ${verb} as program ${program}`,
  );
  if (keptMaps) lines.push('  maps and counters are kept');
  if (flows) lines.push(`  ${many(flows.carried, 'record')} of connections carried over`);
  if (keptMaps === false) {
    lines.push('  the maps are new: tables and sums were carried over');
  }
  return lines;
}

export function loadedJson(device: string, result: LoadResult): Record<string, unknown> {
  const { mode, program, keptMaps, flows, refusal } = result;
  return {
    interface: device,
    mode: MODE_NAMES[mode],
    program,
    object: basename(result.object),
    build: buildName(result),
    ...(keptMaps === undefined ? {} : { replaced: true, kept_maps: keptMaps }),
    ...(flows && { records_carried: flows.carried, records_lost: flows.lost }),
    ...(refusal === undefined ? {} : { driver_refused: refusal }),
  };
}

function buildName({ maps }: LoadResult): string {
  const named = asMaps(maps);
  return named ? buildOf(named) : 'decap';
}

export function describeShared(device: string, from: string, shared: Shared): string[] {
  const { mode, program, refusal, isOld } = shared;
  return [
    ...(refusal === undefined ? [] : [`driver mode is not available: ${refusal}`]),
    `${device} [${MODE_NAMES[mode]}] shares program ${program} of ${from}${isOld ? ' already' : ''}`,
  ];
}

export function sharedJson(
  device: string,
  from: string,
  { mode, program, refusal }: Shared,
): unknown {
  return {
    interface: device,
    mode: MODE_NAMES[mode],
    program,
    shared_with: from,
    ...(refusal === undefined ? {} : { driver_refused: refusal }),
  };
}

/** `left` says for each program which devices go on with it. */
export function describeTakenOff(
  device: string,
  mode: Mode | 'auto',
  taken: readonly AttachedProgram[],
  left: readonly LeftBehind[],
): string[] {
  if (taken.length === 0) {
    return [`${device} has no XDP program${mode === 'auto' ? '' : ` in mode ${mode}`}`];
  }
  return taken.map((one, index) => {
    const { others = [], isOwn = false } = left[index] ?? {};
    const goesOn = others.length === 1 ? 'goes on with it' : 'go on with it';
    // Where the tables were this device's, a warning says so.
    const kept = others.length > 0 && !isOwn ? `; ${others.join(' and ')} ${goesOn}` : '';
    return `${device} [${MODE_NAMES[one.mode]}] ${one.name} (program ${one.id}) removed${kept}`;
  });
}

export function takenOffJson(device: string, taken: readonly AttachedProgram[]): unknown {
  return {
    interface: device,
    taken_off: taken.map(({ mode, id }) => ({ mode: MODE_NAMES[mode], program: id })),
  };
}
