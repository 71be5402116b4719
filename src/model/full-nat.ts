// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Full-nat: a client's packet gets its destination's address and port, and a source of
 * ours; what comes back to that is an answer to the client (RFC 3022, 4.1: NAPT).
 */
import { DEVICE_POOLS } from '../abi/device.js';
import { BLOCK_PORTS, FIRST_PORT } from '../abi/pool.js';
import type { Pool } from '../abi/pool.js';
import { CLAIM_READY } from '../abi/port.js';
import type { Claim, Port } from '../abi/port.js';
import { onWire } from '../wire/address.js';
import { isIpv4 } from './bytes.js';
import type { End } from './nat.js';
import { translate, whyNot } from './nat.js';
import type { Connection, Ip } from './parse.js';
import { UDP, parseIp } from './parse.js';
import type { Place, Taking, WithPorts } from './ports.js';
import {
  FREE,
  afterAnswer,
  afterClient,
  claimOf,
  findFreePort,
  findPort,
  hasBothFins,
  inTable,
  isBeginning,
  isEstablished,
  newClaim,
  placeOf,
  portFor,
  portOf,
} from './ports.js';
import type {
  ModelDestination,
  PortReason,
  PortWrite,
  ProgramState,
  Tables,
} from './types.js';

export type Assigned =
  | {
      verdict: 'no port' | 'no connection' | 'other family' | 'fragment';
      why: string;
      writes: PortWrite[];
    }
  | {
      id: number;
      destination: ModelDestination;
      /** What the packet comes from when it leaves. */
      source: End;
      reason: PortReason;
      writes: PortWrite[];
    };

const TAKEN: Record<Taking, string> = {
  free: 'a new connection takes a free port',
  over: 'a new connection takes the port of one that is over',
  'not established':
    'a new connection takes the port of one that is not established, as no other is left',
};

/** Finds the port of a client's packet, and the connection's destination. */
export function assignPort(
  tables: Tables,
  state: ProgramState,
  ip: Ip,
  connection: Connection,
  chosen: { id: number; destination: ModelDestination },
): Assigned {
  const cannot = whyNot(ip, connection, { ...chosen.destination, port: FIRST_PORT });
  if (cannot) return refused(cannot, 'it cannot get the address and port of a pool');
  if (!hasPorts(connection)) throw new Error('a packet without ports is a fragment');
  const place = placeOf(tables.secret, connection, chosen.destination);
  const number = findPort(tables, state, place, connection);
  return number === undefined
    ? take(tables, state, connection, chosen, place)
    : follow(tables, state, ip, connection, chosen, place, number);
}

function hasPorts(connection: Connection): connection is WithPorts {
  return connection.ports !== undefined;
}

function refused(
  verdict: Extract<Assigned, { verdict: string }>['verdict'],
  why: string,
  writes: PortWrite[] = [],
): Assigned {
  return { verdict, why, writes };
}

function mayBegin(connection: Connection): boolean {
  if (connection.isError) return false;
  return connection.protocol === UDP || isBeginning(connection);
}

function take(
  tables: Tables,
  state: ProgramState,
  connection: WithPorts,
  chosen: { id: number; destination: ModelDestination },
  place: Place,
): Assigned {
  if (!mayBegin(connection)) {
    const why = 'no port is known for it, and only a SYN or UDP gets a new one';
    return refused('no connection', why);
  }
  const found = findFreePort(tables, state, place);
  if (!found) {
    return refused('no port', 'all ports that it may have are in use: 16 of its address');
  }
  const { number, how } = found;
  const claim = newClaim(state, place.signature, connection);
  const port = portFor(connection, chosen.id);
  const source = sourceOf(chosen.destination, place, number);
  return {
    ...chosen,
    source,
    reason: reasonOf(number, source, TAKEN[how], port, claim),
    writes: [{ number, claim, port }],
  };
}

/** A packet of a connection that has a port. */
function follow(
  tables: Tables,
  state: ProgramState,
  ip: Ip,
  connection: WithPorts,
  chosen: { id: number; destination: ModelDestination },
  place: Place,
  number: number,
): Assigned {
  const port = portOf(state, number);
  const claim = claimOf(tables, state, number) ?? FREE;
  const source = sourceOf(chosen.destination, place, number);
  const own = tables.destinations.get(port.destination);
  const isThere =
    own?.forward === 'full-nat' && own.service === chosen.destination.service;
  const destination = isThere && !own.isForgotten ? own : undefined;
  if (mayBegin(connection) && mayMove(claim, destination)) {
    const again = newClaim(state, place.signature, connection);
    const moved = { ...port, destination: chosen.id };
    const why = 'a connection begins anew on the port that these ends had before';
    return {
      ...chosen,
      source,
      reason: reasonOf(number, source, why, moved, again),
      writes: [{ number, claim: again, port: moved }],
    };
  }
  if (!destination) {
    const state = isThere ? 'forgotten' : 'not there any more';
    return refused('no connection', `the destination of its connection is ${state}`);
  }
  const noted = connection.isError ? claim : afterClient(state, claim, port, connection);
  const writes = connection.isError ? [] : [{ number, claim: noted }];
  const cannot = whyNot(ip, connection, { ...destination, port: FIRST_PORT });
  if (cannot) return refused(cannot, 'its destination has another family', writes);
  return {
    id: port.destination,
    destination,
    source,
    reason: reasonOf(number, source, 'its connection has this port', port, noted),
    writes,
  };
}

