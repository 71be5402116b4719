// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The options of a run behind a router: what fits together, and the runs that they ask for. */
import type { Forward } from '../../wire/forward.js';
import { UsageFailure } from '../../text/failure.js';
import type { Wish } from '../changes.js';
import type { Routed } from '../perform.js';
import type { Family, Sources } from './sources.js';

export interface EcmpFlags {
  ecmp?: boolean;
  plainEcmp?: boolean;
  balancers?: number;
  sources?: Sources;
  family?: Family;
}

interface OtherFlags {
  change?: Wish[];
  table?: string;
  forward?: Forward;
  flood?: number;
  halfOpen?: number;
}

export const USUAL_BALANCERS = 3;

/** What there is to see with balancers, and with the router alone. */
const ROUTED_CHANGES = [
  ...['drain balancer', 'restore balancer', 'stop balancer', 'start balancer'],
  ...['remove 1', 'add 1', 'kill balancer'],
];
const PLAIN_CHANGES = ['remove 1', 'add 1', 'drain 1', 'restore 1'];

export function usualChanges(
  { ecmp, plainEcmp }: EcmpFlags,
  usual: readonly string[],
): readonly string[] {
  if (ecmp) return ROUTED_CHANGES;
  return plainEcmp ? PLAIN_CHANGES : usual;
}

/** How many balancers the schedule starts with; 0: there is no router in front of them. */
export function balancersOf({ ecmp, balancers }: EcmpFlags): number {
  return ecmp ? (balancers ?? USUAL_BALANCERS) : 0;
}

/** The runs behind a router, one after another; none: a run on a switch. */
export function routedRuns(flags: EcmpFlags): Routed[] {
  const { ecmp, plainEcmp, sources } = flags;
  const family = flags.family ?? sources?.family ?? '4';
  return [
    ...(ecmp ? [{ family, sources, isPlain: false }] : []),
    ...(plainEcmp ? [{ family, sources, isPlain: true }] : []),
  ];
}

/** Throws a UsageFailure for options that do not fit together. */
export function checkEcmp(flags: EcmpFlags & OtherFlags): void {
  const { ecmp, plainEcmp, sources, family } = flags;
  if (!ecmp && flags.balancers !== undefined) {
    throw new UsageFailure('--balancers is for --ecmp', { next: 'add --ecmp' });
  }
  if (!ecmp && !plainEcmp) {
    if (sources === undefined && family === undefined) return;
    const option = sources === undefined ? '--family' : '--sources';
    throw new UsageFailure(`${option} is for --ecmp and --plain-ecmp`, {
      next: 'add --ecmp',
    });
  }
  if (sources && family !== undefined && sources.family !== family) {
    throw new UsageFailure(`--sources ${sources.prefix} are not of --family ${family}`, {
      next: 'leave --family out',
    });
  }
  const unfit = [
    { option: '--table', given: flags.table },
    { option: '--flood', given: flags.flood },
    { option: '--half-open', given: flags.halfOpen },
    {
      option: `--forward ${flags.forward ?? ''}`,
      given: flags.forward === 'tunnel' ? undefined : flags.forward,
    },
  ].find(({ given }) => given !== undefined);
  if (unfit) {
    throw new UsageFailure(`${unfit.option} is not possible behind a router`, {
      cause: 'there, packets go by a tunnel, and balancers agree by the consistent table',
      next: `leave ${unfit.option} out`,
    });
  }
  const other = flags.change?.find(({ kind }) => kind === 'takeover' || kind === 'both');
  if (other) {
    throw new UsageFailure(`${other.kind} is not possible behind a router`, {
      cause: 'the router decides which balancers get packets',
      next: 'stop balancer, start balancer, or add balancer',
    });
  }
}
