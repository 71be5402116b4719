// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Servers on this host, in words for people and as JSON for programs. */
import { addAddress, formatServer } from '../../plan/local-servers.js';
import type { ServerSeen } from '../steering.js';

/** What is in the way of packets for these servers. */
export function serverWarnings(servers: readonly ServerSeen[], device: string): string[] {
  const foreign = new Set(servers.flatMap((one) => one.foreign));
  return [
    ...servers.flatMap((one) => {
      const trouble = troubleOf(one, device);
      return trouble === undefined ? [] : [trouble];
    }),
    ...[...foreign].map(
      (address) =>
        `${address} is not an address of this host, so its packets reach no server here; ${addAddress(address)}`,
    ),
  ];
}

/** Why packets do not reach the server, or undefined. */
export function troubleOf(
  { server, listening }: ServerSeen,
  device: string,
): string | undefined {
  const name = formatServer(server);
  if (listening === 'listens') return undefined;
  return listening === 'nobody'
    ? `nobody listens on ${name} yet, so its packets are refused; l4lb watch -i ${device} notices when somebody does`
    : `packets for ${name} do not reach it: its socket is ${listening}`;
}

/** Nothing, where packets are for no server on this host. */
export function serversJson(servers: readonly ServerSeen[]): Record<string, unknown> {
  if (servers.length === 0) return {};
  return {
    servers: servers.map(({ server, listening }) => ({
      server: formatServer(server),
      destination: server.destination,
      listening,
    })),
  };
}
