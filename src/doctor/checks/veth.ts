// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checks of what happens to frames between the device, if it is a veth, and its other end. */
import { isLocal } from '../../plan/local-servers.js';
import { must } from '../../text/must.js';
import { Unseen } from '../../text/unseen.js';
import type { Balancer, Check, Finding } from '../facts.js';
import { found, isFinding, orWell, remark, within } from '../findings.js';

export const checkPeer: Check = ({ device, program, balancer, peer, ...facts }) => {
  if (!peer || !balancer || program?.mode !== 'xdpdrv') return undefined;
  const { traffic } = facts;
  if (!traffic) return undefined;
  const { drops } = traffic;
  const lost = drops instanceof Unseen ? 0 : sentBack(drops);
  const balanced = must(traffic.verdicts.get('balanced'), 'balanced');
  const isBypassed = leavesElsewhere(balancer);
  const what = isBypassed
    ? `what ${device.name} answers itself`
    : `what ${device.name} sends`;
  const finding = `${what} is dropped: its other end has no XDP program`;
  const ofLost =
    lost > 0 ? `${lost} frames could not be handed over during the check` : '';
  if (!peer.isSeen) {
    const unseen = 'its other end is in a namespace that cannot be seen from here';
    const fix = `at the other end: ip link set dev DEVICE xdpdrv obj ${facts.passObject} sec xdp`;
    if (lost > 0) return [found({ finding, evidence: `${ofLost}; ${unseen}`, fix })];
    if (isBypassed) return undefined;
    if (balanced > 0 && drops instanceof Unseen) {
      return new Unseen(`whether its other end accepts frames: ${drops.why}`);
    }
    if (balanced > 0) return 'its other end accepts the frames it is sent';
    return [
      remark({
        finding: `the other end of ${device.name} needs an XDP program too`,
        evidence: `${unseen}, and nothing was sent during the check`,
        fix,
      }),
    ];
  }
  const end = peer.device;
  const where = peer.namespace === undefined ? 'here' : `in ${peer.namespace}`;
  const has = end.programs.find((one) => one.mode === 'xdpdrv');
  if (has) return `its other end, ${end.name} ${where}, has ${has.name || 'a program'}`;
  const into = peer.namespace === undefined ? '' : `-n ${peer.namespace} `;
  const { peerOffloads: offloads } = facts;
  const hasGro = offloads !== undefined && !(offloads instanceof Unseen) && offloads.gro;
  const gro = hasGro
    ? '; it has GRO, which is not enough for what leaves by the device that it came in on'
    : '';
  const only =
    '; all destinations are behind other devices, so this is only about answers to pings and to packets that are too big';
  return [
    (isBypassed ? remark : found)({
      finding,
      evidence: `ip ${into}link show dev ${end.name} lists none in driver mode${ofLost && `; ${ofLost}`}${gro}${isBypassed ? only : ''}`,
      fix: `ip ${into}link set dev ${end.name} xdpdrv obj ${facts.passObject} sec xdp`,
    }),
  ];
};

/** Whether no packet for a destination leaves by the device that it came in on. */
function leavesElsewhere({ tables }: Balancer): boolean {
  const owned = [...tables.destinations.values()].filter(({ service }) => service !== 0);
  return owned.length > 0 && owned.every((one) => one.exit !== 0 || isLocal(one));
}

/** Frames that a veth could not give to its other end. */
function sentBack(drops: ReadonlyMap<string, number>): number {
  const counts = [...drops].filter(([name]) => /xdp_tx/.test(name));
  return counts.reduce((sum, [, rise]) => sum + rise, 0);
}

/** Whether what comes from the other end of a veth is as it would be on a wire. */
export const checkPeerOffloads: Check = (facts) => {
  const { device, program, balancer, peer, peerOffloads: offloads } = facts;
  if (!peer?.isSeen || !offloads || !balancer || !program) return undefined;
  // The kernel of this host takes what its own end would have completed.
  if (balancer.local && balancer.destinations.length === 0) return undefined;
  const { name } = device;
  const end = peer.device.name;
  if (offloads instanceof Unseen) {
    return new Unseen(
      `whether what ${end} sends to ${name} is complete: ${offloads.why}`,
    );
  }
  const says = within(peer.namespace, `ethtool -k ${end}`);
  const findings: Omit<Finding, 'check'>[] = [];
  if (offloads.tso && program.mode === 'xdpgeneric') {
    findings.push(
      found({
        finding: `TCP packets larger than the MTU come to ${name}, in generic mode: its other end leaves cutting them to ${name}`,
        evidence: `${says} says that tx-tcp-segmentation is on; the kernel turns it off where a program runs in driver mode only`,
        fix: within(peer.namespace, `ethtool -K ${end} tso off`),
      }),
    );
  }
  if (offloads.checksums) {
    findings.push(
      remark({
        finding: `what begins on this machine comes to ${name} without a checksum, so destinations drop it`,
        evidence: `${says} says that tx-checksumming is on; this matters only for packets that begin on this machine, or that GRO joined`,
        fix: within(peer.namespace, `ethtool -K ${end} tx off`),
      }),
    );
  }
  return orWell(findings, `what its other end, ${end}, sends is complete`);
};

/** Whether the device's own counters of drops rise. */
export const checkDrops: Check = (facts) => {
  const { device, peer, traffic } = facts;
  if (!traffic || isFinding(checkPeer(facts))) return undefined;
  const { name, mtu } = device;
  const { drops } = traffic;
  // Many drivers count none, which says nothing.
  if (drops instanceof Unseen) return undefined;
  if (drops.size === 0) return `${name} dropped nothing`;
  const end = peer?.isSeen && peer.device.mtu < mtu ? peer : undefined;
  const into = end?.namespace === undefined ? '' : `-n ${end.namespace} `;
  const rose = [...drops].map(([counter, rise]) => `${counter} rose by ${rise}`);
  return [
    found({
      finding: `${name} drops packets`,
      evidence:
        `during the check ${rose.join(', ')}` +
        (end
          ? `; the other end, ${end.device.name}, has an MTU of ${end.device.mtu}, and ${name} one of ${mtu}`
          : ''),
      fix: end
        ? `ip ${into}link set dev ${end.device.name} mtu ${mtu}`
        : `ethtool -S ${name} && ip -s link show dev ${name}, and read which counters rise`,
    }),
  ];
};
