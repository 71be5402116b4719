// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The hosts of the tests of other packets, the frames between them, and what comes of them. */
import { expect } from '@jest/globals';

import type { VerdictName } from '../../src/abi/verdicts.js';
import { IPIP, checksum, ethernet, ip } from '../frames.js';
import type { Fill, Outcome } from './program.js';

export const client = {
  ipv4: '192.0.2.7',
  ipv6: '2001:db8:c::7',
  mac: '02:00:00:00:00:01',
};
export const service = { ipv4: '203.0.113.10', ipv6: '2001:db8:5::10' };
export const balancer = {
  ipv4: '10.0.0.4',
  ipv6: '2001:db8:b::4',
  mac: '02:00:00:00:00:04',
};
export const destination = {
  ipv4: '10.0.1.15',
  ipv6: '2001:db8:d::15',
  mac: '02:00:0a:00:01:0f',
};
export const FAMILIES = ['ipv4', 'ipv6'] as const;
export type Family = (typeof FAMILIES)[number];

export const toBalancer = { to: balancer.mac, from: client.mac };
export const web = { from: 4242, to: 80 };

export function to(family: Family): { from: string; to: string } {
  return { from: client[family], to: service[family] };
}

export function filled(family: Family, more: Partial<Fill> = {}): Fill {
  return {
    destinations: { [destination[family]]: destination.mac },
    vips: [`${service.ipv4}:80`, `[${service.ipv6}]:80`],
    source: [balancer.ipv4, balancer.ipv6],
    mac: balancer.mac,
    ...more,
  };
}

/** Takes the outer header apart by hand: its fields, and what follows it. */
function takeApart(frame: Buffer, family: Family, tags = 0): Record<string, unknown> {
  const outer = frame.subarray(14 + tags * 4);
  const length = family === 'ipv6' ? 40 : 20;
  return family === 'ipv6'
    ? {
        version: outer.readUInt8(0) >> 4,
        tos: (outer.readUInt16BE(0) >> 4) & 0xff,
        length: outer.readUInt16BE(4) + length,
        protocol: outer.readUInt8(6),
        ttl: outer.readUInt8(7),
        from: outer.subarray(8, 24),
        to: outer.subarray(24, 40),
        inner: outer.subarray(length),
      }
    : {
        version: outer.readUInt8(0) >> 4,
        tos: outer.readUInt8(1),
        length: outer.readUInt16BE(2),
        protocol: outer.readUInt8(9),
        ttl: outer.readUInt8(8),
        from: outer.subarray(12, 16),
        to: outer.subarray(16, 20),
        inner: outer.subarray(length),
        ...(checksum(outer.subarray(0, 20)) === 0 ? {} : { checksum: 'wrong' }),
      };
}

/** Expects that a frame is sent to the destination unchanged, whatever it is. */
export function expectSent(
  outcome: Outcome,
  inner: Buffer,
  outer: Family,
  { tos = 0, protocol = IPIP, tags = [] as [number, number][] } = {},
): void {
  expect(outcome).toMatchObject({ action: 'TX', verdict: 'balanced' });
  const link = ethernet(
    { to: destination.mac, from: balancer.mac, tags },
    Buffer.alloc(0),
  );
  const linkLength = link.length - 2;
  expect(outcome.frame.subarray(0, linkLength)).toEqual(link.subarray(0, linkLength));
  expect(takeApart(outcome.frame, outer, tags.length)).toEqual({
    version: outer === 'ipv6' ? 6 : 4,
    tos,
    length: inner.length + (outer === 'ipv6' ? 40 : 20),
    protocol,
    ttl: 64,
    from: ip(balancer[outer]),
    to: ip(destination[outer]),
    inner,
  });
  expect(outcome.bytes).toBe(outcome.frame.length);
}

export function expectUntouched(
  outcome: Outcome,
  frame: Buffer,
  verdict: VerdictName,
): void {
  expect(outcome).toMatchObject({ verdict, bytes: frame.length, frame });
  expect(outcome.action).not.toBe('TX');
}

export const SINGLE: [number, number][] = [[0x8100, 7]];
export const DOUBLE: [number, number][] = [
  [0x88a8, 100],
  [0x8100, 7],
];
