// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The options of l4lb-disturb: what fits together, and the schedule that they ask for. */
import { Fault, tryParse } from '../text/fault.js';
import { UsageFailure } from '../text/failure.js';
import { many } from '../text/format.js';
import { USUAL_FORWARD } from '../wire/forward.js';
import { needsSecond } from './balancers.js';
import type { Schedule, Wish } from './changes.js';
import { DEFAULT_CHANGES, makeSchedule, parseChange } from './changes.js';
import type { EcmpFlags } from './ecmp/options.js';
import { balancersOf, checkEcmp, usualChanges } from './ecmp/options.js';
import { MODULO_SLOTS } from './modulo.js';
import type { Request } from './perform.js';

export interface Flags extends Request, EcmpFlags {
  change?: Wish[];
  destinations: number;
  failAbove?: number;
  json?: boolean;
  svg?: string;
}

/** Throws a UsageFailure for options that do not fit together. */
export function scheduleOf(flags: Flags): Schedule {
  checkEcmp(flags);
  if (flags.table === 'modulo' && flags.remember === 'destinations') {
    throw new UsageFailure('slots of the table modulo remember nothing', {
      next: 'leave --table or --remember out',
    });
  }
  if (flags.table === 'modulo' && flags.slots !== undefined) {
    throw new UsageFailure(`the table modulo has ${MODULO_SLOTS} slots`, {
      next: 'leave --table or --slots out',
    });
  }
  if (
    (flags.forward ?? USUAL_FORWARD) !== 'tunnel' &&
    flags.remember === 'destinations'
  ) {
    throw new UsageFailure('the destinations cannot remember without a tunnel', {
      cause: 'the outer header of a tunnel names those that a slot had before',
      next: 'leave --forward or --remember out',
    });
  }
  const changes = flags.change ?? usualChanges(flags, DEFAULT_CHANGES).map(parseChange);
  const schedule = tryParse(() =>
    makeSchedule(flags.destinations, changes, balancersOf(flags)),
  );
  if (schedule instanceof Fault) {
    throw new UsageFailure(schedule.message, {
      next: 'more --destinations, or another --change',
    });
  }
  if (flags.forward === 'full-nat' && needsSecond(schedule)) {
    throw new UsageFailure('by full-nat no other balancer can take connections over', {
      cause: 'only the balancer that sent a connection on knows who has its port',
      next: 'leave takeover and both out, or --forward full-nat',
    });
  }
  const steps = schedule.steps.length;
  if (flags.duration / (steps + 1) < 1000) {
    throw new UsageFailure(`${many(steps, 'change')} in too short a time`, {
      cause: 'between two changes there is at least a second',
      next: `--duration ${steps + 1}s, or longer`,
    });
  }
  return schedule;
}
