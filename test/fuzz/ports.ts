// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Full-nat by chance: pools, and who has which port of them. */
import { BLOCK_PORTS, FIRST_PORT } from '../../src/abi/pool.js';
import type { Pool } from '../../src/abi/pool.js';
import {
  CLAIMS,
  CLAIM_ANSWERED,
  CLAIM_CLIENT_FIN,
  CLAIM_ENDED,
  CLAIM_ESTABLISHED,
  CLAIM_LASTS,
  CLAIM_READY,
  CLAIM_RESET,
  CLAIM_RST,
  CLAIM_SERVER_FIN,
  CLAIM_TCP,
  CLAIM_UDP,
} from '../../src/abi/port.js';
import type { Claim, Port } from '../../src/abi/port.js';
import type { Connection } from '../../src/model/parse.js';
import { FREE, findFreePort, placeOf, portFor } from '../../src/model/ports.js';
import type { ModelDestination, ProgramState } from '../../src/model/types.js';
import { onWire } from '../../src/wire/address.js';
import { IPV4, PORTS, TCP } from './choices.js';
import type { Flow } from './flow.js';
import { leadsTo } from './flow.js';
import type { Random } from './random.js';
import type { Scenario } from './scenario.js';

/** As many as there are in the maps: two of each family. */
export const BLOCKS = 4;

const POOLS: readonly Pool[] = [
  { address: Buffer.from(`${IPV4}0a000020`, 'hex'), hostBits: 1, firstBlock: 0 },
  {
    address: Buffer.from('20010db8000300000000000000000040', 'hex'),
    hostBits: 1,
    firstBlock: 2,
  },
  // Of which the maps have only the first block, or none.
  { address: Buffer.from(`${IPV4}0a000030`, 'hex'), hostBits: 2, firstBlock: 3 },
  {
    address: Buffer.from('20010db8000300000000000000000050', 'hex'),
    hostBits: 0,
    firstBlock: 1000,
  },
];

export function makePools(random: Random): Pool[] {
  const beyond = random.chance(20) ? POOLS.length : 2;
  return POOLS.slice(0, beyond);
}

/** Gives a destination of full-nat a pool of its family. */
export function sentFrom(
  random: Random,
  pools: readonly Pool[],
  destination: ModelDestination,
): ModelDestination {
  if (destination.forward !== 'full-nat') return destination;
  const { length } = onWire(destination.address);
  const own = pools.filter(({ address }) => onWire(address).length === length);
  const { address, hostBits, firstBlock } =
    random.chance(90) && own[0] ? own[0] : random.pick(own);
  const spread = 2 ** hostBits - 1;
  // With a few services only, so that a connection's own destination is often there.
  const service = random.chance(80) ? 1 : destination.service;
  return { ...destination, service, source: address, spread, block: firstBlock };
}

const NEWCOMERS = 24;
const NOBODY_STATE = { flows: new Map(), mayTell: true, mayRecord: true, mayEcho: true };
/** Any time will do, since ages are compared only with each other and with limits. */
const ANY_UNITS = 50_000;

function makeState(random: Random, isTcp: boolean): number {
  const flag = (percent: number, bit: number): number =>
    random.chance(percent) ? bit : 0;
  const ended = isTcp
    ? flag(25, CLAIM_CLIENT_FIN) | flag(25, CLAIM_SERVER_FIN) | flag(20, CLAIM_RST)
    : 0;
  return (
    flag(95, CLAIM_READY) |
    (isTcp ? CLAIM_TCP : 0) |
    flag(70, CLAIM_ANSWERED) |
    flag(60, CLAIM_ESTABLISHED) |
    ended
  );
}

function makeAge(random: Random): number {
  const about = random.pick([0, CLAIM_ENDED, CLAIM_UDP, CLAIM_RESET, CLAIM_LASTS]);
  // -1: a processor whose clock is ahead has just seen it.
  return random.chance(80) ? about + random.between(-1, 2) : random.below(65536);
}

function makeClaim(random: Random): Claim {
  const isTcp = random.chance(50);
  return {
    signature: (random.word() | 1) >>> 0,
    state: makeState(random, isTcp),
    seen: makeAge(random),
  };
}

type Crowd = 'few' | 'many' | 'established' | 'flood';

/** A set with some free ports, or full of connections of some kind. */
function makeSet(random: Random, crowd: Crowd): Claim[] {
  const isTcp = CLAIM_READY | CLAIM_TCP;
  const established = isTcp | CLAIM_ANSWERED | CLAIM_ESTABLISHED;
  const made = (): Claim => {
    const claim = makeClaim(random);
    if (crowd === 'established' && random.chance(98)) {
      return { ...claim, state: established, seen: random.below(CLAIM_LASTS) };
    }
    if (crowd === 'flood' && random.chance(98)) {
      const state = isTcp | (random.chance(50) ? CLAIM_ANSWERED : 0);
      return { ...claim, state, seen: random.below(20) };
    }
    return claim;
  };
  const fill = crowd === 'few' ? random.pick([0, 50, 90]) : 100;
  return Array.from({ length: CLAIMS }, () => (random.chance(fill) ? made() : FREE));
}

