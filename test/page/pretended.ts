// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * An l4lbd that pretends: the real server of its API and page, in this process, with services
 * that nobody has. Time goes on in it, so rates, plots and events can be looked at.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';

import type { StateName } from '../../src/health/condition.js';
import type {
  ByHandResult,
  DestinationStatus,
  ServiceStatus,
  Status,
} from '../../src/api/status.js';
import { HISTORY_EVERY, HISTORY_FOR } from '../../src/api/history.js';
import { Journal } from '../../src/daemon/journal.js';
import { LastMinutes } from '../../src/daemon/last-minutes.js';
import type { Seen } from '../../src/daemon/sampler.js';
import { ApiServer } from '../../src/daemon/server.js';

export interface Pretended {
  url: string;
  journal: Journal;
  server: ApiServer;
  /** How often its status was asked for. */
  asked: () => number;
  /** What was done, and not only planned. */
  acted: string[];
  close: () => void;
}

export interface Wanted {
  /** Destinations of each service. */
  counts: Record<string, number>;
  token?: string;
  /** Whether anything is not well. */
  isWell?: boolean;
}

/** The status that is pretended says what was counted. */
export const NOTHING_SEEN: Seen = {
  ...{ destinations: null, services: null, verdicts: null, slots: null, unseen: [] },
};

const SLOTS = 65_536;