/** Whether a new connection with the ends of a known one goes where its slot leads. */
function mayMove(claim: Claim, destination: ModelDestination | undefined): boolean {
  if (!destination) return true;
  // A RST or a single FIN may be forged.
  if (hasBothFins(claim.state)) return true;
  const isDrained = destination.weight === 0;
  return isDrained && !isEstablished(claim);
}

function sourceOf({ source }: ModelDestination, { block }: Place, number: number): End {
  const address = Buffer.from(source);
  address.writeUInt32BE((address.readUInt32BE(12) | block) >>> 0, 12);
  return { address, port: FIRST_PORT + (number % BLOCK_PORTS) };
}

function reasonOf(
  number: number,
  { address, port }: End,
  why: string,
  { client, clientPort, address: service, servicePort, protocol }: Port,
  claim: Claim,
): PortReason {
  const of = { client, clientPort, address: service, servicePort, protocol };
  return { number, address, port, why, of, claim };
}

/** Returns a client's packet as it is on its way to its destination. */
export function sendFrom(
  bytes: Buffer,
  ip: Ip,
  connection: Connection,
  destination: End,
  source: End,
): Buffer {
  return translateBoth(bytes, ip, connection, { destination, source });
}

function translateBoth(
  bytes: Buffer,
  ip: Ip,
  connection: Connection,
  { destination, source }: { destination: End; source: End },
): Buffer {
  const half = translate(bytes, ip, connection, 'destination', destination);
  const again = parseIp(half, isIpv4(ip.address));
  if ('refused' in again) throw new Error('a translated packet cannot be parsed');
  return translate(half, again, connection, 'source', source);
}

/** Returns the number of the port that a packet was sent to, if it is one of a pool's. */
export function numberOf(tables: Tables, connection: Connection): number | undefined {
  const { device, pools = [] } = tables;
  const { address, ports } = connection;
  if ((device.flags & DEVICE_POOLS) === 0 || !ports) return undefined;
  if (ports.destination < FIRST_PORT) return undefined;
  for (const pool of pools) {
    const block = blockIn(pool, address);
    if (block === undefined) continue;
    return (pool.firstBlock + block) * BLOCK_PORTS + (ports.destination - FIRST_PORT);
  }
  return undefined;
}

/** Counts an address from the first of its pool. */
function blockIn(pool: Pool, address: Buffer): number | undefined {
  const first = onWire(pool.address);
  if (first.length !== address.length) return undefined;
  const asNumber = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex')}`);
  const differing = asNumber(first) ^ asNumber(address);
  return differing < 1n << BigInt(pool.hostBits) ? Number(differing) : undefined;
}

export interface TurnedBack {
  bytes: Buffer;
  id: number;
  reason: PortReason;
  writes: PortWrite[];
}

/** Turns a packet to a port into an answer to its client; undefined if it is none. */
export function turnBack(
  tables: Tables,
  state: ProgramState,
  bytes: Buffer,
  ip: Ip,
  connection: Connection,
  number: number,
): TurnedBack | undefined {
  const claim = claimOf(tables, state, number);
  if (!claim || (claim.state & CLAIM_READY) === 0) return undefined;
  const port = portOf(state, number);
  const destination = tables.destinations.get(port.destination);
  if (!destination || !isFrom(destination, port, connection)) return undefined;
  const source = { address: port.address, port: port.servicePort };
  const client = { address: port.client, port: port.clientPort };
  if (whyNot(ip, connection, source) ?? whyNot(ip, connection, client)) return undefined;
  const noted = connection.isError
    ? { claim, port }
    : afterAnswer(state, claim, port, connection);
  const own = {
    address: inTable(connection.address),
    port: connection.ports?.destination ?? 0,
  };
  return {
    bytes: translateBoth(bytes, ip, connection, { destination: client, source }),
    id: port.destination,
    reason: reasonOf(number, own, 'an answer to this client', port, noted.claim),
    writes: connection.isError ? [] : [{ number, ...noted }],
  };
}

function isFrom(
  destination: ModelDestination,
  port: Port,
  { source, protocol, ports }: Connection,
): boolean {
  const from = destination.port === 0 ? port.servicePort : destination.port;
  return (
    destination.forward === 'full-nat' &&
    destination.service !== 0 &&
    protocol === port.protocol &&
    ports?.source === from &&
    onWire(destination.address).equals(source)
  );
}
