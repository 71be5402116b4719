// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checks of the devices that packets leave by, if they came in on another one. */
import { formatMac } from '../../wire/address.js';
import { many } from '../../text/format.js';
import { must } from '../../text/must.js';
import { Unseen } from '../../text/unseen.js';
import type { Device } from '../../system/ip/namespaces.js';
import type { Check, ExitFacts, Facts, Finding } from '../facts.js';
import { fillCommand, found, orWell, remark, some, within, works } from '../findings.js';

type Found = Omit<Finding, 'check'>;

/** Whether the devices are as the table has them. */
export const checkExits: Check = (facts) => {
  const exits = facts.balancer?.exits ?? [];
  if (exits.length === 0) return undefined;
  const names = exits.flatMap(({ device }) => device?.name ?? []);
  return orWell(
    exits.flatMap((exit) => notAsInTable(facts, exit)),
    `packets leave by ${some(names)}, as the table says`,
  );
};

function notAsInTable(facts: Facts, exit: ExitFacts): Found[] {
  const { device, sender, entry, isLost, destinations, services } = exit;
  const to = `packets to ${some(destinations)}`;
  const again = fillCommand(facts, services[0]);
  if (!device || !sender) return [gone(facts, exit)];
  const { name } = device;
  if (isLost) {
    return [
      found({
        finding: `the program has lost ${name}, by which ${to} leave`,
        evidence: `${name} is there, but it was removed, or moved to another namespace, since the table was filled${dropped(facts)}`,
        fix: again,
      }),
    ];
  }
  const broken = [sender, device].find(({ up, carrier }) => !up || !carrier);
  if (broken) return [notWorking(exit, broken, to)];
  const mac = formatMac(entry.mac);
  const findings: Found[] = [];
  if (entry.mtu !== device.mtu) {
    const isLess = device.mtu < entry.mtu;
    findings.push(
      (isLess ? found : remark)({
        finding: `the MTU of ${name}, by which ${to} leave, is ${isLess ? 'smaller' : 'larger'} than the table says`,
        evidence: `the device has ${device.mtu}, the table was filled for ${entry.mtu}`,
        fix: again,
      }),
    );
  }
  if (mac !== device.mac) {
    findings.push(
      remark({
        finding: `the MAC of ${name}, by which ${to} leave, is not the one in the table`,
        evidence: `the device has ${device.mac} and the table ${mac}, so frames carry a foreign source, which a switch may drop`,
        fix: again,
      }),
    );
  }
  return findings;
}

function gone(facts: Facts, { entry, destinations, services, routed }: ExitFacts): Found {
  const { ifindex, vlan } = entry;
  const tag = vlan === 0 ? '' : ` with VLAN ${vlan}`;
  const now =
    routed.length > 0
      ? `; the kernel reaches them by ${some(routed)} now`
      : `; the kernel has no route to them either`;
  const again = fillCommand(facts, services[0]);
  return found({
    finding: `the device that packets to ${some(destinations)} leave by is gone`,
    evidence: `the table has the device with the number ${ifindex}${tag}, and ip link does not list it${now}${dropped(facts)}`,
    fix:
      routed.length > 0
        ? again
        : `ip route get ${destinations[0] ?? ''}, and when it names a device: ${again}`,
  });
}

function dropped({ traffic }: Facts): string {
  const count = traffic?.verdicts.get('exit gone') ?? 0;
  return count > 0 ? `; ${many(count, 'packet')} were dropped during the check` : '';
}

function notWorking({ peer }: ExitFacts, { name, up }: Device, to: string): Found {
  if (!up) {
    return found({
      finding: `${name}, by which ${to} leave, is down`,
      evidence: `ip link show dev ${name} does not say UP`,
      fix: `ip link set dev ${name} up`,
    });
  }
  const end = peer?.isSeen ? peer : undefined;
  const where = end?.namespace === undefined ? '' : `-n ${end.namespace} `;
  return found({
    finding: `${name}, by which ${to} leave, has no carrier`,
    evidence: `ip link show dev ${name} does not say LOWER_UP: nothing is at its other end`,
    fix: end
      ? `ip ${where}link set dev ${end.device.name} up`
      : 'plug in the cable, or enable the switch port',
  });
}

/** One device sends what leaves by all VLAN devices on it. */
function bySender({ balancer }: Facts): [Device, ExitFacts[]][] {
  const senders = new Map<string, [Device, ExitFacts[]]>();
  for (const exit of (balancer?.exits ?? []).filter(works)) {
    const sender = must(exit.sender, 'the device that an exit sends by');
    const [, others] = senders.get(sender.name) ?? [sender, []];
    senders.set(sender.name, [sender, [...others, exit]]);
  }
  return [...senders.values()];
}

