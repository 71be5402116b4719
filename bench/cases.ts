// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What is measured, in the order in which it is told. */
import { ANSWERED, PORTS_TAKEN } from './nat.js';
import type { SubjectName } from './subjects.js';
import { MOST_HELD } from './subjects.js';
import type { Traffic } from './traffic.js';
import { USUAL_TRAFFIC } from './traffic.js';

export interface Case {
  group: string;
  name: string;
  subject: SubjectName;
  /** Measured in front of it each time, with the same packets; undefined: it is a floor itself. */
  floor: SubjectName | undefined;
  traffic: Traffic;
  /** Packets that have to come first, and are not measured. */
  before: Traffic | undefined;
}

type Different = Partial<Omit<Case, 'traffic' | 'before'>> & {
  traffic?: Partial<Traffic>;
  before?: Partial<Traffic>;
};

function one(group: string, name: string, different: Different = {}): Case {
  const { before, ...others } = different;
  return {
    group,
    name,
    subject: 'host',
    floor: 'floor',
    ...others,
    traffic: { ...USUAL_TRAFFIC, ...others.traffic },
    before: before && { ...USUAL_TRAFFIC, ...before },
  };
}

/** The largest that fit an MTU of 1500 with an outer header of IPv4. */
const FULL = 1494;
/** Connections that began here: in a second no more are put on record than 32,768. */
function begun(flows: number): Different {
  return {
    subject: 'hot',
    traffic: { kind: 'tcp', flows },
    before: { kind: 'syn', flows },
  };
}

/** What deciding costs over plain decapsulation of the same packets. */
function decided(name: string, traffic: Partial<Traffic>): Case {
  return one('at a destination', `${name}: over decapsulation`, {
    subject: 'deciding',
    floor: 'decapsulating',
    traffic: { kind: 'tcp', isEncapsulated: true, ...traffic },
  });
}

function held(flows: number): Partial<Traffic> {
  return { isNamed: true, isHeld: true, flows };
}

/** What destinations answer, all to one client. */
const ANSWERS: Partial<Traffic> = { kind: 'tcp', isHeld: true, flows: ANSWERED };

/** The same, to ports of full-nat. */
const TO_PORTS: Partial<Traffic> = { kind: 'tcp', isToPorts: true, flows: PORTS_TAKEN };

export const CASES: readonly Case[] = [
  one('builds', 'floor: MACs swapped', { subject: 'floor', floor: undefined }),
  one('builds', 'host'),
  one('builds', 'portable', { subject: 'portable' }),
  one('packets', 'TCP', { traffic: { kind: 'tcp' } }),
  one('packets', 'TCP, SYN flood', { traffic: { kind: 'syn' } }),
  one('packets', 'full frames', { traffic: { size: FULL } }),
  one('packets', '1 flow', { traffic: { flows: 1 } }),
  one('packets', '1,000 flows', { traffic: { flows: 1000 } }),
  one('packets', '1,000,000 flows', { traffic: { flows: 1_000_000 } }),
  one('packets', 'IPv6 in IPv6', {
    subject: 'ipv6 in ipv6',
    traffic: { family: 'ipv6' },
  }),
  one('packets', 'IPv4 in IPv6', { subject: 'ipv4 in ipv6' }),
  one('ways to forward', 'through a tunnel'),
  one('ways to forward', 'by the link', { subject: 'the link' }),
  one('ways to forward', 'by the link, portable', { subject: 'portable, the link' }),
  one('ways to forward', 'through a tunnel, by another device', {
    subject: 'another device',
  }),
  one('ways to forward', 'by the link, by another device', {
    subject: 'another device, the link',
  }),
  one('ways to forward', "by the link, answers sent by the kernel's routes", {
    ...{ subject: 'the link, answers', traffic: ANSWERS },
  }),
  one('ways to forward', 'by the link, answers passed to the host', {
    ...{ subject: 'the link, answers passed', floor: 'passing', traffic: ANSWERS },
  }),
  one('ways to forward', 'nat', { subject: 'nat' }),
  one('ways to forward', 'nat, TCP', { subject: 'nat', traffic: { kind: 'tcp' } }),
  one('ways to forward', 'nat, 1,000 flows', {
    subject: 'nat',
    traffic: { flows: 1000 },
  }),
  one('ways to forward', 'nat, by another device', { subject: 'another device, nat' }),
  one('ways to forward', "nat, answers sent by the kernel's routes", {
    subject: 'nat, answers',
    traffic: ANSWERS,
  }),
  one('ways to forward', 'nat, answers passed to the host', {
    ...{ subject: 'nat, answers passed', floor: 'passing', traffic: ANSWERS },
  }),
  one('ways to forward', 'full-nat, 1,000 flows', {
    subject: 'full-nat',
    traffic: { flows: 1000 },
  }),
  one('ways to forward', 'full-nat, TCP, 1,000 flows', {
    subject: 'full-nat',
    traffic: { kind: 'tcp', flows: 1000 },
    before: { kind: 'syn', flows: 1000 },
  }),
  one('ways to forward', 'full-nat, each packet a new connection', {
    subject: 'full-nat, flooded',
    traffic: { kind: 'syn' },
  }),
  one('ways to forward', 'full-nat, answers passed to the host', {
    ...{ subject: 'full-nat, answers passed', floor: 'passing', traffic: TO_PORTS },
  }),
  one('hot slots', 'TCP, SYN flood', {
    subject: 'hot, flooded',
    traffic: { kind: 'syn' },
  }),
  one('hot slots', 'TCP, 1,000 flows that began here', begun(1000)),
  one('hot slots', 'TCP, 30,000 flows that began here', begun(30_000)),
  one('hot slots', 'TCP, flows that began before', {
    subject: 'hot',
    traffic: { kind: 'tcp' },
  }),
  one('hot slots', 'UDP', { subject: 'hot' }),
  one('hot slots', 'TCP, destinations decide', {
    subject: 'hot, named',
    traffic: { kind: 'tcp' },
  }),
  one('hot slots', 'TCP, SYN flood, destinations decide', {
    subject: 'hot, named',
    traffic: { kind: 'syn' },
  }),
  one('hot slots', 'portable, TCP, destinations decide', {
    subject: 'portable, hot',
    traffic: { kind: 'tcp' },
  }),
  one('hot slots', 'portable, TCP, cold', {
    subject: 'portable',
    traffic: { kind: 'tcp' },
  }),
  one('tables', '1 destination', { subject: 'one destination' }),
  one('tables', '512 destinations', { subject: '512 destinations' }),
  one('tables', '4,096 destinations', { subject: '4,096 destinations' }),
  one('tables', '64 services of 1,024 slots', {
    subject: '64 services',
    traffic: { services: 64 },
  }),
  one('at a destination', 'floor: passed', {
    subject: 'passing',
    floor: undefined,
    traffic: { isEncapsulated: true },
  }),
  one('at a destination', 'decapsulation', {
    subject: 'decapsulating',
    floor: 'passing',
    traffic: { isEncapsulated: true },
  }),
  decided('cold', {}),
  decided('hot, SYN flood', { kind: 'syn', isNamed: true }),
  decided('hot, 1,024 flows with sockets', held(1024)),
  decided('hot, 16,384 flows with sockets', held(MOST_HELD)),
  one('in its place', 'nftables, jhash to a MAC', { subject: 'nftables, forward' }),
  one('in its place', 'nftables, jhash to DNAT, 1,000 flows', {
    subject: 'nftables, DNAT',
    traffic: { flows: 1000 },
  }),
  one('in its place', 'nftables, jhash to DNAT', { subject: 'nftables, DNAT' }),
];
