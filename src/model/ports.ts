// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Full-nat's ports: which connection has which, which one a new connection takes, and what
 * packets change (RFC 4787, RFC 5382).
 */
import { CLAIM_SETS } from '../abi/pool.js';
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
} from '../abi/port.js';
import type { Claim, Port } from '../abi/port.js';
import { SEEN_SECONDS } from '../abi/record.js';
import { fromIpv4 } from '../wire/address.js';
import { isIpv4 } from './bytes.js';
import { hashOfEnds } from './ends.js';
import type { Connection, Ports } from './parse.js';
import { TCP } from './parse.js';
import type { ModelDestination, ProgramState, Tables } from './types.js';

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;
/** A client may have acknowledged so many bytes when its first packet after the SYN comes. */
const AWAITED_WITHIN = 1 << 14;

export const FREE: Claim = { signature: 0, state: 0, seen: 0 };
const NO_PORT: Port = {
  client: Buffer.alloc(16),
  address: Buffer.alloc(16),
  clientPort: 0,
  servicePort: 0,
  destination: 0,
  protocol: 0,
  version: 0,
  awaited: 0,
};

/** Where the port of a connection may be. */
export interface Place {
  sets: readonly [number, number];
  signature: number;
  /** Counted from the first of its pool. */
  block: number;
}

/** Both a packet's ends with its ports, which fragments lack. */
export type WithPorts = Connection & { ports: Ports };

export function placeOf(
  secret: bigint,
  connection: Connection,
  { spread, block: firstBlock }: Pick<ModelDestination, 'spread' | 'block'>,
): Place {
  const bits = hashOfEnds(secret, connection);
  const block = Number((bits >> 24n) & BigInt(spread));
  const set = (hash: bigint): number =>
    (firstBlock + block) * CLAIM_SETS + Number(hash % BigInt(CLAIM_SETS));
  return {
    sets: [set(bits), set(bits >> 12n)],
    signature: (Number(bits >> 32n) | 1) >>> 0,
    block,
  };
}

export function secondsOf({ now }: Pick<ProgramState, 'now'>): number {
  return Number(now / 1_000_000_000n);
}

/** The time as claims have it. */
function unitsOf(state: Pick<ProgramState, 'now'>): number {
  return Math.floor(secondsOf(state) / SEEN_SECONDS) & 0xffff;
}

/** The claims of a set; undefined beyond the end of the table. */
function claimsOf(
  { claimSets = 0 }: Tables,
  state: ProgramState,
  set: number,
): Claim[] | undefined {
  if (set >= claimSets) return undefined;
  const there = state.claims?.get(set) ?? [];
  return Array.from({ length: CLAIMS }, (_, place) => there[place] ?? FREE);
}

export function claimOf(
  tables: Tables,
  state: ProgramState,
  number: number,
): Claim | undefined {
  return claimsOf(tables, state, Math.floor(number / CLAIMS))?.[number % CLAIMS];
}

export function portOf(state: ProgramState, number: number): Port {
  return state.ports?.get(number) ?? NO_PORT;
}

export const inTable = (address: Buffer): Buffer =>
  isIpv4(address) ? fromIpv4(address) : Buffer.from(address);

/** What `ports` says of a connection. */
export function portFor(connection: WithPorts, destination: number): Port {
  const { source, address, ports, protocol } = connection;
  return {
    client: inTable(source),
    address: inTable(address),
    clientPort: ports.source,
    servicePort: ports.destination,
    destination,
    protocol,
    version: isIpv4(address) ? 4 : 6,
    awaited: 0,
  };
}

export function isOf(port: Port, connection: WithPorts): boolean {
  const own = portFor(connection, 0);
  return (
    port.client.equals(own.client) &&
    port.address.equals(own.address) &&
    port.clientPort === own.clientPort &&
    port.servicePort === own.servicePort &&
    port.protocol === own.protocol &&
    port.version === own.version
  );
}

/** Returns the number of a connection's port, if it has one. */
export function findPort(
  tables: Tables,
  state: ProgramState,
  { sets, signature }: Place,
  connection: WithPorts,
): number | undefined {
  for (const set of sets) {
    const claims = claimsOf(tables, state, set) ?? [];
    const place = claims.findIndex((one) => one.signature === signature);
    if (place < 0 || ((claims[place] ?? FREE).state & CLAIM_READY) === 0) continue;
    const number = set * CLAIMS + place;
    if (isOf(portOf(state, number), connection)) return number;
  }
  return undefined;
}

export function hasBothFins(state: number): boolean {
  return (state & CLAIM_CLIENT_FIN) !== 0 && (state & CLAIM_SERVER_FIN) !== 0;
}

export function isEstablished({ state }: Claim): boolean {
  return (state & CLAIM_ESTABLISHED) !== 0;
}

