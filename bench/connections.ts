// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What a TCP connection costs: straight to a destination, through l4lb, and through
 * HAProxy in TCP mode. Each is opened, asks one short question, gets its answer, and
 * is closed.
 *
 * Client, balancer and servers share the processors, and keep all of them busy. So the
 * connections a second tell how much processor time one costs in all, not how many a
 * balancer on a machine of its own could take: there l4lb would be farther ahead.
 */
import { formatCount } from '../src/text/format.js';
import { Farm } from './farm.js';
import type { ConnectionsResult } from './result.js';
import { spreadBeside, spreadOf } from './result.js';
import { run } from '../src/system/run.js';
import { stoppable } from './stoppable.js';
import type { Answered } from './wrk.js';

/** Of each case in each round, and of each before the first. */
const SECONDS = 3;
const WARM_UP_SECONDS = 1;

interface Case {
  name: string;
  address: string;
  rounds: Answered[];
}

/** The first result is what the others' ratios are to. */
export async function measureConnections(
  rounds: number,
  tell: (line: string) => void,
): Promise<ConnectionsResult[]> {
  return stoppable(run, async (stop) => {
    const farm = new Farm(stop);
    try {
      tell('connections: building a network with their servers');
      await farm.up();
      return resultsOf(await measure(farm, rounds, tell));
    } finally {
      await farm.down();
    }
  });
}

async function measure(
  farm: Farm,
  rounds: number,
  tell: (line: string) => void,
): Promise<Case[]> {
  const cases = Object.entries(farm.targets).map(([name, address]): Case => ({
    name,
    address,
    rounds: [],
  }));
  for (const { address } of cases) await farm.ask(address, WARM_UP_SECONDS);
  for (let round = 1; round <= rounds; round++) {
    for (const one of cases) {
      const answered = await farm.ask(one.address, SECONDS);
      one.rounds.push(answered);
      const rate = formatCount(answered.perSecond);
      tell(`connections: round ${round} of ${rounds}: ${one.name}: ${rate} a second`);
    }
  }
  return cases;
}

function resultsOf(cases: readonly Case[]): ConnectionsResult[] {
  const rates = cases.map((one) => one.rounds.map(({ perSecond }) => perSecond));
  const straight = rates[0] ?? [];
  return cases.map(({ name, rounds }, index) => {
    const own = rates[index] ?? [];
    return {
      name,
      perSecond: spreadOf(own),
      ratio: spreadBeside(own, straight, (one, other) => one / other),
      failed: rounds.reduce((sum, { failed }) => sum + failed, 0),
    };
  });
}
