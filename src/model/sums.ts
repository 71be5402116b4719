// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Judges checksums as a receiver does: it sums up everything that a checksum covers, and
 * the sum must be 0xffff (RFC 1071). It uses no code of the program or the model, so it
 * also finds a fault that both share.
 */
import { onesSum } from '../wire/checksum.js';
import type { VerdictName } from '../abi/verdicts.js';
import { pseudoHeader } from './answers.js';
import { isIpv4 } from './bytes.js';
import { HEADER_LENGTH, isIcmp, isWholeIcmp, quotedConnection } from './icmp.js';
import type { Ip, Link } from './parse.js';
import { UDP, isTcpOrUdp, parseIp, parseLink } from './parse.js';

export interface Sum {
  of:
    | 'the IPv4 header'
    | 'ICMP'
    | 'ICMPv6'
    | 'TCP or UDP'
    | 'the quoted IPv4 header'
    | 'the quoted TCP or UDP';
  isRight: boolean;
}

/** Judges the checksums of the first IP packet in a frame; none if it is cut short. */
export function sumsOf(frame: Buffer): Sum[] {
  const link = parseLink(frame);
  return link ? sumsOfPacket(link) : [];
}

function sumsOfPacket({ rest, isIpv4: isV4 }: Pick<Link, 'rest' | 'isIpv4'>): Sum[] {
  const ip = parseIp(rest, isV4);
  if ('refused' in ip || ip.end > rest.length) return [];
  const sums: Sum[] = [];
  if (isV4)
    sums.push({ of: 'the IPv4 header', isRight: isSound(rest.subarray(0, ip.end)) });
  const own = transportSum(rest, ip, 'TCP or UDP');
  if (own) return [...sums, own];
  if (!isIcmp(ip) || !isWholeIcmp(rest, ip)) return sums;
  const message = rest.subarray(ip.end, ip.length);
  const pseudo = pseudoHeader(ip.source, ip.address, message.length);
  sums.push(
    isIpv4(ip.address)
      ? { of: 'ICMP', isRight: isSound(message) }
      : { of: 'ICMPv6', isRight: isSound(pseudo, message) },
  );
  return quotedConnection(rest, ip)
    ? [...sums, ...quotedSums(message.subarray(HEADER_LENGTH), isV4)]
    : sums;
}

/** Those that the quote has whole; of TCP and UDP that is what they cover, too. */
function quotedSums(quote: Buffer, isV4: boolean): Sum[] {
  const quoted = parseIp(quote, isV4);
  if ('refused' in quoted) return [];
  const isRight = isV4 && isSound(quote.subarray(0, quoted.end));
  const own = transportSum(quote, quoted, 'the quoted TCP or UDP');
  return [
    ...(isV4 ? [{ of: 'the quoted IPv4 header', isRight } as const] : []),
    ...(own ? [own] : []),
  ];
}

/** Undefined for other protocols, where not all is there, and for UDP without a checksum. */
function transportSum(bytes: Buffer, ip: Ip, of: Sum['of']): Sum | undefined {
  const { protocol, isFragment, length, end } = ip;
  if (!isTcpOrUdp(protocol) || isFragment || length > bytes.length) return undefined;
  const transport = bytes.subarray(end, length);
  if (transport.length < (protocol === UDP ? 8 : 20)) return undefined;
  if (protocol === UDP && transport.readUInt16BE(6) === 0) return undefined;
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(transport.length, 0);
  pseudo.writeUInt32BE(protocol, 4);
  return { of, isRight: isSound(ip.source, ip.address, pseudo, transport) };
}

function isSound(...parts: Buffer[]): boolean {
  return onesSum(parts) === 0xffff;
}

/**
 * Lists what is wrong with the checksums of a frame that the program sent. Checksums that
 * the program computed must be right. Those that it only updated must be right if they
 * were right before, and wrong if they were wrong.
 */
export function wrongSums(before: Buffer, after: Buffer, verdict: VerdictName): string[] {
  const asBefore = (): string[] => {
    const were = sumsOf(before);
    return wrong(sumsOf(after), (index) => were[index]?.isRight ?? false);
  };
  // A quote is as it came.
  const asMade = (): string[] =>
    wrong(
      sumsOf(after).filter(({ of }) => !of.startsWith('the quoted')),
      () => true,
    );
  switch (verdict) {
    case 'balanced':
      // Only a tunnel adds a header. Nat carries the sums over; by the link they stay.
      return packetIn(after) > packetIn(before) ? asMade() : asBefore();
    case 'too big told':
      return asMade();
    case 'echo answered':
    case 'answer passed':
    case 'answer sent':
      return asBefore();
    default:
      return [];
  }
}

/** The bytes behind Ethernet header and tags. */
function packetIn(frame: Buffer): number {
  return parseLink(frame)?.rest.length ?? 0;
}

/** Does the same for a decapsulated packet, whose IPv4 header ECN may have changed. */
export function wrongInnerSums(before: Buffer, after: Buffer): string[] {
  const [inner, link] = [parseLink(after), parseLink(before)];
  if (!inner || !link) return [];
  const headerLength = before.length - after.length;
  const rest = link.rest.subarray(headerLength);
  const [was] = sumsOfPacket({ rest, isIpv4: inner.isIpv4 });
  const [is] = sumsOfPacket(inner);
  if (is?.of !== 'the IPv4 header') return [];
  return wrong([is], () => was?.isRight ?? false);
}

function wrong(sums: readonly Sum[], shouldBe: (index: number) => boolean): string[] {
  return sums.flatMap(({ of, isRight }, index) => {
    if (isRight === shouldBe(index)) return [];
    const found = isRight ? 'right, and was wrong' : 'wrong';
    return [`checksum of ${of}: ${found}`];
  });
}