export async function pretend(wanted: Wanted): Promise<Pretended> {
  const { counts, token, isWell = false } = wanted;
  const begun = Date.now();
  const started = new Date(begun - 3 * 3600_000).toISOString();
  const acted: string[] = [];
  let asked = 0;
  const journal = new Journal('eth0');
  const minutes = new LastMinutes();
  const status = (time = Date.now()): Status =>
    statusAt(time, started, begun, counts, isWell);
  for (let ago = HISTORY_FOR; ago > 0; ago -= HISTORY_EVERY)
    minutes.add(status(begun - ago));
  const control = {
    isReady: true,
    status: () => {
      asked++;
      return status();
    },
    reload: () => Promise.resolve(),
    async act(
      service: string,
      destination: string,
      action: string,
      { dryRun }: { dryRun: boolean },
    ): Promise<ByHandResult> {
      if (!dryRun) acted.push(`${action} ${service} ${destination}`);
      const slots = Math.round(SLOTS / (counts[service] ?? 1));
      return Promise.resolve({
        ...{ service, destination, by_hand: 'drained', weight: 1, weight_by_hand: null },
        ...{ dry_run: dryRun, slots_moved: slots + 11, slots_ideal: slots },
        weights: [{ destination, before: 1, after: 0 }],
      });
    },
  };
  const server = new ApiServer(
    control,
    journal,
    () => Promise.resolve(NOTHING_SEEN),
    () => minutes.history(),
  );
  server.setAccess({ names: [], token });
  const port = await freePort();
  await server.listenOn({ host: '127.0.0.1', port });
  tellPast(journal, begun, isWell);
  return {
    ...{ url: `http://127.0.0.1:${port}/`, journal, server, acted },
    asked: () => asked,
    close: () => server.close(),
  };
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Seconds before now, and what happened then. */
function tellPast(journal: Journal, begun: number, isWell: boolean): void {
  const past: [number, Parameters<Journal['add']>[0]][] = [
    [590, { kind: 'reloaded', services: 3, destinations: 46, checks: 46 }],
  ];
  if (!isWell) {
    const turn = { kind: 'state', service: 'web', destination: '10.0.1.5' } as const;
    const filled = { kind: 'filled', service: 'web', moved: 2071, ideal: 2048 } as const;
    past.push(
      [420, { ...turn, before: 'up', after: 'suspect', reason: 'refused' }],
      [419, { ...turn, before: 'suspect', after: 'down', reason: 'refused' }],
      [
        418,
        {
          ...{ ...filled, cause: 'health', took: 171 },
          weights: [{ destination: '10.0.1.5', before: 1, after: 0 }],
        },
      ],
      [389, { ...turn, before: 'down', after: 'dead', reason: 'refused' }],
      [
        150,
        {
          ...{ kind: 'hand', service: 'web', destination: '10.0.1.9', action: 'drain' },
          ...{ by: 'socket', by_hand: 'drained', weight_by_hand: null },
        },
      ],
      [
        149,
        {
          ...{ ...filled, cause: 'hand', took: 166 },
          weights: [{ destination: '10.0.1.9', before: 1, after: 0 }],
        },
      ],
    );
  }
  for (const [seconds, event] of past) {
    journal.add(event);
    const [last] = journal.since(0).slice(-1);
    if (last) last.time = new Date(begun - seconds * 1000).toISOString();
  }
}

function statusAt(
  time: number,
  started: string,
  begun: number,
  counts: Record<string, number>,
  isWell: boolean,
): Status {
  const none = { fills: 0, slots_moved: 0, slots_ideal: 0, seconds: 0 };
  const services = Object.entries(counts).map(([name, count], index) =>
    serviceAt(name, count, index, { time, begun, isWell }),
  );
  const packets = services.reduce(
    (sum, { counted }) => sum + Number(counted?.packets),
    0,
  );
  const drops = Math.round((time - begun + HISTORY_FOR) * 0.021);
  return {
    ...{
      time: new Date(time).toISOString(),
      interface: 'eth0',
      version: '0.1.0',
      pid: 7,
    },
    ...{ started, ready: true, program: { id: 2875, mode: 'Driver' }, generation: 14 },
    file: {
      ...{ path: '/etc/l4lb/l4lb.toml', read: started, fault: null },
      reloads: { good: 2, bad: 0 },
    },
    checker: { pid: 8, silent_ms: 400, late: 0, checks: 46 },
    services,
    fleet: null,
    verdicts: [
      { name: 'sent', action: 'TX', packets, bytes: packets * 90 },
      { name: 'not ours', action: 'PASS', packets: 120_417, bytes: 9_633_360 },
      { name: 'no destination', action: 'DROP', packets: drops, bytes: drops * 60 },
      { name: 'too big', action: 'DROP', packets: 312, bytes: 468_000 },
    ],
    changes: { start: none, file: none, health: none, hand: none },
    unseen: [],
  };
}

interface Moment {
  time: number;
  begun: number;
  isWell: boolean;
}

function serviceAt(
  name: string,
  count: number,
  index: number,
  moment: Moment,
): ServiceStatus {
  const destinations = Array.from({ length: count }, (_, place) =>
    destinationAt(index, place, count, moment),
  );
  const weight = destinations.filter(({ by_hand }) => by_hand === null).length;
  const healthy = destinations.filter(({ live }) => live > 0).length;
  const packets = destinations.reduce(
    (sum, one) => sum + Number(one.counted?.packets),
    0,
  );
  const port = [80, 443, 53][index] ?? 8000 + index;
  return {
    ...{ name, ways: [`198.51.100.${10 + index}:${port}/tcp`], forward: 'tunnel' },
    check: { kind: ['http', 'tcp', 'dns'][index] ?? 'tcp', interval_ms: 1000 },
    ...{ slots: SLOTS, hot: index === 0 && !moment.isWell ? 4119 : 0, weight, healthy },
    ...{ panic: false, on_panic: 'keep', on_backup: false, postponed_ms: null },
    ...{ counted: { packets, bytes: packets * 90 }, destinations },
  };
}

function destinationAt(
  index: number,
  place: number,
  count: number,
  { time, begun, isWell }: Moment,
): DestinationStatus {
  const isFirst = index === 0 && !isWell;
  const state: StateName =
    isFirst && place === 4 ? 'dead' : isFirst && place === 16 ? 'suspect' : 'up';
  const isDrained = isFirst && place === 8;
  const live = state === 'dead' || isDrained ? 0 : 1;
  const age = (time - begun + HISTORY_FOR) / 1000;
  // What it gets rises and falls, and some get a little more.
  const rate = (1000 / (index + 1)) * (1 + 0.04 * Math.sin(place * 2.4));
  const wave = 40 * (1 - Math.cos(age / 40 + index));
  const packets =
    live === 0 ? 81_402 : Math.max(0, Math.round(rate * (age + wave) * (32 / count)));
  const serving = count - (isFirst ? 2 : 0);
  const reason =
    state === 'dead' ? 'refused' : state === 'suspect' ? 'no answer in 500 ms' : '';
  const ms = 1 + ((place * 7) % 30) / 10;
  return {
    name: `10.${index}.${1 + Math.floor(place / 250)}.${1 + (place % 250)}`,
    ...{ state, by_hand: isDrained ? 'drained' : null, backup: false },
    ...{ weight: 1, weight_by_hand: null, live, forgotten: state === 'dead' },
    slots: live === 0 ? 0 : Math.floor(SLOTS / serving) + (place % 3) - 1,
    counted: { packets, bytes: packets * 90 },
    since: new Date(begun - (state === 'dead' ? 389_000 : 9_000_000)).toISOString(),
    reason,
    last: {
      ...{ time: new Date(time).toISOString(), passed: state === 'up' },
      ...{ ms: state === 'suspect' ? 500 : ms, reason },
    },
    checks:
      state === 'dead'
        ? '-'.repeat(60)
        : state === 'suspect'
          ? `${'+'.repeat(57)}-+-`
          : place % 13 === 5
            ? `${'+'.repeat(22)}-${'+'.repeat(20)}?${'+'.repeat(16)}`
            : '+'.repeat(60),
    checked: { passed: 9000, failed: 3, void: 1, seconds: 9000 * (ms / 1000) },
  };
}
