// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Plans all writes that lead from what the maps hold to the services of a config file.
 * service.ts plans each service, one after the other; all of them go into one batch.
 */
import { must } from '../text/must.js';
import { isWay, reachable } from './cells.js';
import { formatEndpoint } from '../wire/endpoint.js';
import type { Forward } from '../wire/forward.js';
import type { WantedService } from '../config/read.js';
import { NoRoom } from './no-room.js';
import type { Assignment, Layout } from './match-services.js';
import type { DestinationSet } from './history.js';
import type { State, Write } from './state.js';
import { applyWrites, ownedBy, slotsIn } from './state.js';
import type { Plan } from './service.js';
import { plan } from './service.js';
import type { GoneService } from './remove.js';
import { planRemoval } from './remove.js';
import { checkDevice } from './device.js';
import type { Service } from './services.js';
import { SlotTable } from './slots.js';
import { servicesIn } from './services.js';
import { formatWay, wayKey } from '../wire/way.js';
import type { Wanted, WantedDestination } from './steps.js';

/** A service of the file, completed with what the network had to tell. */
export interface ResolvedService extends WantedService {
  forward: Forward;
  destinations: readonly WantedDestination[];
  /** The sets that came before, the oldest first; undefined: slots remember what they were. */
  history?: readonly DestinationSet[] | undefined;
}

/** What is the same for all services. */
export type Surroundings = Pick<
  Wanted,
  | 'sessionPort'
  | ('mac' | 'mtu' | 'ifindex')
  | ('echo' | 'answers' | 'names' | 'slotSeed')
  | ('deviceName' | 'now')
>;

export interface RemovedService {
  ways: string[];
  destinations: string[];
  /** 0 if only the leftovers of a killed tool are removed. */
  slots: number;
}

export interface ConfigPlan {
  writes: Write[];
  /** What the maps hold after these writes. */
  after: State;
  /** In the order of the file. */
  services: { name: string; plan: Plan }[];
  removed: RemovedService[];
  /** Old services go before new ones come: for a moment their packets find no service. */
  removesFirst: boolean;
}

type Fill = Assignment<ResolvedService>;

/**
 * Plans the new services before the old ones go, so that every packet finds one of them.
 * Only where there is no room for both do the old ones make room first.
 */
export function planConfig(
  live: State,
  { fills, removed, isTight }: Layout<ResolvedService>,
  surroundings: Surroundings,
): ConfigPlan {
  checkDevice(live, surroundings);
  if (!isTight) {
    try {
      const made = planAll(live, takersFirst(live, fills), removed, surroundings, false);
      const isWhole = made.services.every(
        ({ plan: { used, wanted } }) => used === wanted,
      );
      if (isWhole) return inOrderOf(fills, made);
    } catch (error) {
      if (!(error instanceof NoRoom)) throw error;
    }
  }
  const order = shrinkingFirst(live, fills);
  return inOrderOf(fills, planAll(live, order, removed, surroundings, true));
}

function planAll(
  live: State,
  fills: readonly Fill[],
  gone: readonly GoneService[],
  surroundings: Surroundings,
  removeFirst: boolean,
): ConfigPlan {
  const result: Omit<ConfigPlan, 'after'> = {
    writes: [],
    services: [],
    removed: [],
    removesFirst: removeFirst && gone.length > 0,
  };
  // All slots together may be a million, so they are not copied for each service.
  const slots = new SlotTable([live.slots]);
  let state: State = { ...live, slots };
  const add = (writes: readonly Write[]): void => {
    const others: Write[] = [];
    for (const write of writes) {
      result.writes.push(write);
      if (write.map === 'slots') slots.setAll(write.slots);
      else others.push(write);
    }
    state = { ...applyWrites({ ...state, slots: new Map() }, others), slots };
  };
  const remove = (): void => {
    for (const service of gone) {
      result.removed.push(describeGone(state, service));
      add(planRemoval(state, service));
    }
  };
  if (removeFirst) remove();
  for (const { wanted, service, isNew } of fills) {
    const { destinations, history, forward, sources, takeSsh } = wanted;
    const { cells, claimed } = claimWays(state, service);
    const made = plan(
      { ...state, cells, slots: slotsIn(state, service) },
      {
        ...{ ...surroundings, service, isNew, destinations, history },
        ...{ forward, sources, takeSsh },
      },
    );
    const waysAdded = [...made.waysAdded, ...claimed];
    result.services.push({ name: wanted.name, plan: { ...made, waysAdded } });
    add(made.writes);
  }
  if (!removeFirst) remove();
  return { ...result, after: state };
}

/**
 * Treats a way that another service still has as if it were this service's with wrong
 * slots. So it changes its owner in one write, without a gap.
 */
function claimWays(
  { cells }: State,
  service: Service,
): { cells: State['cells']; claimed: string[] } {
  const own = new Set(service.ways.map(wayKey));
  const taken = [...cells].filter(
    ([, cell]) => isWay(cell) && cell.service !== service.id && own.has(wayKey(cell)),
  );
  const claims = taken.map(
    ([key, cell]) => [key, { ...cell, service: service.id }] as const,
  );
  return {
    cells: claims.length === 0 ? cells : new Map([...cells, ...claims]),
    claimed: [...new Set(taken.map(([, cell]) => formatWay(cell)))],
  };
}

function describeGone(state: State, { id, ways, range }: GoneService): RemovedService {
  return {
    ways: ways.map(formatWay),
    destinations: [...ownedBy(state, id).values()].map(formatEndpoint),
    slots: range ? 1 << range.log2Slots : 0,
  };
}

/** Puts services that take a way before those that give it up. */
function takersFirst(live: State, fills: readonly Fill[]): Fill[] {
  const owners = new Map(
    [...servicesIn(reachable(live)).values()].flatMap(({ id, ways }) =>
      ways.map((way) => [wayKey(way), id] as const),
    ),
  );
  const takes = ({ service }: Fill): boolean =>
    service.ways.some((way) => (owners.get(wayKey(way)) ?? service.id) !== service.id);
  return [...fills.filter(takes), ...fills.filter((fill) => !takes(fill))];
}

/** Puts services that give ids back before those that need them. */
function shrinkingFirst(live: State, fills: readonly Fill[]): Fill[] {
  const growth = ({ wanted, service }: Fill): number =>
    wanted.destinations.length - ownedBy(live, service.id).size;
  return [...fills].sort((a, b) => growth(a) - growth(b));
}

function inOrderOf(fills: readonly Fill[], made: ConfigPlan): ConfigPlan {
  const place = new Map(fills.map(({ wanted }, index) => [wanted.name, index]));
  const services = [...made.services].sort(
    (a, b) => must(place.get(a.name), a.name) - must(place.get(b.name), b.name),
  );
  return { ...made, services };
}
