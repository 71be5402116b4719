// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Puts together what l4lbd knows. */
import type {
  Cause,
  Changes,
  CheckerStatus,
  DestinationStatus,
  FileStatus,
  FleetStatus,
  ServiceStatus,
  Status,
} from '../api/status.js';
import type { Warm } from '../fill/from-rows.js';
import { waitFor } from '../health/moves.js';
import { isHot } from '../plan/hot-slots.js';
import { slotsIn } from '../plan/state.js';
import type { ResolvedService } from '../plan/all.js';
import { reachable } from '../plan/cells.js';
import { matchServices } from '../plan/match-services.js';
import { servicesIn } from '../plan/services.js';
import type { Attached } from '../program/find.js';
import { VERSION } from '../system/package.js';
import { MODE_NAMES } from '../text/mode.js';
import { at } from '../text/must.js';
import { formatWay } from '../wire/way.js';
import type { Service } from './kept-service.js';
import type { History } from './history.js';
import { idsIn } from './live.js';
import type { Seen } from './sampler.js';

export interface Parts {
  device: string;
  started: Date;
  ready: boolean;
  attached: Attached;
  file: FileStatus;
  checker: CheckerStatus;
  services: readonly Service[];
  history: History;
  /** The tables as they were left last. */
  warm: Warm | undefined;
  changes: Readonly<Record<Cause, Changes>>;
  seen: Seen;
  fleet: FleetStatus | null;
}

export function reportOf(parts: Parts): Status {
  const { device, started, attached, warm, seen } = parts;
  const time = new Date();
  const slots = slotsOf(parts);
  return {
    ...{
      time: time.toISOString(),
      interface: device,
      version: VERSION,
      pid: process.pid,
    },
    ...{ started: started.toISOString(), ready: parts.ready },
    program: { id: attached.program, mode: MODE_NAMES[attached.mode] },
    generation: warm?.state.device.generation ?? 0,
    ...{ file: parts.file, checker: parts.checker },
    services: parts.services.map((service) =>
      serviceStatus(parts, service, slots(service), time),
    ),
    fleet: parts.fleet,
    verdicts: seen.verdicts,
    changes: structuredClone(parts.changes),
    unseen: seen.unseen,
  };
}

function serviceStatus(
  { history, seen }: Parts,
  service: Service,
  slots: Slots | undefined,
  time: Date,
): ServiceStatus {
  const { resolved, health, shares, live, most, moves, isPostponed } = service;
  /** When the clock of `since` was 0. */
  const begin = time.getTime() - performance.now();
  const destinations = health.destinations.map((one, index): DestinationStatus => {
    const id = slots?.idOf(resolved.name, at(resolved.rows, index));
    const { state, since, reason } = one.condition;
    const { weight, isForgotten } = at(live, index);
    const { last, checks, checked } = history.of(one.key);
    // There may be thousands, and to spread objects takes several times as long.
    return {
      name: one.name,
      state,
      by_hand: one.byHand ?? null,
      backup: one.isBackup,
      weight: one.weightByHand ?? one.weight,
      weight_by_hand: one.weightByHand ?? null,
      live: weight,
      forgotten: isForgotten,
      slots: slots ? (slots.counts.get(id ?? 0) ?? 0) : null,
      counted: (id !== undefined && seen.destinations?.get(id)) || null,
      since: new Date(begin + since).toISOString(),
      reason,
      last,
      checks,
      checked,
    };
  });
  const { check } = resolved;
  return {
    ...{
      name: health.name,
      ways: resolved.ways.map(formatWay),
      forward: resolved.forward,
    },
    check: check ? { kind: check.question.kind, interval_ms: check.interval } : null,
    ...{ slots: most.slots, hot: slots?.hot ?? null },
    ...{ weight: shares.whole, healthy: shares.healthy, panic: shares.isPanic },
    on_panic: check?.onPanic ?? 'off',
    on_backup: shares.onBackup,
    postponed_ms: isPostponed ? waitFor(moves, most) : null,
    counted: (slots && seen.services?.get(slots.service)) ?? null,
    destinations,
  };
}

interface Slots {
  /** The id of the service. */
  service: number;
  /** By the id of their destination. */
  counts: ReadonlyMap<number, number>;
  hot: number;
  idOf: IdOf;
}

/** The slots of each service: as they were just counted, or as the tables were left. */
function slotsOf({
  warm,
  services,
  seen,
}: Parts): (service: Service) => Slots | undefined {
  if (!warm) return () => undefined;
  const { state } = warm;
  const resolved = services.map((service) => service.resolved);
  const idOf = idsFor(state, resolved);
  const live = matchServices([...servicesIn(reachable(state)).values()], resolved);
  return ({ resolved: one }) => {
    const there = live.get(one);
    if (!there) return undefined;
    const { id: service } = there;
    const known = seen.slots?.hot.get(service);
    if (seen.slots && known !== undefined)
      return { service, counts: seen.slots.shares, hot: known, idOf };
    const counts = new Map<number, number>();
    let hot = 0;
    for (const slot of slotsIn(state, there).values()) {
      counts.set(slot.current, (counts.get(slot.current) ?? 0) + 1);
      if (isHot(slot)) hot++;
    }
    return { service, counts, hot, idOf };
  };
}

type IdOf = ReturnType<typeof idsIn>;

/** What was looked up: as long as the tables and the file are the same, so are the ids. */
const lookups = new WeakMap<Warm['state'], WeakMap<object, number | undefined>>();

function idsFor(state: Warm['state'], services: readonly ResolvedService[]): IdOf {
  const known = lookups.get(state) ?? new WeakMap<object, number | undefined>();
  lookups.set(state, known);
  let idOf: IdOf | undefined;
  return (service, row) => {
    if (!known.has(row)) {
      idOf ??= idsIn(state, services);
      known.set(row, idOf(service, row));
    }
    return known.get(row);
  };
}
