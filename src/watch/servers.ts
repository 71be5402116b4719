// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Follows servers on this host: one that was started again has another socket. */
import { encodeKey } from '../abi/bytes.js';
import { decodeDevice } from '../abi/device.js';
import { formatServer } from '../plan/local-servers.js';
import type { Attached } from '../program/find.js';
import { fillServers, findSteering } from '../program/steering.js';
import type { ServerSeen } from '../program/steering.js';
import type { Context } from '../program/tools.js';
import { decodeEntry, lookupLine, valueOf } from '../system/bpftool-text.js';
import { deviceLock, withLock } from '../system/lock.js';

/** The number of the present content of the tables. */
export async function readGeneration(
  { bpftool }: Pick<Context, 'bpftool'>,
  { maps }: Attached,
): Promise<number> {
  const [entry] = await bpftool.queries([lookupLine(maps.device, encodeKey(0))]);
  return decodeDevice(valueOf(decodeEntry(entry))).generation;
}

/**
 * Puts the servers' present sockets into the map. Returns whether all is as it was: the
 * tables, the program, and who listens.
 */
export async function followServers(
  tools: Context,
  attached: Attached,
  generation: number,
  servers: readonly ServerSeen[],
): Promise<boolean> {
  const { link } = attached;
  return withLock(tools.run, deviceLock(link), async (lock) => {
    // Somebody who filled the tables meanwhile has put others into the map.
    if ((await readGeneration(tools, attached)) !== generation) return false;
    const there = await findSteering(tools, link);
    if (!there) return false;
    const wanted = { servers: servers.map(({ server }) => server), lock };
    const now = await fillServers(tools, there.maps, wanted);
    return now.every((one, index) => isSame(one, servers[index]));
  });
}

function isSame(one: ServerSeen, other: ServerSeen | undefined): boolean {
  return (
    one.listening === other?.listening && String(one.foreign) === String(other.foreign)
  );
}

/** Those that listen now and did not before. */
export function comeBack(
  before: readonly ServerSeen[],
  now: readonly ServerSeen[],
): string[] {
  const silent = new Set(
    before
      .filter(({ listening }) => listening !== 'listens')
      .map(({ server }) => formatServer(server)),
  );
  return now
    .filter(({ listening }) => listening === 'listens')
    .map(({ server }) => formatServer(server))
    .filter((name) => silent.has(name))
    .map((name) => `${name}: listens`);
}
