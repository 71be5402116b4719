// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which ports of full-nat are taken, as datapath/ports.h has it, and what is said of it. */
import { describe, expect, test } from '@jest/globals';

import type { Destination } from '../../../src/abi/destination.js';
import type { Claim } from '../../../src/abi/port.js';
import {
  CLAIM_ANSWERED,
  CLAIM_CLIENT_FIN,
  CLAIM_ESTABLISHED,
  CLAIM_READY,
  CLAIM_RST,
  CLAIM_SERVER_FIN,
  CLAIM_TCP,
} from '../../../src/abi/port.js';
import {
  describePorts,
  judgePool,
  portsJson,
  setsToSee,
  troubleWithPorts,
} from '../../../src/plan/port-use.js';
import { usedPools } from '../../../src/plan/pools.js';
import { Unseen } from '../../../src/text/unseen.js';
import { ip, mac } from '../wire/names.js';

/** In seconds; the 16 bits of a claim's time have wrapped once by then. */
const NOW = 4 * (0x10000 + 10);
const ago = (units: number): number => (10 - units) & 0xffff;

const POOL = { address: ip('10.0.9.0'), spread: 3, firstBlock: 4, services: [1] };
const TCP = CLAIM_READY | CLAIM_TCP;
const OPEN = TCP | CLAIM_ANSWERED | CLAIM_ESTABLISHED;
const UDP = CLAIM_READY | CLAIM_ANSWERED | CLAIM_ESTABLISHED;

const judged = (state: number, units: number, signature = 1): string => {
  const claim: Claim = { signature, state, seen: ago(units) };
  const { seen, taken, established } = judgePool(POOL, [claim], NOW);
  return `${seen} ${taken} ${established}`;
};

describe('a port', () => {
  test.each([
    ['is free', '1 0 0', judged(0, 0, 0)],
    ['has an open connection', '1 1 1', judged(OPEN, 0)],
    ['has one that was silent for two hours', '1 1 1', judged(OPEN, 1861)],
    ['had one, silent for longer', '1 0 0', judged(OPEN, 1862)],
    ['is just being taken', '1 1 1', judged(CLAIM_TCP, 0)],
    ['has a SYN, and anyone may take it', '1 1 0', judged(TCP, 0)],
    ['has a SYN with its answer', '1 1 0', judged(TCP | CLAIM_ANSWERED, 0)],
    ['has UDP, silent for three minutes', '1 1 1', judged(UDP, 45)],
    ['had UDP, silent for longer', '1 0 0', judged(UDP, 46)],
    ['is half closed', '1 1 1', judged(OPEN | CLAIM_CLIENT_FIN, 1861)],
    [
      'was closed a minute ago',
      '1 1 1',
      judged(OPEN | CLAIM_CLIENT_FIN | CLAIM_SERVER_FIN, 16),
    ],
    [
      'was closed before that',
      '1 0 0',
      judged(OPEN | CLAIM_CLIENT_FIN | CLAIM_SERVER_FIN, 17),
    ],
    ['was reset four minutes ago', '1 1 1', judged(OPEN | CLAIM_RST, 60)],
    ['was reset before that', '1 0 0', judged(OPEN | CLAIM_RST, 61)],
    ['had UDP that was reset', '1 0 0', judged(UDP | CLAIM_RST, 61)],
  ])('%s', (_, expected, seen) => {
    expect(seen).toBe(expected);
  });
});

describe('a pool', () => {
  const entry = (more: Partial<Destination>): Destination => ({
    ...{ address: ip('10.2.0.2'), mac: mac('02:00:00:00:00:02'), service: 1, weight: 1 },
    ...{ spread: 3, source: ip('10.0.9.0'), headerSum: 0, largestPacket: 1500 },
    ...{
      forward: 'full-nat',
      isFound: false,
      isForgotten: false,
      exit: 0,
      port: 0,
      block: 4,
    },
    ...more,
  });

  test('belongs to the services whose entries of full-nat have it', () => {
    expect(
      usedPools([
        entry({}),
        entry({ address: ip('10.2.0.3') }),
        entry({ service: 2 }),
        entry({ service: 3, source: ip('10.0.8.1'), spread: 0, block: 0 }),
        entry({ service: 0, source: ip('10.0.7.1') }),
        entry({ forward: 'tunnel', source: ip('10.0.6.1') }),
      ]),
    ).toEqual([
      { ...POOL, services: [1, 2] },
      { address: ip('10.0.8.1'), spread: 0, firstBlock: 0, services: [3] },
    ]);
  });

  test('is looked at all over, from its first block on', () => {
    expect(setsToSee(POOL, 4)).toEqual([16_384, 20_480, 24_576, 28_672]);
    const all = setsToSee({ ...POOL, spread: 0, firstBlock: 0 }, 1e6);
    expect([all.length, all[0], all.at(-1)]).toEqual([4096, 0, 4095]);
  });
});

describe('what is said', () => {
  const use = { ...POOL, seen: 2048, taken: 1600, established: 1535 };
  const ports = { blocks: 8, pools: [use] };

  test('how full a pool is', () => {
    expect(describePorts(ports)).toEqual([
      '10.0.9.0/30: 78.13% of 131,072 ports are taken, 74.95% by established connections',
    ]);
    expect(portsJson(ports)).toEqual({
      pools: [
        {
          ...{ source: '10.0.9.0/30', ports: 131_072 },
          ...{ taken_share: 0.7813, established_share: 0.7495 },
        },
      ],
    });
  });

  test('that ports run out, from three quarters on', () => {
    expect(troubleWithPorts(ports)).toEqual([]);
    const full = { ...ports, pools: [{ ...use, established: 1536 }] };
    expect(troubleWithPorts(full)).toEqual([
      'ports of 10.0.9.0/30 run out: 75.00% are of established connections, and from 75% on new ones are dropped',
    ]);
    expect(describePorts(full)).toHaveLength(2);
  });

  test('what could not be read, and nothing where nobody needs ports', () => {
    const unseen = new Unseen('the ports could not be read: no such map');
    expect(describePorts(unseen)).toEqual([unseen.why]);
    expect(troubleWithPorts(unseen)).toEqual([unseen.why]);
    expect(portsJson(unseen)).toEqual({ pools: { unseen: unseen.why } });
    expect([describePorts(undefined), troubleWithPorts(undefined)]).toEqual([[], []]);
    expect(portsJson(undefined)).toEqual({});
  });
});
