// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What l4lbd tells, as tests need it. */
import type {
  DestinationStatus,
  FleetStatus,
  ServiceStatus,
  Status,
} from '../../../src/api/status.js';

export function destination(changed: Partial<DestinationStatus> = {}): DestinationStatus {
  return {
    ...{ name: '10.0.0.1', state: 'up', by_hand: null, backup: false },
    ...{ weight: 1, weight_by_hand: null, live: 1, forgotten: false, slots: 512 },
    counted: { packets: 7n, bytes: 512n },
    ...{ since: '2026-11-30T12:00:00.000Z', reason: '', last: null, checks: '' },
    checked: { passed: 10, failed: 1, void: 2, seconds: 0.25 },
    ...changed,
  };
}

export function service(changed: Partial<ServiceStatus> = {}): ServiceStatus {
  return {
    ...{ name: 'web', ways: ['198.51.100.10:80/tcp'], forward: 'tunnel' },
    check: { kind: 'http', interval_ms: 1000 },
    ...{ slots: 1024, hot: 3, weight: 2, healthy: 1, panic: false, on_panic: 'keep' },
    ...{ on_backup: false, postponed_ms: null },
    counted: { packets: 2n ** 63n, bytes: 2n ** 64n - 1n },
    destinations: [destination()],
    ...changed,
  };
}

export function status(changed: Partial<Status> = {}): Status {
  const none = { fills: 0, slots_moved: 0, slots_ideal: 0, seconds: 0 };
  return {
    ...{ time: '2026-11-30T12:00:05.500Z', interface: 'eth0', version: '0.1.0', pid: 7 },
    ...{ started: '2026-11-30T12:00:00.000Z', ready: true },
    program: { id: 2875, mode: 'Driver' },
    generation: 4,
    fleet: null,
    file: {
      ...{ path: '/etc/l4lb/l4lb.toml', read: '2026-11-30T12:00:01.000Z', fault: null },
      reloads: { good: 2, bad: 1 },
    },
    checker: { pid: 8, silent_ms: 400, late: 5, checks: 2 },
    services: [service()],
    verdicts: [{ name: 'too big', action: 'DROP', packets: 3, bytes: 4500 }],
    changes: {
      ...{ start: none, file: none, hand: none },
      health: { fills: 2, slots_moved: 1000, slots_ideal: 900, seconds: 0.5 },
    },
    unseen: [],
    ...changed,
  };
}

export function fleet(changed: Partial<FleetStatus> = {}): FleetStatus {
  return {
    ...{ name: 'main', node: 'lb1', store: 'etcd:https://etcd1:2379', linked: true },
    ...{ leader: 'lb2', drained: false, announced: ['198.51.100.10'] },
    ...{ up_to_date: true, fault: null, disagreements: [] },
    tables: [{ service: 'web', revision: 7, sum: 'acd0478c', sets: 2, settled: false }],
    ...changed,
  };
}
