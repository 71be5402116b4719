// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The model of full-nat, against connections in both directions. */
import { describe, expect, test } from '@jest/globals';

import { DEVICE_POOLS } from '../../../src/abi/device.js';
import {
  CLAIMS,
  CLAIM_ANSWERED,
  CLAIM_CLIENT_FIN,
  CLAIM_ESTABLISHED,
  CLAIM_LASTS,
  CLAIM_READY,
  CLAIM_RST,
  CLAIM_SERVER_FIN,
  CLAIM_TCP,
  CLAIM_UDP,
} from '../../../src/abi/port.js';
import type { Claim, Port } from '../../../src/abi/port.js';
import { model } from '../../../src/model/model.js';
import { FREE, findFreePort } from '../../../src/model/ports.js';
import type { ProgramState, Tables } from '../../../src/model/types.js';
import { parseAddress, parseMac } from '../../../src/wire/address.js';
import { must } from '../../../src/text/must.js';
import type { Balancer, Filled, FullNatCase } from '../../full-nat-talk.js';
import { FULL_NAT, MACS, expectNoMappedClient, talks } from '../../full-nat-talk.js';
import { cell, destination, state, tables } from './tables.js';

const address = (text: string): Buffer => must(parseAddress(text), text);
const mac = (text: string): Buffer => must(parseMac(text), text);
const SETS = 4096;

function tablesOf(nat: FullNatCase, { current, weights, forgotten }: Filled): Tables {
  const { vip, pool, destinations } = nat;
  const usual = tables();
  const way = { address: address(vip.address), port: vip.port };
  return {
    ...usual,
    device: { ...usual.device, mac: mac(MACS.balancer), flags: DEVICE_POOLS },
    cells: [6, 17].map((protocol) => cell({ ...way, protocol })),
    slots: new Map([[0, { current, previous: 0, since: 0 }]]),
    pools: [{ address: address(pool), hostBits: 0, firstBlock: 0 }],
    claimSets: SETS,
    destinations: new Map(
      destinations.map((end, index) => [
        index + 1,
        destination({
          ...{ address: address(end.address), port: end.port },
          ...{ mac: mac(MACS.destination), forward: 'full-nat', largestPacket: 1500 },
          ...{ source: address(pool), weight: weights[index] ?? 1 },
          isForgotten: forgotten === index + 1,
        }),
      ]),
    ),
  };
}

/** The model with a memory. */
function modelOf(nat: FullNatCase): Balancer {
  const claims = new Map<number, Claim[]>();
  const ports = new Map<number, Port>();
  let filled: Tables;
  return {
    fill: (wanted) => {
      filled = tablesOf(nat, wanted);
      return Promise.resolve();
    },
    send: (frame) => {
      const answer = model(filled, { ...state(), claims, ports }, frame);
      for (const { number, claim, port } of answer.ports ?? []) {
        const set = Math.floor(number / CLAIMS);
        const there = claims.get(set) ?? Array.from({ length: CLAIMS }, () => FREE);
        if (claim) there[number % CLAIMS] = claim;
        claims.set(set, there);
        if (port) ports.set(number, port);
      }
      return Promise.resolve(answer);
    },
  };
}

describe.each(['IPv4', 'IPv6'] as const)('full-nat, %s', (family) => {
  const nat = FULL_NAT[family];
  test.each(talks(nat))('$what', ({ run }) => run(modelOf(nat)));
});

test('an answer to a client of IPv6 with an IPv4 address is left as it is', () =>
  expectNoMappedClient(modelOf(FULL_NAT.IPv6)));

describe('a new connection takes', () => {
  const NOW = 5000;
  const claim = (flags: number, silent: number): Claim => ({
    signature: 7,
    state: flags,
    seen: (NOW - silent) & 0xffff,
  });
  const tcp = CLAIM_READY | CLAIM_TCP;
  const established = tcp | CLAIM_ANSWERED | CLAIM_ESTABLISHED;
  const bothFins = CLAIM_CLIENT_FIN | CLAIM_SERVER_FIN;
  const lives = claim(established, CLAIM_LASTS);
  const full = Array.from({ length: CLAIMS }, () => lives);
  const taken = (one: readonly Claim[], other: readonly Claim[]): number | undefined => {
    const when: ProgramState = {
      ...state([], NOW * 4),
      claims: new Map([
        [1, one],
        [2, other],
      ]),
    };
    const place = { sets: [1, 2], signature: 1, block: 0 } as const;
    return findFreePort({ ...tables(), claimSets: 3 }, when, place)?.number;
  };
  const among = (...some: Claim[]): Claim[] => [...some, ...full].slice(0, CLAIMS);

  test.each<[string, Claim[], Claim[], number | undefined]>([
    ['none of those that live', full, full, undefined],
    [
      'none that another processor has just seen',
      among(claim(established, -1)),
      full,
      undefined,
    ],
    ['none that is being taken', among(claim(CLAIM_TCP, 0)), full, undefined],
    ['one that is over', full, among(lives, claim(established, CLAIM_LASTS + 1)), 17],
    [
      'one of UDP after three minutes',
      among(claim(CLAIM_READY | CLAIM_ESTABLISHED, CLAIM_UDP + 1)),
      full,
      8,
    ],
    [
      'one four minutes after its RST, which anyone can forge',
      among(claim(established | CLAIM_RST, 61)),
      among(claim(established | CLAIM_RST, 60)),
      8,
    ],
    [
      'one a minute after its FINs, with a RST or without',
      among(claim(established | bothFins | CLAIM_RST, 17)),
      among(claim(established | bothFins, 16)),
      8,
    ],
    ['a free one first', among(claim(established, 3000), FREE), full, 9],
    [
      'one of the set with more that are free',
      among(FREE),
      among(claim(established, 3000), claim(established, 4000), claim(tcp, 5)),
      17,
    ],
    [
      'of those that are not established the one that was silent longest',
      among(claim(tcp, 1), claim(tcp, 3)),
      among(claim(tcp, 2)),
      9,
    ],
  ])('%s', (_, one, other, number) => {
    expect(taken(one, other)).toBe(number);
  });

  test('nothing beyond the end of the table', () => {
    const place = { sets: [2, 3], signature: 1, block: 0 } as const;
    expect(findFreePort({ ...tables(), claimSets: 3 }, state(), place)).toBeUndefined();
  });
});
