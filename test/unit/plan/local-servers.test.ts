// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Destinations on this host: what is refused, and which servers are looked for. */
import { describe, expect, test } from '@jest/globals';

import { CELL_NAMES } from '../../../src/abi/cell.js';
import { exportConfig } from '../../../src/plan/export.js';
import {
  addAddress,
  checkLocal,
  formatServer,
  localServersIn,
} from '../../../src/plan/local-servers.js';
import type { WantedDestination } from '../../../src/plan/steps.js';
import { parseEndpoint } from '../../../src/wire/endpoint.js';
import { parseWays } from '../../../src/wire/way.js';
import { filled, planFor, rows, untouched } from './states.js';

function local(text = 'local:127.0.0.23:223'): WantedDestination {
  return { ...parseEndpoint(text), mac: Buffer.alloc(6), weight: 1 };
}

const WAYS = parseWays('192.0.2.10:80');
const SLOTS = { slots: 16, now: 10, vip: ['192.0.2.10:80'] };
const HOST = untouched();
const PORTABLE = untouched({ slots: 512, destinations: 512, cells: 16 });

describe('a service', () => {
  const made = planFor(HOST, rows(1), SLOTS);
  const wanted = {
    ...({ isNew: true, forward: 'tunnel', sources: {} } as const),
    ...{ sessionPort: 0, mac: Buffer.alloc(6), mtu: 1500 },
    service: { ...made.service, ways: WAYS },
    destinations: [...rows(1), local()],
  };
  const ways = (text: string): object => ({
    service: { ...wanted.service, ways: parseWays(text) },
  });

  test('may have some of its destinations on this host', () => {
    expect(() => checkLocal(HOST, wanted)).not.toThrow();
    expect(() =>
      checkLocal(untouched(), { ...wanted, destinations: rows(1) }),
    ).not.toThrow();
  });

  test.each<{ what: string; more: object; says: string; sets?: undefined }>([
    {
      what: 'of a build without sockets',
      more: {},
      says: 'this program cannot pass packets to it',
      sets: undefined,
    },
    {
      what: 'whose destinations remember',
      more: { service: { ...wanted.service, flags: CELL_NAMES } },
      says: 'so the destinations cannot remember',
    },
    {
      what: 'on any address',
      more: ways('any'),
      says: 'its service is on any address',
    },
    {
      what: 'of the other family',
      more: ways('[2001:db8::1]:80/tcp'),
      says: 'local:127.0.0.23:223 gets only IPv4, and its service is [2001:db8::1]:80/tcp too',
    },
  ])('may not $what', ({ more, says, ...rest }) => {
    const state = 'sets' in rest ? PORTABLE : HOST;
    expect(() => checkLocal(state, { ...wanted, ...more })).toThrow(says);
  });
});

test('servers are looked for once for each protocol, whoever sends to them', () => {
  const state = filled(HOST, [...rows(1), local(), local('local:127.0.0.24:223')], SLOTS);
  const servers = localServersIn(state);
  expect(servers.map(formatServer).sort()).toEqual([
    ...['127.0.0.23:223/tcp', '127.0.0.23:223/udp'],
    ...['127.0.0.24:223/tcp', '127.0.0.24:223/udp'],
  ]);
  expect(localServersIn(filled(HOST, rows(2), SLOTS))).toEqual([]);
});

test('the entry has no MAC, and takes packets of any length', () => {
  const state = filled(HOST, [local()], SLOTS);
  const [entry] = [...state.destinations.values()].filter(({ service }) => service !== 0);
  expect(entry).toMatchObject({ forward: 'local', port: 223, largestPacket: 0xffff });
  expect(exportConfig(state)).toContain('  { address = "local:127.0.0.23:223" },\n');
});

test('an address is added to lo', () => {
  expect(addAddress('10.9.9.9')).toBe('ip address add 10.9.9.9/32 dev lo');
  expect(addAddress('fd00::23')).toBe('ip address add fd00::23/128 dev lo');
});