/** Packets to the destinations, and packets that the device counted as sent. */
function countsOf(
  { traffic }: Facts,
  exits: readonly ExitFacts[],
): { balanced: number; sent: number } {
  const all = exits.flatMap(({ number }) => traffic?.exits.get(number) ?? []);
  return {
    balanced: all.reduce((sum, one) => sum + one.balanced, 0),
    sent: all[0]?.sent ?? 0,
  };
}

/** Counters are not read at the same moment, so a few may differ. */
const LEAST_LOST = 10;

/** Whether the other end of a veth takes what XDP sends: with a program, or with GRO. */
export const checkExitVeth: Check = (facts) => {
  const findings: Found[] = [];
  const taking: string[] = [];
  const unseen: string[] = [];
  for (const [{ name }, exits] of bySender(facts)) {
    const { peer, gro } = exits[0] as ExitFacts;
    if (!peer) continue;
    const { balanced, sent } = countsOf(facts, exits);
    const isLost = balanced > LEAST_LOST && sent < balanced / 2;
    const lost = `${many(balanced, 'packet')} were balanced to it during the check, and it sent ${sent}`;
    const finding = `what leaves by ${name} is lost: its other end has neither an XDP program nor GRO`;
    if (!peer.isSeen) {
      const why = 'its other end is in a namespace that cannot be seen from here';
      if (isLost) {
        const fix = 'at the other end: ethtool -K DEVICE gro on';
        findings.push(found({ finding, evidence: `${lost}; ${why}`, fix }));
      } else if (balanced > 0) taking.push(name);
      else unseen.push(`whether ${name} can send: ${why}, and nothing was sent`);
      continue;
    }
    const { device, namespace } = peer;
    if (device.programs.some(({ mode }) => mode === 'xdpdrv') || gro === true) {
      taking.push(name);
    } else if (gro instanceof Unseen) {
      unseen.push(
        `whether ${device.name}, the other end of ${name}, has GRO: ${gro.why}`,
      );
    } else {
      const into = namespace === undefined ? '' : `-n ${namespace} `;
      findings.push(
        found({
          finding,
          evidence: `ip ${into}link show dev ${device.name} lists no program in driver mode, and ethtool -k says that GRO is off${isLost ? `; ${lost}` : ''}`,
          fix: within(namespace, `ethtool -K ${device.name} gro on`),
        }),
      );
    }
  }
  if (findings.length > 0) return findings;
  if (unseen.length > 0) return new Unseen(unseen.join('; '));
  if (taking.length === 0) return undefined;
  return `the other end of ${some(taking)} takes what XDP sends`;
};

/** Whether the devices' own counters of drops rise. */
export const checkExitDrops: Check = (facts) => {
  const { traffic } = facts;
  const senders = bySender(facts);
  if (!traffic || senders.length === 0) return undefined;
  const findings: Found[] = [];
  for (const [{ name }, exits] of senders) {
    const { number, peer, entry } = exits[0] as ExitFacts;
    const rises = [...(traffic.exits.get(number)?.drops ?? [])];
    if (rises.length === 0) continue;
    const end = peer?.isSeen && peer.device.mtu < entry.mtu ? peer : undefined;
    const where = end?.namespace === undefined ? '' : `-n ${end.namespace} `;
    findings.push(
      found({
        finding: `${name} drops packets that leave by it`,
        evidence:
          `during the check ${rises.map(([counter, rise]) => `${counter} rose by ${rise}`).join(', ')}` +
          (end
            ? `; the other end, ${end.device.name}, has an MTU of ${end.device.mtu}, and ${name} one of ${entry.mtu}`
            : ''),
        fix: end
          ? `ip ${where}link set dev ${end.device.name} mtu ${entry.mtu}`
          : `ethtool -S ${name} && ip -s link show dev ${name}, and read which counters rise`,
      }),
    );
  }
  if (findings.length > 0) return findings;
  const names = senders.map(([{ name }]) => name);
  for (const [{ name }, exits] of senders) {
    const unseen = traffic.exits.get((exits[0] as ExitFacts).number)?.unseen;
    if (unseen) return new Unseen(`whether ${name} drops what XDP sends: ${unseen.why}`);
  }
  return `${some(names)} dropped nothing`;
};
