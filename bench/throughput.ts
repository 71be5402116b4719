// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What one TCP connection reaches, client to server, with a window of 64 KB: through a
 * gateway that balances, beside the kernel's own routing; and to a server on the balancer's
 * host, beside one that has the service's address itself.
 *
 * Client, gateway and server share the processors. So rounds differ, and a case is compared
 * with the other one of the same round.
 */
import type { Run } from '../src/system/run.js';
import { run, runIfThere } from '../src/system/run.js';
import { Failure } from '../src/text/failure.js';
import { must } from '../src/text/must.js';
import { Unseen } from '../src/text/unseen.js';
import type { BedName } from './beds.js';
import { BEDS, TO_BACKEND, TO_BACKEND6, TO_OTHER_PORT, TO_VIP, TO_VIP6 } from './beds.js';
import type { Target } from './iperf.js';
import { clientArguments, parseIperf } from './iperf.js';
import type { ThroughputResult } from './result.js';
import { spreadBeside, spreadOf } from './result.js';
import { stoppable } from './stoppable.js';
import { Testbed } from './testbed.js';

/** Of each case in each round. */
const SECONDS = 1;

export interface ThroughputCase {
  name: string;
  bed: BedName;
  target: Target;
  /** The case that it is compared with, which stands before it; undefined: none. */
  beside: string | undefined;
}

const ROUTED = "the kernel's routing, IPv4";
const ROUTED6 = "the kernel's routing, IPv6";
const BOUND = "a server on the service's address";
const BOUND_DRIVER = `${BOUND}, l4lb in driver mode`;

/** Each with what it is compared with right before it. */
export const THROUGHPUT: readonly ThroughputCase[] = [
  { name: ROUTED, bed: 'routed', target: TO_BACKEND, beside: undefined },
  { name: 'by the link, IPv4', bed: 'the link', target: TO_VIP, beside: ROUTED },
  { name: 'nat, IPv4', bed: 'nat', target: TO_VIP, beside: ROUTED },
  { name: 'nftables, DNAT, IPv4', bed: 'DNAT', target: TO_VIP, beside: ROUTED },
  { name: ROUTED6, bed: 'routed', target: TO_BACKEND6, beside: undefined },
  { name: 'by the link, IPv6', bed: 'the link', target: TO_VIP6, beside: ROUTED6 },
  { name: 'nat, IPv6', bed: 'nat', target: TO_VIP6, beside: ROUTED6 },
  { name: BOUND, bed: 'host', target: TO_VIP, beside: undefined },
  {
    ...{ name: 'a server on this host, l4lb in generic mode', bed: 'local' },
    ...{ target: TO_VIP, beside: BOUND },
  },
  {
    ...{ name: BOUND_DRIVER, bed: 'local, driver mode' },
    ...{ target: TO_OTHER_PORT, beside: undefined },
  },
  {
    ...{ name: 'a server on this host, l4lb in driver mode', bed: 'local, driver mode' },
    ...{ target: TO_VIP, beside: BOUND_DRIVER },
  },
];

/** The cases whose names a pattern has, and what they are compared with. */
export function throughputCases(only: RegExp): ThroughputCase[] {
  const chosen = THROUGHPUT.filter(({ name }) => only.test(`throughput: ${name}`));
  const others = new Set(chosen.map(({ beside }) => beside));
  return THROUGHPUT.filter((one) => chosen.includes(one) || others.has(one.name));
}

/** Fails where throughput cannot be measured. */
export async function checkIperf(run: Run): Promise<void> {
  if (!((await runIfThere(run, 'iperf', ['--version'])) instanceof Unseen)) return;
  throw new Failure('no iperf on this machine', {
    cause: 'throughput is measured with it, and it is not installed, or not in PATH',
    next: './setup.sh iperf, or make bench ARGS=--no-throughput',
  });
}

interface Measured {
  one: ThroughputCase;
  rounds: number[];
}

export async function measureThroughput(
  cases: readonly ThroughputCase[],
  rounds: number,
  tell: (line: string) => void,
): Promise<ThroughputResult[]> {
  return stoppable(run, async (stop) => {
    const beds = new Map<BedName, Testbed>();
    try {
      for (const name of new Set(cases.map(({ bed }) => bed))) {
        tell(`throughput: building a network: ${name}`);
        const testbed = new Testbed(stop, String(beds.size + 1));
        beds.set(name, testbed);
        await BEDS[name](testbed);
      }
      const all = cases.map((one): Measured => ({ one, rounds: [] }));
      for (let round = 1; round <= rounds; round++) {
        tell(`throughput: round ${round} of ${rounds}`);
        for (const measured of all) {
          const testbed = must(beds.get(measured.one.bed), measured.one.bed);
          measured.rounds.push(await rateOf(testbed, measured.one.target));
        }
      }
      return all.map((measured) => resultOf(measured, all));
    } finally {
      for (const testbed of beds.values()) await testbed.down();
    }
  });
}

/** Gbit/s. */
async function rateOf(testbed: Testbed, target: Target): Promise<number> {
  const args = clientArguments(target, SECONDS);
  return parseIperf(await testbed.ask('client', SECONDS, 'iperf', ...args));
}

function resultOf({ one, rounds }: Measured, all: readonly Measured[]): ThroughputResult {
  const { name, beside } = one;
  const other = all.find((another) => another.one.name === beside);
  return {
    ...{ name, beside, rate: spreadOf(rounds) },
    ratio: other && spreadBeside(rounds, other.rounds, (mine, theirs) => mine / theirs),
  };
}
