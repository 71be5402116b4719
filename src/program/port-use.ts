// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads how many of the ports of full-nat are taken. */
import { encodeKey } from '../abi/bytes.js';
import { BLOCK_PORTS } from '../abi/pool.js';
import { CLAIMS, decodeClaims } from '../abi/port.js';
import type { Ports } from '../plan/port-use.js';
import type { UsedPool } from '../plan/pools.js';
import { judgePool, setsToSee } from '../plan/port-use.js';
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

/** Sets of each pool. These are 2,048 ports, which tell its share to one in a hundred. */
const SAMPLE = 256;

/** Returns undefined where no service needs ports. */
export async function readPorts(
  bpftool: Pick<Bpftool, 'queries'>,
  { claims }: Pick<Maps, 'claims'>,
  pools: readonly UsedPool[],
): Promise<Ports> {
  if (!claims || pools.length === 0) return undefined;
  const looks = pools.map((pool) => ({ pool, sets: setsToSee(pool, SAMPLE) }));
  try {
    const answers = await bpftool.queries(
      looks.flatMap(({ sets }) => sets.map((set) => lookupLine(claims, encodeKey(set)))),
    );
    const now = kernelSeconds();
    const seen = answers.map((one) => decodeClaims(valueOf(decodeEntry(one))));
    let start = 0;
    return {
      blocks: (claims.entries * CLAIMS) / BLOCK_PORTS,
      pools: looks.map(({ pool, sets }) => {
        const own = seen.slice(start, (start += sets.length)).flat();
        return judgePool(pool, own, now);
      }),
    };
  } catch (error) {
    // The program may have been replaced meanwhile.
    if (!(error instanceof BpftoolFailure)) throw error;
    return new Unseen(`the ports could not be read: ${error.reason}`);
  }
}
