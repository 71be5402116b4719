// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Numbers the exits: other devices that destinations are reached by. An exit keeps its
 * number as long as an entry has it, so that no packet leaves by the wrong one. One that
 * no entry has stays until its number is needed.
 */
import type { Destination } from '../abi/destination.js';
import type { Exit } from '../abi/exit.js';
import { EXITS } from '../abi/exit.js';
import { Failure } from '../text/failure.js';
import { formatEndpoint } from '../wire/endpoint.js';
import type { State, Tables, Write } from './state.js';
import type { WantedDestination } from './steps.js';

/** By exitKey(). */
export type ExitNumbers = ReadonlyMap<string, { number: number; exit: Exit }>;

/** A device may have several exits, one for each VLAN on it. */
export function exitKey({ ifindex, vlan }: Exit): string {
  return `${ifindex} ${vlan}`;
}

export function isSameExit(one: Exit | undefined, other: Exit | undefined): boolean {
  return (one && exitKey(one)) === (other && exitKey(other));
}

/** A destination that is to stay as it is. */
export function asWanted(
  { exits }: Pick<State, 'exits'>,
  { address, port, forward, mac, weight, isFound, isForgotten, exit }: Destination,
): WantedDestination {
  return {
    ...{ address, port, mac, weight, isFound, isForgotten, exit: exits?.get(exit) },
    ...(forward === 'local' && { forward }),
  };
}

/**
 * Gives each wanted exit a number: the one that it has, or a free one. Answers may leave by
 * the program's own device, too, if they come in by another one.
 */
export function exitNumbers(
  { exits, destinations }: Tables,
  fill: readonly WantedDestination[],
  own?: Exit,
): ExitNumbers {
  const numbers = new Map<string, { number: number; exit: Exit }>();
  const first = fill.find(({ exit }) => exit);
  if (first && !exits) throw cannotLeave(first);
  if (!exits || (!first && !own)) return numbers;
  const wanted = [...fill, ...(own ? [{ exit: own }] : [])];
  const have = new Map([...exits].map(([number, exit]) => [exitKey(exit), number]));
  const taken = new Set([
    ...[...destinations.values()].map(({ exit }) => exit),
    ...wanted.map(({ exit }) => exit && have.get(exitKey(exit))),
  ]);
  let next = 1;
  for (const { exit } of wanted) {
    if (!exit || numbers.has(exitKey(exit))) continue;
    while (taken.has(next)) next++;
    const number = have.get(exitKey(exit)) ?? next++;
    if (number > EXITS) throw tooMany();
    numbers.set(exitKey(exit), { number, exit });
  }
  return numbers;
}

/** Plans what is new of the exits, was lost, or has changed: its MAC address or its MTU. */
export function planExits({ exits, lostExits }: Tables, numbers: ExitNumbers): Write[] {
  const changed = [...numbers.values()].filter(({ number, exit }) => {
    const there = exits?.get(number);
    const isSame =
      there &&
      !lostExits?.has(number) &&
      exitKey(there) === exitKey(exit) &&
      there.mtu === exit.mtu &&
      there.mac.equals(exit.mac);
    return !isSame;
  });
  const after = new Map(exits);
  for (const { number, exit } of changed) after.set(number, exit);
  return [
    ...changed.map(({ number, exit }): Write => ({
      map: 'exits',
      key: number,
      value: exit,
    })),
    ...planNumbers(byDevice(exits), byDevice(after)),
  ];
}

/** The number of the exit by each device; if it has several, of that without a VLAN. */
function byDevice(exits: State['exits']): Map<number, number> {
  const all = [...(exits ?? [])].sort(([, a], [, b]) => b.vlan - a.vlan);
  return new Map(all.map(([number, { ifindex }]) => [ifindex, number]));
}

function planNumbers(
  before: ReadonlyMap<number, number>,
  after: ReadonlyMap<number, number>,
): Write[] {
  const gone = [...before.keys()].filter((ifindex) => !after.has(ifindex));
  const added = [...after].filter(([ifindex, number]) => before.get(ifindex) !== number);
  return [
    ...gone.map((key): Write => ({ map: 'exit_numbers', key, value: undefined })),
    ...added.map(([key, value]): Write => ({ map: 'exit_numbers', key, value })),
  ];
}

function cannotLeave(destination: WantedDestination): Failure {
  return new Failure(
    `${formatEndpoint(destination)} is reached over another device, and this program cannot send there`,
    {
      cause:
        'only the host build sends by another device; a card and l4lb-dpdk send by their own port',
      next: 'load l4lb_xdp_host.o into the kernel, or take destinations on the network of this device',
    },
  );
}

function tooMany(): Failure {
  return new Failure(`there are more than ${EXITS} devices that packets leave by`, {
    cause: 'each VLAN on a device counts as one, and so do devices that are being left',
    next: 'take destinations on fewer networks, or fill in two steps if others go',
  });
}
