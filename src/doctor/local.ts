// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Finds out about the servers on this host that packets are for. */
import { encodeServer } from '../abi/steer.js';
import { formatServer, localServersIn } from '../plan/local-servers.js';
import type { Tables } from '../plan/state.js';
import { findSteering, lookAtServers, readKnown } from '../program/steering.js';
import type { Context } from '../program/tools.js';
import type { Device } from '../system/ip/namespaces.js';
import type { LocalFacts } from './facts.js';

export async function readLocal(
  tools: Context,
  device: Device,
  tables: Tables,
): Promise<LocalFacts | undefined> {
  const servers = localServersIn(tables);
  if (servers.length === 0) return undefined;
  const steering = await findSteering(tools, device);
  const known = steering ? await readKnown(tools, steering) : new Set<string>();
  const seen = await lookAtServers(tools, servers);
  return {
    isSteered: steering !== undefined,
    servers: seen.map(({ server, listening, foreign }) => ({
      name: formatServer(server),
      destination: server.destination,
      service: server.service,
      isListening: listening === 'listens',
      isKnown: known.has(encodeServer(server).toString('hex')),
      foreign,
    })),
  };
}
