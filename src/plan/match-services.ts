// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Finds which live service each service of a config file is, where the new ones go, and
 * which live ones go away because the file does not have them.
 */
import { reachable } from './cells.js';
import {
  CELL_HASH_SOURCE,
  CELL_MINIMAL_TABLE,
  CELL_NAMES,
  CELL_UDP_STAYS,
} from '../abi/cell.js';
import type { WantedService } from '../config/read.js';
import { Failure } from '../text/failure.js';
import { many } from '../text/format.js';
import type { State } from './state.js';
import type { GoneService } from './remove.js';
import type { Service } from './services.js';
import { defaultSlots, freeRun, freeService, servicesIn } from './services.js';
import { wayKey } from '../wire/way.js';

export interface Assignment<T extends WantedService = WantedService> {
  wanted: T;
  service: Service;
  isNew: boolean;
}

export interface Layout<T extends WantedService = WantedService> {
  /** In the order of the file. */
  fills: Assignment<T>[];
  removed: GoneService[];
  /** New services get slots that others have to leave first. */
  isTight: boolean;
}

/**
 * Finds for each wanted service the live one that has a way in common with it. If there
 * are several, it is the one with the most such ways, then the one with as many slots as
 * are wanted, then the one that fewest ask for.
 */
export function matchServices<T extends WantedService>(
  live: readonly Service[],
  wanted: readonly T[],
): Map<T, Service> {
  const keysOf = new Map(
    live.map((service) => [service, new Set(service.ways.map(wayKey))]),
  );
  const pairs = wanted.flatMap((one) =>
    live.flatMap((service) => {
      const shared = one.ways.filter((way) => keysOf.get(service)?.has(wayKey(way)));
      const fits = one.slots === 1 << service.log2Slots ? 1 : 0;
      return shared.length > 0 ? [{ one, service, shared: shared.length, fits }] : [];
    }),
  );
  const asking = (service: Service): number =>
    pairs.filter((pair) => pair.service === service).length;
  pairs.sort(
    (a, b) =>
      b.shared - a.shared || b.fits - a.fits || asking(a.service) - asking(b.service),
  );
  const matches = new Map<T, Service>();
  const taken = new Set<Service>();
  for (const { one, service } of pairs) {
    if (matches.has(one) || taken.has(service)) continue;
    matches.set(one, service);
    taken.add(service);
  }
  return matches;
}

/**
 * Lays the services out, or reports at once everything that is wrong with the file on
 * this device.
 */
export function layOut<T extends WantedService>(
  live: State,
  wanted: readonly T[],
): Layout<T> {
  const there = [...servicesIn(reachable(live)).values()];
  const matches = matchServices(there, wanted);
  checkFit(live, wanted, matches);

  const stay = [...matches.values()];
  const leave = there.filter((service) => !stay.includes(service));
  const fresh = wanted.filter((one) => !matches.has(one));
  const apart = placeNew(there, fresh, live.sizes);
  const placed = apart ?? placeNew(stay, fresh, live.sizes);
  if (!placed) throw noRoom(fresh, stay, live.sizes);

  const fills = wanted.flatMap((one): Assignment<T>[] => {
    const match = matches.get(one);
    const service = match ?? placed.get(one);
    if (!service) return [];
    const settings = settingsOf(one);
    return [
      {
        wanted: one,
        service: { ...service, ways: one.ways, ...settings },
        isNew: !match,
      },
    ];
  });
  const known = [...leave, ...fills.map(({ service }) => service)];
  return {
    fills,
    removed: [
      ...leave.map(({ id, ways, ...range }) => ({ id, ways, range })),
      ...leftovers(live, known),
    ],
    isTight: apart === undefined,
  };
}

function settingsOf({
  hash,
  udp,
  table,
  remember,
  idle = 0,
  drainDeadline = 0,
}: WantedService): Pick<Service, 'flags' | 'idle' | 'drainDeadline'> {
  const flags =
    (hash === 'source' ? CELL_HASH_SOURCE : 0) |
    (udp === 'previous' ? CELL_UDP_STAYS : 0) |
    (table === 'minimal' ? CELL_MINIMAL_TABLE : 0) |
    (remember === 'destinations' ? CELL_NAMES : 0);
  return { flags, idle, drainDeadline };
}

