// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Names in outer source addresses: whether a destination takes a packet of a hot slot, or
 * sends it on to a sibling. programs/decap.h explains names.
 */
import { carriedChecksum, isIpv4 } from './bytes.js';
import { isIcmp, isWholeIcmp, quotedConnection } from './icmp.js';
import type { Connection, Ports } from './parse.js';
import { TCP, parseIp, parseTransport } from './parse.js';

/** All addresses have 4 or 16 bytes, as on the wire. */
export interface Names {
  prefix: Buffer;
  /** The length of the prefix. */
  length: number;
}

export interface Sibling {
  address: Buffer;
  mac: Buffer;
  /** Where it is counted; 0: it is this host itself, under another address. */
  pair: number;
}

/** A TCP socket of the host. */
export interface Socket {
  state: 'listens' | 'half-open' | 'time-wait' | 'open';
  /** The host's own end. */
  address: Buffer;
  port: number;
  /** Absent if the socket listens. */
  peer?: { address: Buffer; port: number };
  /** Of the SYN-ACK or the SYN cookie; in TIME_WAIT, the next one that it expects. */
  sequence: number;
}

export interface Neighbourhood {
  names: readonly Names[];
  siblings: readonly Sibling[];
  sockets: readonly Socket[];
}

/** What is counted under a pair. */
export interface PairEvent {
  pair: number;
  kind: 'found' | 'sent' | 'named';
}

export type Decision = { event?: PairEvent } & (
  | { verdict: 'decapsulated' | 'taken hot' | 'nobody named' | 'hops used up' }
  | { verdict: 'sent on'; outer: Buffer; mac: Buffer }
);

const SYN = 0x02;
const ACK = 0x10;
const RST = 0x04;
const WINDOW = 65536;
const COLD: Decision = { verdict: 'decapsulated' };

/** `outer` is the outer header, `inner` begins with the inner one. */
export function decide(
  { names, siblings, sockets }: Neighbourhood,
  outer: Buffer,
  inner: Buffer,
): Decision {
  const isV4 = outer.readUInt8(0) >> 4 === 4;
  const [source, address] = isV4
    ? [outer.subarray(12, 16), outer.subarray(16, 20)]
    : [outer.subarray(8, 24), outer.subarray(24, 40)];
  const prefix = names.find((one) => hasPrefix(source, one));
  if (!prefix) return COLD;
  const bits = (source.length * 8 - prefix.length) / 2;
  const numberOf = (one: Buffer): number => Number(lastWord(one) % 2n ** BigInt(bits));
  const both = Number(lastWord(source) % 2n ** BigInt(2 * bits));
  const [first, second] = [both % 2 ** bits, Math.floor(both / 2 ** bits)];
  if (first === 0 && second === 0) return COLD;

  const named = (number: number): Sibling | undefined =>
    siblings.find(
      (one) => one.address.length === source.length && numberOf(one.address) === number,
    );
  const use = useOf(sockets, inner);
  if (first === 0) {
    if (use !== 'socket') return COLD;
    return { verdict: 'taken hot', ...event(named(second), 'found') };
  }
  if (use === 'no connection') return { verdict: 'taken hot' };
  const own = numberOf(address);
  const isThisHost = (number: number): boolean =>
    number === own || named(number)?.pair === 0;
  const others = [first, second].filter((one) => one !== 0);
  while (others[0] !== undefined && isThisHost(others[0])) others.shift();
  const [to, left] = others;
  const sibling = to === undefined ? undefined : named(to);
  if (use === 'socket') return { verdict: 'taken hot', ...event(sibling, 'named') };
  if (!sibling) return { verdict: 'nobody named' };
  if (outer.readUInt8(isV4 ? 8 : 7) <= 1) return { verdict: 'hops used up' };
  const numbers = left ?? own * 2 ** bits;
  const next = withLastWord(source, lastWord(source) - BigInt(both) + BigInt(numbers));
  return {
    verdict: 'sent on',
    outer: redirect(outer, next, sibling.address),
    mac: sibling.mac,
    ...event(sibling, 'sent'),
  };
}

