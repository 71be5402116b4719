// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Says in words what captured frames are, and counts those of each kind. */
import { at as element } from '../text/must.js';
import { formatMac } from '../wire/address.js';
import type { Passed } from './facts.js';

const ETHERNET = 14;
const TAG = 4;
const TAGS = [0x8100, 0x88a8];
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const PROTOCOLS: Record<number, string> = { 6: 'tcp', 17: 'udp' };
const OTHERS: Record<number, string> = { 4: 'IP in IP', 41: 'IPv6 in IP', 47: 'GRE' };
const ICMP = 1;
const ICMPV6 = 58;
/** Extension headers that do not matter here. */
const SKIPPED = [0, 43, 60];

/** Counts the frames of each kind; the most frequent kind comes first. */
export function countFrames(frames: readonly Buffer[], ownMac: string): Passed[] {
  const kinds = new Map<string, Passed>();
  for (const frame of frames) {
    const kind = describeFrame(frame, ownMac);
    const there = kinds.get(kind.what);
    kinds.set(kind.what, { ...kind, count: (there?.count ?? 0) + 1 });
  }
  return [...kinds.values()].sort((one, other) => other.count - one.count);
}

/** Counts packets by the address that they come from. */
export function countSources(frames: readonly Buffer[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const frame of frames) {
    const source = sourceOf(frame);
    if (source !== undefined) counts.set(source, (counts.get(source) ?? 0) + 1);
  }
  return counts;
}

function sourceOf(frame: Buffer): string | undefined {
  let at = 12;
  while (TAGS.includes(u16(frame, at))) at += TAG;
  const type = u16(frame, at);
  const packet = frame.subarray(at + 2);
  if (type === IPV4 && packet.length >= 20) return [...packet.subarray(12, 16)].join('.');
  return type === IPV6 && packet.length >= 40
    ? ipv6Text(packet.subarray(8, 24))
    : undefined;
}

type Kind = Omit<Passed, 'count'>;

function describeFrame(frame: Buffer, ownMac: string): Kind {
  if (frame.length < ETHERNET) return only('frames cut short');
  const mac = formatMac(frame.subarray(0, 6));
  let at = 12;
  let tag = '';
  while (TAGS.includes(u16(frame, at))) {
    tag = ` with VLAN tag ${u16(frame, at + 2) & 0xfff}`;
    at += TAG;
  }
  const type = u16(frame, at);
  const packet = frame.subarray(at + 2);
  const kind =
    type === IPV4
      ? describeIpv4(packet)
      : type === IPV6
        ? describeIpv6(packet)
        : only(type === 0x0806 ? 'ARP' : `frames of type 0x${hex(type, 4)}`);
  const isGroup = (element(frame, 0) & 1) === 1;
  const at_ = mac === ownMac ? '' : isGroup ? ' to a group' : ` at MAC ${mac}`;
  return {
    ...kind,
    what: kind.what + (type === 0x0806 ? '' : at_) + tag,
    to: kind.to && { ...kind.to, mac },
  };
}

function describeIpv4(packet: Buffer): Kind {
  if (packet.length < 20) return only('IPv4 cut short');
  const address = [...packet.subarray(16, 20)].join('.');
  const from = [...packet.subarray(12, 16)].join('.');
  const payload = packet.subarray((element(packet, 0) & 0xf) * 4);
  const isLater = (u16(packet, 6) & 0x1fff) !== 0;
  if (isLater) return only(`fragments to ${address}`);
  return describePayload(element(packet, 9), payload, from, address);
}

function describeIpv6(packet: Buffer): Kind {
  if (packet.length < 40) return only('IPv6 cut short');
  let next = element(packet, 6);
  let payload = packet.subarray(40);
  while (SKIPPED.includes(next) && payload.length >= 8) {
    next = element(payload, 0);
    payload = payload.subarray((element(payload, 1) + 1) * 8);
  }
  const text = (at: number): string => ipv6Text(packet.subarray(at, at + 16));
  return describePayload(next, payload, text(8), text(24));
}

function describePayload(
  number: number,
  payload: Buffer,
  from: string,
  address: string,
): Kind {
  const protocol = PROTOCOLS[number];
  if (protocol !== undefined && payload.length >= 4) {
    const port = u16(payload, 2);
    const host = address.includes(':') ? `[${address}]` : address;
    return {
      ...only(`${host}:${port}/${protocol}`),
      to: { address, port, protocol, mac: '' },
    };
  }
  if (number === ICMP || number === ICMPV6) {
    const refused = saysNoTunnel(number, payload);
    const name = number === ICMP ? 'ICMP' : 'ICMPv6';
    if (refused === undefined) return only(`${name} to ${address}`);
    return {
      ...only(`${name} "protocol ${refused} unreachable" from ${from}`),
      withoutTunnel: from,
    };
  }
  return only(`${OTHERS[number] ?? `protocol ${number}`} to ${address}`);
}

/** The tunnel protocol that an ICMP error rejects: its sender does not know it. */
function saysNoTunnel(number: number, payload: Buffer): number | undefined {
  const [type, code] = payload;
  if (number === ICMP) {
    // Destination unreachable, protocol unreachable; the quote is IPv4.
    const inner = payload[8 + 9];
    return type === 3 && code === 2 && isTunnel(inner) ? inner : undefined;
  }
  // Parameter problem, unrecognised next header; the quote is IPv6.
  const inner = payload[8 + 6];
  return type === 4 && code === 1 && isTunnel(inner) ? inner : undefined;
}

/** Undefined where the quote is cut short. */
function isTunnel(protocol: number | undefined): boolean {
  return protocol !== undefined && Object.hasOwn(OTHERS, protocol);
}

function only(what: string): Kind {
  return { what, to: undefined, withoutTunnel: undefined };
}

function u16(bytes: Buffer, at: number): number {
  return at + 2 <= bytes.length ? bytes.readUInt16BE(at) : 0;
}

function hex(number: number, digits: number): string {
  return number.toString(16).padStart(digits, '0');
}

/**
 * Writes an address as RFC 5952 says: leaves out the longest run of two or more zeros.
 */
function ipv6Text(address: Buffer): string {
  const words = Array.from({ length: 8 }, (_, index) =>
    u16(address, index * 2).toString(16),
  );
  const runs = `:${words.join(':')}:`.match(/(?:(?<=:)0:){2,}/g) ?? [];
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), '');
  if (longest === '') return words.join(':');
  const text = `:${words.join(':')}:`;
  const start = text.indexOf(`:${longest}`) + 1;
  const head = text.slice(1, start - 1);
  const tail = text.slice(start + longest.length, -1);
  return `${head}::${tail}`;
}