function checkFit(
  { sizes }: State,
  wanted: readonly WantedService[],
  matches: ReadonlyMap<WantedService, Service>,
): void {
  const problems: string[] = [];
  for (const one of wanted) {
    const match = matches.get(one);
    const slots = match ? 1 << match.log2Slots : (one.slots ?? defaultSlots(sizes));
    if (one.slots !== undefined && one.slots !== slots) {
      problems.push(
        `${one.slotsPlace}: slots: ${one.name} has ${slots} slots, and keeps them for life`,
      );
    } else if (one.slots === undefined && one.rows.length > slots) {
      const count = many(one.rows.length, 'destination');
      problems.push(`${one.place}: slots: ${count} do not fit ${many(slots, 'slot')}`);
    }
  }
  const total = wanted.reduce((sum, { rows }) => sum + rows.length, 0);
  if (total > sizes.destinations) {
    problems.push(
      `all services have ${many(total, 'destination')}, ` +
        `and the program has room for ${sizes.destinations}`,
    );
  }
  const ways = wanted.reduce((sum, one) => sum + one.ways.length, 0);
  if (ways > sizes.cells) {
    problems.push(
      `all services have ${many(ways, 'way')}, and the program has ${many(sizes.cells, 'cell')} for them`,
    );
  }
  if (problems.length > 0) {
    throw new Failure(`the file does not suit the tables\n${problems.join('\n')}`, {
      next: 'fix the file, or load the program anew: l4lb-load --off, and l4lb-load',
    });
  }
}

/**
 * Places the largest first, so that they lie close together. Ids follow the order of the
 * file.
 */
function placeNew<T extends WantedService>(
  there: readonly Service[],
  fresh: readonly T[],
  sizes: State['sizes'],
): Map<T, Service> | undefined {
  const placed: Service[] = [...there];
  const services = new Map<T, Service>();
  for (const one of fresh) {
    const log2Slots = Math.log2(one.slots ?? defaultSlots(sizes));
    const service = {
      ...{ id: freeService(placed), firstSlot: 0, log2Slots, ways: one.ways },
      ...settingsOf(one),
    };
    services.set(one, service);
    placed.push({ ...service });
  }
  const taken: Pick<Service, 'firstSlot' | 'log2Slots'>[] = [...there];
  for (const service of [...services.values()].sort(
    (a, b) => b.log2Slots - a.log2Slots,
  )) {
    const firstSlot = freeRun(taken, 1 << service.log2Slots, sizes);
    if (firstSlot === undefined) return undefined;
    service.firstSlot = firstSlot;
    taken.push(service);
  }
  return services;
}

function noRoom(
  fresh: readonly WantedService[],
  stay: readonly Service[],
  sizes: State['sizes'],
): Failure {
  const used = stay.reduce((sum, { log2Slots }) => sum + (1 << log2Slots), 0);
  const list = fresh.map(
    ({ slotsPlace, name, slots }) =>
      `${slotsPlace}: slots: ${name} wants ${slots ?? defaultSlots(sizes)}`,
  );
  return new Failure(
    `no room for the slots of new services, ${used} of ${sizes.slots} are taken\n` +
      list.join('\n'),
    {
      cause: 'other services have them, or the program was built with fewer',
      next: 'give services fewer with `slots`, or begin anew with l4lb-load --off and l4lb-load',
    },
  );
}

/**
 * Destinations of services that have no ways, as a tool leaves them that was killed
 * midway.
 */
function leftovers(live: State, known: readonly { id: number }[]): GoneService[] {
  const ids = new Set([...live.destinations.values()].map(({ service }) => service));
  return [...ids]
    .filter((id) => id !== 0 && known.every((service) => service.id !== id))
    .map((id) => ({ id, ways: [], range: undefined }));
}