function event(
  sibling: Sibling | undefined,
  kind: PairEvent['kind'],
): { event?: PairEvent } {
  return sibling && sibling.pair !== 0 ? { event: { pair: sibling.pair, kind } } : {};
}

function lastWord(address: Buffer): bigint {
  return BigInt(address.readUInt32BE(address.length - 4));
}

function withLastWord(address: Buffer, word: bigint): Buffer {
  const changed = Buffer.from(address);
  changed.writeUInt32BE(Number(word), address.length - 4);
  return changed;
}

function hasPrefix(address: Buffer, { prefix, length }: Names): boolean {
  if (address.length !== prefix.length) return false;
  const bits = (one: Buffer): bigint =>
    BigInt(`0x${one.toString('hex')}`) >> BigInt(one.length * 8 - length);
  return bits(address) === bits(prefix);
}

/** The same header from and to other addresses, with one hop fewer. */
function redirect(outer: Buffer, source: Buffer, address: Buffer): Buffer {
  const changed = Buffer.from(outer);
  if (!isIpv4(source)) {
    changed.writeUInt8(outer.readUInt8(7) - 1, 7);
    source.copy(changed, 8);
    address.copy(changed, 24);
    return changed;
  }
  changed.writeUInt8(outer.readUInt8(8) - 1, 8);
  source.copy(changed, 12);
  address.copy(changed, 16);
  const sum = outer.readUInt16BE(10);
  const before = Buffer.from(outer);
  before.writeUInt16BE(0, 10);
  changed.writeUInt16BE(0, 10);
  changed.writeUInt16BE(carriedChecksum(sum, [before], [changed]), 10);
  return changed;
}

type Use = 'none' | 'no connection' | 'socket';

/** Tells whether a host with these sockets has a use for a packet. */
function useOf(sockets: readonly Socket[], inner: Buffer): Use {
  const isV4 = inner.readUInt8(0) >> 4 === 4;
  const ip = parseIp(inner, isV4);
  if ('refused' in ip || ip.isFragment) return 'no connection';
  if (ip.protocol === TCP) {
    const segment = parseTransport(inner, ip);
    if ('refused' in segment || !segment.ports) return 'no connection';
    if ((segment.flags & (SYN | ACK)) === SYN) return 'no connection';
    const [sequence, acknowledged] = [4, 8].map((at) => inner.readUInt32BE(ip.end + at));
    const socket = socketOf(sockets, segment, segment.ports);
    const fits = socket && isFor(socket, segment.flags, sequence ?? 0, acknowledged ?? 0);
    return fits ? 'socket' : 'none';
  }
  if (!isIcmp(ip) || !isWholeIcmp(inner, ip)) return 'no connection';
  const quoted = quotedConnection(inner, ip);
  if (quoted?.protocol !== TCP || !quoted.ports) return 'no connection';
  const socket = socketOf(sockets, quoted, quoted.ports);
  return socket && socket.state !== 'listens' ? 'socket' : 'none';
}

/** Prefers a connection to a socket that listens. */
function socketOf(
  sockets: readonly Socket[],
  { source, address }: Connection,
  ports: Ports,
): Socket | undefined {
  const own = sockets.filter(
    (one) => one.port === ports.destination && one.address.equals(address),
  );
  return (
    own.find(({ peer }) => peer?.port === ports.source && peer.address.equals(source)) ??
    own.find(({ state }) => state === 'listens')
  );
}

function isFor(
  { state, sequence: known }: Socket,
  flags: number,
  sequence: number,
  acknowledged: number,
): boolean {
  const isAcknowledged = acknowledged === (known + 1) % 2 ** 32;
  const isAck = (flags & ACK) !== 0;
  switch (state) {
    case 'listens':
      return isAck && (flags & (SYN | RST)) === 0 && isAcknowledged;
    case 'half-open':
      return !isAck || isAcknowledged;
    case 'time-wait':
      return Math.abs((sequence - known) | 0) <= WINDOW;
    case 'open':
      return true;
  }
}
