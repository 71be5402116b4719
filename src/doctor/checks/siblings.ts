// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checks of a destination that sends on what is a sibling's. */
import { many } from '../../text/format.js';
import { append } from '../../text/lists.js';
import { Unseen } from '../../text/unseen.js';
import { parseAddress } from '../../wire/address.js';
import { formatNames, isInNames } from '../../wire/names.js';
import type { Check, Facts, Finding, Sending, SiblingFacts } from '../facts.js';
import { found, orWell, remark } from '../findings.js';

type Found = Omit<Finding, 'check'>;

export const checkSiblings: Check = (facts) => {
  const { sending, device } = facts;
  if (!sending) return undefined;
  const { siblings, self } = sending;
  const findings = [...overlaps(facts, sending), ...unnamed(facts, sending)];
  // If the device does not work, no sibling can answer.
  if (device.up && device.carrier) {
    append(
      findings,
      siblings.flatMap((one) => checkSibling(facts, sending, one)),
    );
  }
  const unseen = siblings.flatMap(({ neighbour }) =>
    neighbour instanceof Unseen ? [neighbour] : [],
  );
  if (findings.length === 0 && unseen[0]) return unseen[0];
  return orWell(
    findings,
    `it is ${self.join(', ')}, and sends on to ${many(siblings.length, 'sibling')}, whose MACs are right`,
  );
};

function checkSibling(facts: Facts, sending: Sending, sibling: SiblingFacts): Found[] {
  const { address, mac, hop, isLocal, neighbour } = sibling;
  const { name } = facts.device;
  if (isLocal) {
    return [
      found({
        finding: `the sibling ${address} is this host itself`,
        evidence: `ip route get ${address} says local; the host got the address after the program was loaded`,
        fix: reload(facts, sending),
      }),
    ];
  }
  if (hop === undefined) {
    return [
      remark({
        finding: `no route to the sibling ${address} over ${name}`,
        evidence: 'so neither its MAC nor whether it answers could be checked',
        fix: `ip route add ${address}/${address.includes(':') ? 128 : 32} via ROUTER dev ${name}`,
      }),
    ];
  }
  if (neighbour instanceof Unseen) return [];
  if (neighbour?.answers === 'no') {
    const whose = hop === address ? '' : `, the router towards the sibling ${address},`;
    return [
      found({
        finding: whose
          ? `${hop}${whose} does not answer`
          : `the sibling ${hop} does not answer`,
        evidence: `the kernel asked for its MAC on ${name}, and nobody answered; what is sent on to ${address} is lost`,
        fix: whose
          ? `ip route get ${address} oif ${name}, and check ${hop}`
          : `start ${hop}`,
      }),
    ];
  }
  if (neighbour?.mac === undefined || neighbour.mac === mac) return [];
  return [
    found({
      finding: `packets sent on to ${address} go to a wrong MAC`,
      evidence: `the program has ${mac}; ip neigh show dev ${name} has ${hop} at ${neighbour.mac}`,
      fix: `${reload(facts, sending)}, with the row ${address}, or ${address}, ${neighbour.mac}`,
    }),
  ];
}

/** A packet from such an address would be taken for one that names somebody. */
function overlaps({ addresses }: Facts, { names }: Sending): Found[] {
  return Object.values(names).flatMap((prefix) => {
    const inside = addresses.find((text) => {
      const address = parseAddress(text);
      return address !== undefined && isInNames(prefix, address);
    });
    if (inside === undefined) return [];
    return [
      found({
        finding: `the names ${formatNames(prefix)} overlap with an address of this host`,
        evidence: `${inside} lies in the prefix, in which nobody may have an address`,
        fix: 'give balancers and destinations another prefix with --names, or the host another address',
      }),
    ];
  });
}

function unnamed(facts: Facts, sending: Sending): Found[] {
  const gone = sending.self.filter((address) => !facts.addresses.includes(address));
  if (sending.self.length > 0 && gone.length === 0) return [];
  const which = gone.join(', ');
  return [
    found({
      finding: which
        ? `this host no longer has ${which}, by which it can be named`
        : 'no name means this host, so siblings cannot tell who sent a packet on',
      evidence: which
        ? `ip addr show does not list ${which}`
        : 'none of its addresses was in the files of --siblings when the program was loaded',
      fix: reload(facts, sending),
    }),
  ];
}

/** The command that reads names and siblings anew. */
function reload({ device }: Facts, { names }: Sending): string {
  const prefixes = Object.values(names).map(formatNames).join(' ');
  return `l4lb-load -i ${device.name} --decap --replace --names ${prefixes} --siblings FILE`;
}