/** How a new connection would get a port, the best way first. */
const WAYS = ['free', 'over', 'not established'] as const;
export type Taking = (typeof WAYS)[number];

interface Candidate {
  number: number;
  how: Taking;
  silent: number;
}

/** How long a connection keeps its port, if it is established. */
function lastsFor({ state }: Claim): number {
  if (hasBothFins(state)) return CLAIM_ENDED;
  if ((state & CLAIM_RST) !== 0) return CLAIM_RESET;
  return (state & CLAIM_TCP) !== 0 ? CLAIM_LASTS : CLAIM_UDP;
}

/** Returns undefined if the claim stands. */
function candidate(claim: Claim, number: number, now: number): Candidate | undefined {
  if (claim.signature === 0) return { number, how: 'free', silent: 0 };
  // The clock of another processor may be one unit ahead.
  const silent = ((now - claim.seen + 1) & 0xffff) - 1;
  const isReady = (claim.state & CLAIM_READY) !== 0;
  if (isReady && !isEstablished(claim)) return { number, how: 'not established', silent };
  return silent > lastsFor(claim) ? { number, how: 'over', silent } : undefined;
}

/** Below 0 if the first is better. Of equals the last place of a set is. */
function compare(one: Candidate, other: Candidate): number {
  return (
    WAYS.indexOf(one.how) - WAYS.indexOf(other.how) ||
    other.silent - one.silent ||
    (other.number % CLAIMS) - (one.number % CLAIMS)
  );
}

/** Returns the port that a new connection gets, and how it is there. */
export function findFreePort(
  tables: Tables,
  state: ProgramState,
  { sets }: Place,
): { number: number; how: Taking } | undefined {
  const now = unitsOf(state);
  const [one, other] = sets.map((set) => {
    const claims = claimsOf(tables, state, set);
    const found = claims?.flatMap(
      (claim, place) => candidate(claim, set * CLAIMS + place, now) ?? [],
    );
    return found?.sort(compare);
  });
  if (!one || !other) return undefined;
  const free = (all: Candidate[]): number =>
    all.filter(({ how }) => how !== 'not established').length;
  const [first, second] = [one[0], other[0]];
  if (!first || !second) return first ?? second;
  const more = free(other) - free(one);
  return more > 0 || (more === 0 && compare(second, first) < 0) ? second : first;
}

/** The claim of a connection that has just got its port. */
export function newClaim(
  state: ProgramState,
  signature: number,
  { protocol }: Connection,
): Claim {
  const tcp = protocol === TCP ? CLAIM_TCP : 0;
  return { signature, state: CLAIM_READY | tcp, seen: unitsOf(state) };
}

export function isBeginning({ flags }: Connection): boolean {
  return (flags & (SYN | ACK)) === SYN;
}

/** What a client's packet makes of the claim. */
export function afterClient(
  state: ProgramState,
  claim: Claim,
  { awaited }: Port,
  { flags, acknowledges, protocol }: Connection,
): Claim {
  const noted = (next: number): Claim => ({
    ...claim,
    state: next,
    seen: unitsOf(state),
  });
  if ((flags & RST) !== 0) return noted(claim.state | CLAIM_RST);
  const wasAnswered = (claim.state & CLAIM_ANSWERED) !== 0;
  const sees =
    protocol !== TCP ||
    ((flags & ACK) !== 0 &&
      (flags & SYN) === 0 &&
      (acknowledges - awaited) >>> 0 < AWAITED_WITHIN);
  return noted(
    (claim.state & ~CLAIM_RST) |
      (wasAnswered && sees ? CLAIM_ESTABLISHED : 0) |
      ((flags & FIN) !== 0 ? CLAIM_CLIENT_FIN : 0),
  );
}

/** What an answer makes of the claim, and of what the client then acknowledges. */
export function afterAnswer(
  state: ProgramState,
  claim: Claim,
  port: Port,
  { flags, sequence }: Connection,
): { claim: Claim; port: Port } {
  const seen = unitsOf(state);
  if ((flags & RST) !== 0) {
    return { claim: { ...claim, seen, state: claim.state | CLAIM_RST }, port };
  }
  const fin = (flags & FIN) !== 0 ? CLAIM_SERVER_FIN : 0;
  if ((flags & SYN) === 0) {
    const next = (claim.state & ~CLAIM_RST) | CLAIM_ANSWERED | fin;
    return { claim: { ...claim, seen, state: next }, port };
  }
  // It is a connection's first: what was known of one before does not count.
  const next = (claim.state & (CLAIM_READY | CLAIM_TCP)) | CLAIM_ANSWERED | fin;
  return {
    claim: { ...claim, seen, state: next },
    port: { ...port, awaited: (sequence + 1) >>> 0 },
  };
}
