// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads what destinations say about hot slots: the files of --settle --used. */
import { statSync } from 'node:fs';

import { CELL_NAMES } from '../abi/cell.js';
import { readStatuses } from '../config/destination-status.js';
import type { Service } from '../plan/services.js';
import type { State } from '../plan/state.js';
import type { Witness } from '../plan/used.js';
import { kernelSeconds } from '../system/clock.js';
import { Failure } from '../text/failure.js';
import { Fault, tryParse } from '../text/fault.js';
import { formatNames } from '../wire/names.js';
import { FAMILIES } from '../wire/outer-source.js';
import { readFile } from './from-rows.js';

const PRINT =
  'print it anew at the destination: l4lb-load -i DEVICE --decap --status --json';
const ROWS = 'name files that l4lb-load --decap --status --json printed at destinations';

/** The seconds by which a destination's clock may be ahead. */
const MOST_AHEAD = 10;

/** Reads all files, and throws if one is wrong. */
export function readWitnesses(
  files: readonly string[],
  { wall, kernel } = { wall: Date.now(), kernel: kernelSeconds() },
): Witness[] {
  return files.flatMap((path) => {
    const { name, text } = readFile(path, ROWS);
    const statuses = tryParse(() => readStatuses(text));
    if (statuses instanceof Fault) throw wrong(name, statuses.message);
    const written = path === '-' ? wall : statSync(path).mtimeMs;
    return statuses.map((status) => {
      const ahead = (status.time - wall) / 1000;
      if (ahead > MOST_AHEAD) {
        throw new Failure(`${name} is of ${Math.ceil(ahead)} s from now`, {
          cause: "the destination's clock is ahead, or this host's is behind",
          next: 'timedatectl, on both; set the clocks, and print the status anew',
        });
      }
      // If a clock is wrong, the earlier time is the safer one.
      const age = Math.max(0, wall - Math.min(status.time, written)) / 1000;
      return { ...status, file: name, printed: kernel - age };
    });
  });
}

/** Refuses statuses that can say nothing about these tables. */
export function checkWitnesses(
  witnesses: readonly Witness[],
  { device }: Pick<State, 'device'>,
  services: readonly Pick<Service, 'flags'>[],
): void {
  if (services.every(({ flags }) => (flags & CELL_NAMES) === 0)) {
    throw new Failure('--used is for services whose destinations remember', {
      cause: 'here the balancer remembers, and knows by itself which slots are needed',
      next: 'leave --used out',
    });
  }
  for (const { file, names } of witnesses) {
    for (const family of FAMILIES) {
      const [here, there] = [device.names[family], names[family]];
      if (!here || !there || formatNames(here) === formatNames(there)) continue;
      throw new Failure(
        `${file} is of a destination with the names ${formatNames(there)}; here they are ${formatNames(here)}`,
        {
          cause: 'it is a destination of other balancers, or has the wrong prefix',
          next: `leave the file out, or at the destination: l4lb-load --decap --replace --names ${formatNames(here)} --siblings FILE`,
        },
      );
    }
  }
}

function wrong(name: string, what: string): Failure {
  return new Failure(`${name} is not the status of destinations: ${what}`, {
    cause: 'something else was printed to it, or by another version of l4lb',
    next: `${PRINT}; or leave it out, and its slots follow the idle time`,
  });
}
