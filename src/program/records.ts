// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads whether there is room for records of connections. */
import { encodeKey } from '../abi/bytes.js';
import { LIMIT_RECORDS, decodeDone } from '../abi/limits.js';
import { decodeRecords } from '../abi/record.js';
import type { Records } from '../plan/records.js';
import { judgeRecords } from '../plan/records.js';
import type { Bpftool } from '../system/bpftool.js';
import {
  BpftoolFailure,
  decodeEntry,
  lookupLine,
  valueOf,
} from '../system/bpftool-text.js';
import { kernelSeconds } from '../system/clock.js';
import { Unseen } from '../text/unseen.js';
import type { Maps } from './find.js';

/**
 * A hash with a secret key chooses the set of a connection, so any sets are a fair sample.
 * A dump of all of them would be 65 MB of text.
 */
const SAMPLE = 256;

/** Returns undefined for a build that has no records. */
export async function readRecords(
  bpftool: Pick<Bpftool, 'queries'>,
  { flows, limits }: Pick<Maps, 'flows' | 'limits'>,
): Promise<Records> {
  if (!flows || !limits) return undefined;
  const sets = flows.entries;
  const seen = Math.min(SAMPLE, sets);
  const keys = Array.from({ length: seen }, (_, index) =>
    Math.floor((index * sets) / seen),
  );
  try {
    const [done, ...answers] = await bpftool.queries([
      lookupLine(limits, encodeKey(LIMIT_RECORDS)),
      ...keys.map((key) => lookupLine(flows, encodeKey(key))),
    ]);
    return judgeRecords(
      sets,
      answers.map((one) => decodeRecords(valueOf(decodeEntry(one)))),
      decodeEntry(done).values.map(decodeDone),
      kernelSeconds(),
    );
  } catch (error) {
    // The program may have been replaced meanwhile.
    if (!(error instanceof BpftoolFailure)) throw error;
    return new Unseen(`the records could not be read: ${error.reason}`);
  }
}
