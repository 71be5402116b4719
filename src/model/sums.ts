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
import { isIcmp, isWholeIcmp } from './icmp.js';
import type { Link } from './parse.js';
import { parseIp, parseLink } from './parse.js';

export interface Sum {
  of: 'the IPv4 header' | 'ICMP' | 'ICMPv6';
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
  if (!isIcmp(ip) || !isWholeIcmp(rest, ip)) return sums;
  const message = rest.subarray(ip.end, ip.length);
  const pseudo = pseudoHeader(ip.source, ip.address, message.length);
  return isIpv4(ip.address)
    ? [...sums, { of: 'ICMP', isRight: isSound(message) }]
    : [...sums, { of: 'ICMPv6', isRight: isSound(pseudo, message) }];
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
  const asMade = (): string[] => wrong(sumsOf(after), () => true);
  switch (verdict) {
    case 'balanced':
      // Only a tunnel adds a header; what goes by the link has the sums that it came with.
      return packetIn(after) > packetIn(before) ? asMade() : asBefore();
    case 'too big told':
      return asMade();
    case 'echo answered':
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
