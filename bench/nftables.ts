// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What nftables offers in our place, as its users would write it: a hash of source
 * address and port chooses one of so many destinations. Pure.
 */
import type { Target } from './iperf.js';
import { DEVICE, SERVICE } from './wire.js';

/** No table, no chain and no rule that is not needed; the first two matches are ours, too. */
const MATCH = `ip daddr ${SERVICE.ipv4} udp dport ${SERVICE.port}`;

function hashed(count: number, value: (index: number) => string): string {
  const map = Array.from({ length: count }, (_, i) => `${i} : ${value(i)}`);
  return `jhash ip saddr . udp sport mod ${count} seed 1 map { ${map.join(', ')} }`;
}

/**
 * The nearest to what we do: at the first hook there is, with no connection tracking
 * and no routing, the frame gets another MAC and leaves by the same device. The
 * destinations must be on the same network and have the service's address.
 */
export function forwardRules(count: number): string {
  const macs = hashed(count, (i) => `02:00:00:00:01:${i.toString(16).padStart(2, '0')}`);
  return `table netdev bench {
  chain ingress {
    type filter hook ingress device ${DEVICE} priority 0; policy accept;
    ${MATCH} ether daddr set ${macs} fwd to ${DEVICE}
  }
}
`;
}

/** The usual way: another address for each connection, which the kernel keeps in mind. */
export function dnatRules(count: number): string {
  const addresses = hashed(count, (i) => `10.1.0.${i}`);
  return `table ip bench {
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    ${MATCH} dnat to ${addresses}
  }
}
`;
}

/** What a gateway has that sends a port of its own on to a destination. */
export function dnatTo({ address, port }: Target, destination: string): string {
  return `table ip bench {
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr ${address} tcp dport ${port} dnat to ${destination}
  }
}
`;
}
