// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Checks whether answers come through: what destinations behind another device answer often
 * comes back by it, and the kernel has to route it to the client. Its source is the
 * service's address, which this host may have itself.
 */
import { DEVICE_XDP_ANSWERS } from '../../abi/device.js';
import { many } from '../../text/format.js';
import type { Check, DestinationFacts, ExitFacts, Facts, Finding } from '../facts.js';
import { found, orWell, remark, serviceAddresses, some, works } from '../findings.js';
import { must } from '../../text/must.js';
import { answersComeBack } from '../../wire/forward.js';

type Found = Omit<Finding, 'check'>;

/** An exit that the check applies to, with the service addresses that answers come from. */
interface Way {
  name: string;
  destinations: string[];
  routing: NonNullable<ExitFacts['routing']>;
  sources: string[];
  answers: ReadonlyMap<string, number>;
  /** Whether XDP sends most answers, and the kernel only sees the others. */
  isSent: boolean;
}

export const checkWayBack: Check = (facts) => {
  const ways = waysBack(facts);
  if (ways.length === 0) return undefined;
  const local = facts.addresses;
  const findings = [
    ...unshared(facts),
    ...judge(ways, {
      isWrong: ({ routing }) => !routing.acceptLocal,
      counts: (source) => !isIpv6(source) && local.includes(source),
      isOfKernel: true,
      evidence: (names, sources) =>
        `${sources} is an address of this host, and accept_local is 0 on ${names}, so the kernel takes answers for forged`,
      fix: (name) => `net.ipv4.conf.${setting(name)}.accept_local=1`,
    }),
    ...judge(ways, {
      isWrong: ({ routing }) => routing.rpFilter === STRICT,
      counts: (source) => !isIpv6(source),
      isOfKernel: true,
      evidence: (names, sources) =>
        `rp_filter is strict on ${names}, and answers have ${sources} as their source, which the kernel reaches by another device`,
      fix: (name) => `net.ipv4.conf.${setting(name)}.rp_filter=2`,
    }),
    ...judge(ways, {
      isWrong: ({ routing }) => !routing.forwarding,
      counts: (source) => !isIpv6(source),
      evidence: (names) => `forwarding of IPv4 is off on ${names}`,
      fix: (name, { isRouter }) =>
        isRouter
          ? `net.ipv4.conf.${setting(name)}.forwarding=1`
          : 'net.ipv4.ip_forward=1',
    }),
    ...judge(ways, {
      isWrong: ({ routing }) => !routing.forwardingIpv6,
      counts: isIpv6,
      evidence: (names) => `forwarding of IPv6 is off, also on ${names}`,
      fix: () => 'net.ipv6.conf.all.forwarding=1',
    }),
  ];
  const [passed, sent] = (['answer passed', 'answer sent'] as const).map(
    (verdict) => facts.traffic?.verdicts.get(verdict) ?? 0,
  );
  const seen = ways.reduce((sum, { answers }) => sum + total(answers), 0);
  // Those that pass are seen behind the program, too.
  const came = Math.max(seen, passed ?? 0) + (sent ?? 0);
  const names = some(ways.map(({ name }) => name));
  return orWell(
    findings,
    came > 0
      ? `${many(came, 'answer')} came in by ${names}, and the kernel may route them`
      : `the kernel may route answers that come in by ${names}; none came during the check`,
  );
};

const STRICT = 1;

/**
 * What destinations by nat and full-nat answer must meet the program on the device that it comes in
 * by, and by link so must what XDP is to send.
 */
function unshared(facts: Facts): Found[] {
  const own = facts.device.name;
  return (facts.balancer?.exits ?? []).filter(works).flatMap((exit): Found[] => {
    const sender = must(exit.sender, 'the device that an exit sends by');
    const all = destinationsBehind(facts, exit);
    const behind = all.filter(({ forward }) => answersComeBack(forward));
    const linked = all.filter(({ forward }) => forward === 'link');
    if (isShared(facts, exit)) return [];
    if (behind.length === 0) {
      if (!canSend(facts, exit) || linked.length === 0) return [];
      const names = some([...new Set(linked.map(({ address }) => address))]);
      return [
        remark({
          finding: `the kernel sends what ${names} answer, and not XDP`,
          evidence: `it comes in by ${sender.name}, which does not run the program of ${own}`,
          fix: `l4lb-load -i ${sender.name} --share ${own}`,
        }),
      ];
    }
    const names = some([...new Set(behind.map(({ address }) => address))]);
    return [
      found({
        finding: `answers of ${names} are not turned back, so no client can use them`,
        evidence: `they come in by ${sender.name}, which does not run the program of ${own}, and only that puts the service's address back`,
        fix: `l4lb-load -i ${sender.name} --share ${own}`,
      }),
    ];
  });
}

