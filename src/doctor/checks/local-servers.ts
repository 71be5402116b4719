// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checks whether packets for servers on this host reach them. */
import { addAddress } from '../../plan/local-servers.js';
import { many } from '../../text/format.js';
import { at } from '../../text/must.js';
import type { Check, Finding, LocalServerFacts } from '../facts.js';
import { fillCommand, found, orWell, some } from '../findings.js';

type Found = Omit<Finding, 'check'>;

export const checkLocalServers: Check = (facts) => {
  const { balancer, device } = facts;
  if (!balancer?.local || balancer.local.servers.length === 0) return undefined;
  const { servers, isSteered } = balancer.local;
  const watch = `l4lb watch -i ${device.name}`;
  const again = fillCommand(facts, at(servers, 0).service);
  const findings: Found[] = [];
  if (!isSteered) {
    findings.push(
      found({
        finding: 'packets for servers on this host reach none of them',
        evidence: 'the program that hands packets to servers is not attached',
        fix: again,
      }),
    );
  }
  for (const server of servers) {
    const trouble = troubleOf(server, watch, isSteered);
    if (trouble) findings.push(trouble);
  }
  const foreign = new Set(servers.flatMap((server) => server.foreign));
  for (const address of foreign) {
    findings.push(
      found({
        finding: `${address} is not an address of this host`,
        evidence: `ip route get ${address} says so, and the kernel gives servers only packets to its own addresses`,
        fix: addAddress(address),
      }),
    );
  }
  const names = servers.map(({ name }) => name);
  return orWell(findings, `${many(names.length, 'server')} on this host: ${some(names)}`);
};

function troubleOf(
  { name, destination, isListening, isKnown }: LocalServerFacts,
  watch: string,
  isSteered: boolean,
): Found | undefined {
  if (!isListening) {
    return found({
      finding: `nobody listens on ${name}`,
      evidence: `no socket of this host would take its packets, so those for ${destination} are refused`,
      fix: `start the server, and then ${watch}; or give ${destination} weight 0`,
    });
  }
  if (isKnown || !isSteered) return undefined;
  return found({
    finding: `packets for ${name} do not reach the server there`,
    evidence: 'it listens, but its socket was not there when the tables were filled',
    fix: `${watch}, which notices a server that starts; or fill again`,
  });
}
