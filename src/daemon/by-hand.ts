// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What somebody may decide about a destination, and what that leads to. */
import type { Decided } from '../health/service.js';
import { Failure } from '../text/failure.js';

export const ACTIONS = ['drain', 'undrain', 'down', 'auto', 'weight'] as const;
/**
 * `drain` leaves it the connections that it has, and `down` takes them, too. `undrain` takes
 * back the one, `auto` all that hands decided. `weight` takes the place of that of the file.
 */
export type Action = (typeof ACTIONS)[number];

/** There is no such service, or no such destination in it. */
export class NotThere extends Failure {}
/** It cannot be done with a destination that is so. */
export class Conflict extends Failure {}

export function decideByHand(
  before: Decided,
  action: Action,
  weight: number | undefined,
  destination: string,
): Decided {
  switch (action) {
    case 'drain':
      return { ...before, byHand: 'drained' };
    case 'down':
      return { ...before, byHand: 'down' };
    case 'undrain':
      if (before.byHand === 'drained') return { ...before, byHand: undefined };
      throw new Conflict(`${destination} is not drained`, {
        cause: before.byHand ? 'it was taken down by hand' : 'nobody drained it',
        next: before.byHand && 'auto takes back all that was decided by hand',
      });
    case 'auto':
      return { byHand: undefined, weightByHand: undefined };
    case 'weight':
      return { ...before, weightByHand: weight };
  }
}

export function notThere(service: string, destination: string | undefined): NotThere {
  return destination === undefined
    ? new NotThere(`there is no service ${service}`, {
        next: 'the status lists the services',
      })
    : new NotThere(`${service} has no destination ${destination}`, {
        cause: 'it is named as the file has it, such as 10.0.1.1 or [fd00::1]:8080',
        next: 'the status lists the destinations',
      });
}
