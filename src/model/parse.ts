// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Step 1: parses Ethernet and tags (IEEE 802.1Q), IP (RFC 791, RFC 8200) and ports. */

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const ICMPV6 = 58;

export const IPV4_TYPE = 0x0800;
export const IPV6_TYPE = 0x86dd;
const TAG_TYPES = [0x8100, 0x88a8];
const MOST_TAGS = 2;

/** Hop-by-hop, routing, fragment, authentication, destination options. */
const EXTENSIONS = [0, 43, 44, 51, 60];
const ROUTING = 43;
const FRAGMENT = 44;
const AUTHENTICATION = 51;
const MOST_EXTENSIONS = 6;

/** A frame that carries IP. */
export interface Link {
  to: Buffer;
  from: Buffer;
  /** Up to two tags of 4 bytes each. */
  tags: Buffer;
  isIpv4: boolean;
  /** From the IP header to the frame's end. */
  rest: Buffer;
}

export function parseLink(frame: Buffer): Link | undefined {
  if (frame.length < 14) return undefined;
  let at = 12;
  for (let tags = 0; TAG_TYPES.includes(frame.readUInt16BE(at)); tags++) {
    if (tags === MOST_TAGS || frame.length < at + 6) return undefined;
    at += 4;
  }
  const type = frame.readUInt16BE(at);
  if (type !== IPV4_TYPE && type !== IPV6_TYPE) return undefined;
  return {
    to: frame.subarray(0, 6),
    from: frame.subarray(6, 12),
    tags: frame.subarray(12, at),
    isIpv4: type === IPV4_TYPE,
    rest: frame.subarray(at + 2),
  };
}

/** The contents of an IP header and its extension headers. */
export interface Ip {
  /** 4 or 16 bytes. */
  source: Buffer;
  address: Buffer;
  protocol: number;
  /** IPv4's TOS or IPv6's traffic class. */
  trafficClass: number;
  /** The length of the whole packet, as its header states it. */
  length: number;
  /** The offset behind the header and its options or extension headers. */
  end: number;
  /** True without options and extension headers. */
  isPlain: boolean;
  isFragment: boolean;
  /** True for a fragment other than the first. */
  isLater: boolean;
  /** Always true for IPv6, because its routers never fragment. */
  dontFragment: boolean;
}

/** A packet that cannot be parsed, with the fields that were read before. */
export interface Refused {
  refused: 'malformed' | 'extension headers';
  address?: Buffer;
  protocol?: number;
}

export function parseIp(bytes: Buffer, isIpv4: boolean): Ip | Refused {
  return isIpv4 ? parseIpv4(bytes) : parseIpv6(bytes);
}

function parseIpv4(bytes: Buffer): Ip | Refused {
  if (bytes.length < 20) return { refused: 'malformed' };
  const [first = 0, trafficClass = 0] = bytes;
  const words = first & 0x0f;
  // No other field can be trusted if the version is wrong.
  if (first >> 4 !== 4 || words < 5) return { refused: 'malformed' };
  const fragment = bytes.readUInt16BE(6);
  const offset = fragment & 0x1fff;
  return {
    source: bytes.subarray(12, 16),
    address: bytes.subarray(16, 20),
    protocol: bytes.readUInt8(9),
    trafficClass,
    length: bytes.readUInt16BE(2),
    end: words * 4,
    isPlain: words === 5,
    isFragment: (fragment & 0x2000) !== 0 || offset !== 0,
    isLater: offset !== 0,
    dontFragment: (fragment & 0x4000) !== 0,
  };
}

function parseIpv6(bytes: Buffer): Ip | Refused {
  if (bytes.length < 40 || bytes.readUInt8(0) >> 4 !== 6) return { refused: 'malformed' };
  const address = bytes.subarray(24, 40);
  const ip = {
    source: bytes.subarray(8, 24),
    address,
    trafficClass: (bytes.readUInt16BE(0) >> 4) & 0xff,
    length: 40 + bytes.readUInt16BE(4),
    isLater: false,
    dontFragment: true,
  };
  let protocol = bytes.readUInt8(6);
  let end = 40;
  for (let count = 0; EXTENSIONS.includes(protocol); count++) {
    if (count === MOST_EXTENSIONS) return { refused: 'extension headers', address };
    if (bytes.length < end + 8) return { refused: 'malformed', address };
    const next = bytes.readUInt8(end);
    if (protocol === ROUTING && bytes.readUInt8(end + 3) !== 0) {
      // The destination address is only the next hop of the route.
      return { refused: 'extension headers', address };
    }
    if (protocol === FRAGMENT) {
      const word = bytes.readUInt16BE(end + 2);
      const isLater = word >> 3 !== 0;
      end += 8;
      if (isLater || (word & 1) !== 0) {
        if (EXTENSIONS.includes(next)) return { refused: 'extension headers', address };
        const fragment = { isPlain: false, isFragment: true, isLater };
        return { ...ip, ...fragment, protocol: next, end };
      }
      // A fragment header without further fragments: a whole packet (RFC 6946).
    } else {
      const units = bytes.readUInt8(end + 1);
      end += protocol === AUTHENTICATION ? (units + 2) * 4 : (units + 1) * 8;
    }
    protocol = next;
  }
  return { ...ip, protocol, end, isPlain: end === 40, isFragment: false };
}

export interface Ports {
  source: number;
  destination: number;
}

/**
 * One direction of a connection, or an ICMP error about it. Its fields choose the service
 * and the slot.
 */
export interface Connection {
  source: Buffer;
  address: Buffer;
  protocol: number;
  /** Fragments have none. */
  ports: Ports | undefined;
  /** TCP's flags; 0 for an ICMP error, which does not show them. */
  flags: number;
  /** TCP's sequence number, and the bytes behind its header; 0 for an ICMP error. */
  sequence: number;
  data: number;
  /** The number that TCP acknowledges; 0 for an ICMP error. */
  acknowledges: number;
  isError: boolean;
}

export function isTcpOrUdp(protocol: number): boolean {
  return protocol === TCP || protocol === UDP;
}

/** Parses a packet or fragment of TCP or UDP. */
export function parseTransport(bytes: Buffer, ip: Ip): Connection | Refused {
  const { source, address, protocol, length, end } = ip;
  const malformed: Refused = { refused: 'malformed', address, protocol };
  if (length > bytes.length) return malformed;
  const none = { flags: 0, sequence: 0, data: 0, acknowledges: 0 };
  const head = { source, address, protocol, isError: false, ...none };
  if (ip.isFragment) {
    return length > end ? { ...head, ports: undefined } : malformed;
  }
  if (length < end + (protocol === TCP ? 20 : 8)) return malformed;
  return {
    ...head,
    ports: { source: bytes.readUInt16BE(end), destination: bytes.readUInt16BE(end + 2) },
    ...(protocol === TCP && {
      flags: bytes.readUInt8(end + 13),
      sequence: bytes.readUInt32BE(end + 4),
      acknowledges: bytes.readUInt32BE(end + 8),
      data: length - end - (bytes.readUInt8(end + 12) >> 4) * 4,
    }),
  };
}
