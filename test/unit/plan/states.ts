// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** States of the maps, and fills that lead from one to the next. */
import type { Slot } from '../../../src/abi/slot.js';
import { cellIndex, isWay } from '../../../src/plan/cells.js';
import { CELL_MINIMAL_TABLE, CELL_NAMES } from '../../../src/abi/cell.js';
import type { Cell, Remember, TableKind } from '../../../src/abi/cell.js';
import { formatAddress } from '../../../src/wire/address.js';
import { Failure } from '../../../src/text/failure.js';
import type { DestinationSet } from '../../../src/plan/history.js';
import type { State, Write } from '../../../src/plan/state.js';
import { SlotTable } from '../../../src/plan/slots.js';
import type { Plan } from '../../../src/plan/service.js';
import type { WantedDestination } from '../../../src/plan/steps.js';
import { applyWrites, ownedBy } from '../../../src/plan/state.js';
import { plan } from '../../../src/plan/service.js';
import type { Service } from '../../../src/plan/services.js';
import { chooseService } from '../../../src/plan/services.js';
import type { Answering, Forward } from '../../../src/wire/forward.js';
import type { Names } from '../../../src/wire/names.js';
import { forwardIn } from '../../../src/wire/forward.js';
import type { Sources } from '../../../src/wire/outer-source.js';
import type { Way } from '../../../src/wire/way.js';
import { parseWays, wayKey } from '../../../src/wire/way.js';
import { BALANCER, BALANCER_6, BALANCER_MAC, ip, mac } from '../wire/names.js';

export const PORTABLE: State['sizes'] = { slots: 512, destinations: 512, cells: 16 };
/** A small one that records connections. */
export const SMALL: State['sizes'] = { ...PORTABLE, sets: 1 };

/** The maps of a program that was just loaded. */
export function untouched(sizes: State['sizes'] = SMALL): State {
  return {
    sizes,
    device: {
      abi: 0,
      generation: 0,
      cellSeed: 0,
      slotSeed: 0,
      mac: Buffer.alloc(6),
      sessionPort: 0,
      mtu: 0,
      log2Sets: 0,
      flags: 0,
      names: {},
    },
    cells: new Map(),
    destinations: new Map(),
    counters: new Map(),
    slots: new Map(),
  };
}

/** A row of a file; the MAC is made of the address where none is named. */
export function row(address: string, weight = 1, hardware?: string): WantedDestination {
  const bytes = ip(address);
  const made = Buffer.concat([Buffer.from([2, 0]), bytes.subarray(12)]);
  return { address: bytes, mac: hardware === undefined ? made : mac(hardware), weight };
}

/** Rows 10.0.NETWORK.0, 10.0.NETWORK.1, … and on into the next network. */
export function rows(count: number, network = 1): WantedDestination[] {
  return Array.from({ length: count }, (_, index) =>
    row(`10.0.${network + (index >> 8)}.${index & 255}`),
  );
}

export function ways(...texts: string[]): Way[] {
  return texts.flatMap((text) => parseWays(text));
}

/** How a fill is asked for, as on the command line. */
export interface Fill {
  vip?: string[];
  slots?: number;
  takeSsh?: boolean;
  sessionPort?: number;
  forward?: Forward;
  source?: Buffer;
  sources?: Sources;
  echo?: boolean;
  answers?: Answering;
  mac?: Buffer;
  mtu?: number;
  table?: TableKind;
  remember?: Remember;
  names?: Names;
  /** Of a build whose slots remember. */
  now?: number;
  history?: readonly DestinationSet[];
}

/** The service of a fill, and the plan for it. */
export function planFor(
  live: State,
  file: readonly WantedDestination[],
  fill: Fill = {},
): Plan & { service: Service } {
  const { service: chosen, isNew } = chooseService(
    live.cells,
    fill.vip && ways(...fill.vip),
    live.sizes,
    fill.slots,
  );
  const others = chosen.flags & ~CELL_MINIMAL_TABLE;
  const flags = {
    minimal: others | CELL_MINIMAL_TABLE,
    consistent: others,
    kept: chosen.flags,
  };
  const remembers = {
    destinations: CELL_NAMES,
    balancer: 0,
    kept: chosen.flags & CELL_NAMES,
  };
  const names = remembers[fill.remember ?? 'kept'];
  const service = {
    ...chosen,
    flags: (flags[fill.table ?? 'kept'] & ~CELL_NAMES) | names,
  };
  const made = plan(
    { ...live, slots: slotsOf(live, service) },
    {
      service,
      isNew,
      destinations: file,
      forward: fill.forward ?? forwardIn(ownedBy(live, service.id).values()),
      sources: fill.sources ?? {
        ipv4: { address: fill.source ?? BALANCER, spread: 0 },
        ipv6: { address: BALANCER_6, spread: 0 },
      },
      echo: fill.echo,
      answers: fill.answers,
      takeSsh: fill.takeSsh,
      sessionPort: fill.sessionPort ?? 0,
      mac: fill.mac ?? BALANCER_MAC,
      mtu: fill.mtu ?? 1500,
      names: fill.names,
      now: fill.now,
      history: fill.history,
    },
  );
  return { ...made, service };
}

/** The same writes, each slot by itself: a tool can be killed between any two of them. */
export function oneByOne(writes: readonly Write[]): Write[] {
  return writes.flatMap((write) => {
    if (write.map !== 'slots') return [write];
    return [...write.slots].map((one): Write => {
      const slots = new SlotTable([new Map([one])]);
      return { map: 'slots', slots };
    });
  });
}

/** The state after a fill. */
export function filled(
  live: State,
  file: readonly WantedDestination[],
  fill: Fill = {},
): State {
  return applyWrites(live, planFor(live, file, fill).writes);
}

export function slotsOf(
  live: State,
  { firstSlot, log2Slots }: Pick<Service, 'firstSlot' | 'log2Slots'>,
): State['slots'] {
  const end = firstSlot + (1 << log2Slots);
  const slots = new Map<number, Slot>();
  live.slots.forEach((slot, key) => {
    if (key >= firstSlot && key < end) slots.set(key, slot);
  });
  return slots;
}

/** The cell that the program finds for a way, if any. */
export function lookUp(live: State, way: Way): Cell | undefined {
  const cell = live.cells.get(cellIndex(way, live.device.cellSeed, live.sizes.cells));
  return cell && isWay(cell) && wayKey(cell) === wayKey(way) ? cell : undefined;
}

/** Address by slot, as packets meet it; "none" where a slot is empty. */
export function addressesBySlot(
  live: State,
  service: Pick<Service, 'firstSlot' | 'log2Slots'>,
): string[] {
  return Array.from({ length: 1 << service.log2Slots }, (_, slot) => {
    const id = live.slots.get(service.firstSlot + slot)?.current ?? 0;
    const entry = live.destinations.get(id);
    return id === 0 || !entry ? 'none' : formatAddress(entry.address);
  });
}

/** Id by address, of destinations that a service owns. */
export function idsOf(live: State, service = 1): Map<string, number> {
  return new Map(
    [...live.destinations]
      .filter(([, entry]) => entry.service === service)
      .map(([id, { address }]) => [formatAddress(address), id]),
  );
}

export function isFailure(error: unknown): error is Failure {
  return error instanceof Failure;
}