/** Gives some of the flows a port, and adds what destinations send to these. */
export function makePorts(
  random: Random,
  { tables, flows }: Scenario,
): Pick<Scenario, 'claims' | 'ports' | 'flows'> {
  const claims = new Map<number, Claim[]>();
  const ports = new Map<number, Port>();
  const back: Flow[] = [];
  const all = [...tables.destinations];
  const crowd = random.pick<Crowd>(['few', 'few', 'many', 'established', 'flood']);
  const setOf = (set: number): Claim[] => {
    const there = claims.get(set) ?? makeSet(random, random.chance(90) ? crowd : 'few');
    if (set < (tables.claimSets ?? 0)) claims.set(set, there);
    return there;
  };
  const changed = flows.map((flow): Flow => {
    const { length } = flow.source;
    const own = all.filter(
      ([, to]) => to.forward === 'full-nat' && onWire(to.address).length === length,
    );
    if (own.length === 0 || !tables.cells.some((cell) => leadsTo(cell, flow))) {
      return flow;
    }
    const [id, destination] = random.pick(own);
    const from: Connection = { ...flow, flags: 0, acknowledges: 0, isError: false };
    const connection = { ...from, ports: flow.ports };
    const place = placeOf(tables.secret, connection, destination);
    const sets = place.sets.map(setOf);
    const which = random.below(2);
    const sequence = random.chance(10) ? 0xffffffff : random.word();
    const awaited = (sequence + 1) >>> 0;
    let number = (place.sets[which] ?? 0) * CLAIMS + random.below(CLAIMS);
    if (random.chance(60)) {
      (sets[which] ?? [])[number % CLAIMS] = {
        signature: place.signature,
        state: makeState(random, flow.protocol === TCP),
        seen: makeAge(random),
      };
      const to = random.chance(85) ? id : random.pick(all)[0];
      if (number < BLOCKS * BLOCK_PORTS) {
        ports.set(number, { ...portFor(connection, to), awaited });
      }
    } else {
      const state: ProgramState = {
        ...NOBODY_STATE,
        now: BigInt(ANY_UNITS * 4) * 1_000_000_000n,
        claims: asTimes(claims),
      };
      const taken = findFreePort({ ...tables, build: 'host' }, state, place);
      number = taken?.number ?? number;
    }
    const block = Math.floor(number / BLOCK_PORTS) - destination.block;
    const address = Buffer.from(onWire(destination.source));
    address.writeUInt8((address[length - 1] ?? 0) | (block & 0xff), length - 1);
    const port = destination.port === 0 ? flow.ports.destination : destination.port;
    back.push({
      ...flow,
      source: random.chance(92) ? onWire(destination.address) : random.bytes(length),
      address,
      sequence,
      ports: {
        source: random.chance(92) ? port : random.pick(PORTS),
        destination: random.chance(92)
          ? FIRST_PORT + (number % BLOCK_PORTS)
          : random.below(65536),
      },
    });
    const far = [0, 1, 2, (1 << 14) - 1, 1 << 14, -1];
    return { ...flow, acknowledged: far.map((by) => (awaited + by) >>> 0) };
  });
  const newcomers = makeNewcomers(random, { tables, flows }, setOf);
  return { claims, ports, flows: [...changed, ...back, ...newcomers] };
}

/** Each of them looks for a port among those of others, once. */
function makeNewcomers(
  random: Random,
  { tables, flows }: Pick<Scenario, 'tables' | 'flows'>,
  setOf: (set: number) => Claim[],
): Flow[] {
  const clients = flows.filter((flow) =>
    tables.cells.some((cell) => leadsTo(cell, flow)),
  );
  if (clients.length === 0) return [];
  return Array.from({ length: NEWCOMERS }, () => {
    const like = random.pick(clients);
    const ports = { ...like.ports, source: random.below(65536) };
    const flow = { ...like, ports };
    for (const destination of tables.destinations.values()) {
      const { length } = onWire(destination.address);
      if (destination.forward !== 'full-nat' || length !== flow.source.length) continue;
      const connection = { ...flow, flags: 0, acknowledges: 0, isError: false };
      placeOf(tables.secret, connection, destination).sets.forEach(setOf);
    }
    return flow;
  });
}

function asTimes(claims: ReadonlyMap<number, Claim[]>): Map<number, Claim[]> {
  return new Map(
    [...claims].map(([set, all]) => [
      set,
      all.map((claim) => ({ ...claim, seen: (ANY_UNITS - claim.seen) & 0xffff })),
    ]),
  );
}
