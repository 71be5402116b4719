// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The model of the decapsulation program: removes the outer header (ECN: RFC 6040), or
 * sends a packet of a hot slot on.
 */
import { onWire } from '../wire/address.js';
import { carriedChecksum } from './bytes.js';
import { etherType } from './encapsulate.js';
import type { Neighbourhood, PairEvent } from './names.js';
import { decide } from './names.js';
import type { Link } from './parse.js';
import { parseLink } from './parse.js';

export type DecapVerdict =
  | 'decapsulated'
  | 'not ipip'
  | 'not this host'
  | 'taken hot'
  | 'nobody named'
  | 'malformed'
  | 'ecn'
  | 'hops used up'
  | 'sent on';

export interface DecapAnswer {
  verdict: DecapVerdict;
  action: 'PASS' | 'DROP' | 'TX';
  frame: Buffer;
  /** What is counted under a pair besides. */
  event?: PairEvent;
}

const IPV4_INSIDE = 4;
const IPV6_INSIDE = 41;
const NOT_ECT = 0;
const ECT_1 = 1;
const ECT_0 = 2;
const CE = 3;

interface Outer {
  address: Buffer;
  inside: number;
  trafficClass: number;
  /** The offset of the inner packet, and the last offset where it may end. */
  start: number;
  end: number;
  isFragment: boolean;
}

const ALONE: Neighbourhood = { names: [], siblings: [], sockets: [] };

/** `addresses` are the host's own, from the table; undefined: every address counts. */
export function decap(
  addresses: readonly Buffer[] | undefined,
  frame: Buffer,
  neighbourhood: Neighbourhood = ALONE,
): DecapAnswer {
  const pass = (verdict: DecapVerdict): DecapAnswer => ({
    verdict,
    action: 'PASS',
    frame,
  });
  const drop = (verdict: DecapVerdict): DecapAnswer => ({
    verdict,
    action: 'DROP',
    frame,
  });
  const link = parseLink(frame);
  const outer = link && parseOuter(link);
  if (!outer) return pass('not ipip');
  const isOwn = addresses?.some((one) => onWire(one).equals(outer.address)) ?? true;
  if (!isOwn) return pass('not this host');
  // The stack first puts the fragments together.
  if (outer.isFragment) return pass('not ipip');
  if (outer.end < outer.start || outer.end > link.rest.length) return drop('malformed');

  const isV4 = outer.inside === IPV4_INSIDE;
  const inner = Buffer.from(link.rest.subarray(outer.start));
  if (!isSoundInner(inner.subarray(0, outer.end - outer.start), isV4)) {
    return drop('malformed');
  }
  const decision = decide(neighbourhood, link.rest.subarray(0, outer.start), inner);
  const { verdict, event } = decision;
  if (decision.verdict === 'hops used up') return drop('hops used up');
  if (decision.verdict === 'sent on') {
    const rest = link.rest.subarray(outer.start);
    const head = frame.subarray(12, frame.length - link.rest.length);
    const on = Buffer.concat([decision.mac, link.to, head, decision.outer, rest]);
    return { verdict: 'sent on', action: 'TX', frame: on, ...(event && { event }) };
  }
  const ecn = combineEcn(innerClass(inner, isV4) & 3, outer.trafficClass & 3);
  if (ecn === undefined) return { ...drop('ecn'), ...(event && { event }) };
  setEcn(inner, isV4, ecn);
  const type = etherType(isV4 ? 'IPv4' : 'IPv6');
  const out = Buffer.concat([link.to, link.from, link.tags, type, inner]);
  return { verdict, action: 'PASS', frame: out, ...(event && { event }) };
}

/** Returns undefined if the packet carries no IP packet. */
function parseOuter({ rest, isIpv4: isV4 }: Link): Outer | undefined {
  if (rest.length < (isV4 ? 20 : 40)) return undefined;
  const inside = rest.readUInt8(isV4 ? 9 : 6);
  if (inside !== IPV4_INSIDE && inside !== IPV6_INSIDE) return undefined;
  if (rest.readUInt8(0) >> 4 !== (isV4 ? 4 : 6)) return undefined;
  if (!isV4) {
    return {
      address: rest.subarray(24, 40),
      inside,
      trafficClass: (rest.readUInt16BE(0) >> 4) & 0xff,
      start: 40,
      end: 40 + rest.readUInt16BE(4),
      isFragment: false,
    };
  }
  const start = (rest.readUInt8(0) & 0x0f) * 4;
  if (start < 20) return undefined;
  return {
    address: rest.subarray(16, 20),
    inside,
    trafficClass: rest.readUInt8(1),
    start,
    end: rest.readUInt16BE(2),
    isFragment: (rest.readUInt16BE(6) & 0x3fff) !== 0,
  };
}

/** Tells whether the payload of the outer packet holds a whole IP packet. */
function isSoundInner(inner: Buffer, isV4: boolean): boolean {
  if (inner.length < (isV4 ? 20 : 40)) return false;
  const first = inner.readUInt8(0);
  if (first >> 4 !== (isV4 ? 4 : 6)) return false;
  if (!isV4) return 40 + inner.readUInt16BE(4) <= inner.length;
  const header = (first & 0x0f) * 4;
  const length = inner.readUInt16BE(2);
  return header >= 20 && header <= length && length <= inner.length;
}

/** Returns the ECN bits after figure 4 of RFC 6040; undefined: the packet is dropped. */
export function combineEcn(inner: number, outer: number): number | undefined {
  if (outer === CE) return inner === NOT_ECT ? undefined : CE;
  return outer === ECT_1 && inner === ECT_0 ? ECT_1 : inner;
}

function innerClass(inner: Buffer, isV4: boolean): number {
  return isV4 ? inner.readUInt8(1) : (inner.readUInt16BE(0) >> 4) & 0xff;
}

function setEcn(inner: Buffer, isV4: boolean, ecn: number): void {
  const was = inner.readUInt16BE(0);
  // ECN is the class's last two bits. In IPv4 they end the word; in IPv6 4 bits follow.
  const is = isV4 ? (was & ~3) | ecn : (was & ~0x30) | (ecn << 4);
  if (is === was) return;
  if (!isV4) {
    inner.writeUInt16BE(is, 0);
    return;
  }
  const header = inner.subarray(0, (inner.readUInt8(0) & 0x0f) * 4);
  const sum = header.readUInt16BE(10);
  header.writeUInt16BE(0, 10);
  const before = Buffer.from(header);
  header.writeUInt16BE(is, 0);
  header.writeUInt16BE(carriedChecksum(sum, [before], [header]), 10);
}