function destinationsBehind(
  { balancer }: Facts,
  { destinations }: ExitFacts,
): DestinationFacts[] {
  return (balancer?.destinations ?? []).filter(({ address }) =>
    destinations.includes(address),
  );
}

/** Whether the program runs on the device that answers come in by. */
function isShared({ program }: Facts, { sender }: ExitFacts): boolean {
  return sender?.programs.some(({ id }) => id === program?.id) ?? false;
}

/** Whether XDP is to send answers, which it does of those without a VLAN tag. */
function canSend({ balancer }: Facts, { entry }: ExitFacts): boolean {
  const flags = balancer?.tables.device.flags ?? 0;
  return (flags & DEVICE_XDP_ANSWERS) !== 0 && entry.vlan === 0;
}

interface Fault {
  isWrong: (way: Way) => boolean;
  /** Whether the fault harms answers from this address. */
  counts: (source: string) => boolean;
  /** Whether it does not harm what XDP sends: that asks only for forwarding. */
  isOfKernel?: boolean;
  evidence: (names: string, sources: string) => string;
  /** The setting that fixes it. */
  fix: (name: string, routing: Way['routing']) => string;
}

/**
 * One finding for all devices with the same fault, and another for those where XDP sends
 * answers: only packets that it cannot send, such as fragments and ICMP errors, are lost.
 */
function judge(ways: readonly Way[], fault: Fault): Found[] {
  const wrong = ways
    .map((way) => ({ ...way, sources: way.sources.filter(fault.counts) }))
    .filter((way) => way.sources.length > 0 && fault.isWrong(way));
  const isSpared = ({ isSent }: Way): boolean => isSent && fault.isOfKernel === true;
  return [
    ...sayDropped(
      wrong.filter((way) => !isSpared(way)),
      fault,
      {
        drops: (from) => `the kernel drops what ${from} answer`,
        wouldDrop: (from) =>
          `the kernel would drop what ${from} answer, if it came through this host`,
        came: (count) => `${many(count, 'answer')} came in by it`,
        none: 'no answer came',
      },
    ),
    ...sayDropped(wrong.filter(isSpared), fault, {
      drops: (from) => `the kernel drops answers of ${from} that XDP leaves to it`,
      wouldDrop: (from) =>
        `the kernel would drop answers of ${from} that XDP leaves to it`,
      came: (count) => `${count} of them came to it`,
      none: 'none of them came to it',
    }),
  ];
}

/** How to say which answers are lost. */
interface Lost {
  drops: (from: string) => string;
  wouldDrop: (from: string) => string;
  came: (count: number) => string;
  none: string;
}

function sayDropped(
  wrong: readonly Way[],
  { evidence, fix }: Fault,
  words: Lost,
): Found[] {
  if (wrong.length === 0) return [];
  const came = wrong.reduce(
    (sum, { answers, sources }) =>
      sum + sources.reduce((some, one) => some + (answers.get(one) ?? 0), 0),
    0,
  );
  const from = some([...new Set(wrong.flatMap(({ destinations }) => destinations))]);
  const names = some(wrong.map(({ name }) => name));
  const text = evidence(
    names,
    some([...new Set(wrong.flatMap(({ sources }) => sources))]),
  );
  const settings = new Set(wrong.map(({ name, routing }) => fix(name, routing)));
  const command = `sysctl -w ${[...settings].join(' ')}`;
  if (came > 0) {
    return [
      found({
        finding: words.drops(from),
        evidence: `${text}; ${words.came(came)} during the check`,
        fix: command,
      }),
    ];
  }
  return [
    remark({
      finding: words.wouldDrop(from),
      evidence: `${text}; ${words.none} during the check`,
      fix: command,
    }),
  ];
}

function waysBack(facts: Facts): Way[] {
  return (facts.balancer?.exits ?? []).filter(works).flatMap((exit) => {
    const { number, routing, destinations, device } = exit;
    const addresses = destinations.flatMap((one) => serviceAddresses(facts, one));
    const sources = [...new Set(addresses)];
    if (!routing || sources.length === 0) return [];
    const came = facts.traffic?.exits.get(number)?.answers ?? [];
    const answers = new Map([...came].filter(([source]) => sources.includes(source)));
    const { name } = must(device, 'the device of an exit that works');
    const isSent =
      canSend(facts, exit) &&
      isShared(facts, exit) &&
      // Of a tunnel the program sees no answers.
      destinationsBehind(facts, exit).every(({ forward }) => forward !== 'tunnel');
    return [{ name, destinations, routing, sources, answers, isSent }];
  });
}

function total(answers: Way['answers']): number {
  return [...answers.values()].reduce((sum, count) => sum + count, 0);
}

function isIpv6(address: string): boolean {
  return address.includes(':');
}

/** A dot in a device's name is written as a slash, since sysctl takes dots for slashes. */
function setting(name: string): string {
  return name.replaceAll('.', '/');
}
