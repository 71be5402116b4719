// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Keeps the tables of a device right while the network changes. The kernel hears of most
 * changes by itself. But a host that is replaced and says nothing keeps its old MAC in the
 * kernel's table for up to a minute, so all next hops are asked every second. One that
 * does not answer within that time is looked for by broadcast.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { checkOwn } from '../program/owner.js';
import { planRefresh } from '../plan/refresh.js';
import { attachedNow, findAttached } from '../program/find.js';
import type { Attached } from '../program/find.js';
import { readTables } from '../program/read.js';
import type { Context } from '../program/tools.js';
import { keepSteering } from '../program/steering.js';
import type { ServerSeen } from '../program/steering.js';
import { serverWarnings } from '../program/text/servers.js';
import { changesOf } from '../program/write.js';
import { Busy, deviceLock, withLock } from '../system/lock.js';
import { Monitor } from '../system/ip/monitor.js';
import { Neighbours } from '../system/ip/neighbours.js';
import { Failure } from '../text/failure.js';
import { append } from '../text/lists.js';
import type { Mode } from '../text/mode.js';
import { comeBack, followServers, readGeneration } from './servers.js';
import { look } from './look.js';
import type { Look } from './look.js';

/** What changed, and what is wrong that was not before. */
export interface Event {
  changes: string[];
  troubles: string[];
}

/** Milliseconds between two questions to all next hops, and two looks at the tables. */
const PERIOD = 1000;
/** Changes come in bursts, and one look is enough for each. */
const BURST = 50;

interface Refreshed {
  attached: Attached;
  /** Of the tables: rises when somebody fills them. */
  generation: number;
  changes: string[];
  looked: Look;
  /** Servers on this host that packets are for. */
  servers: ServerSeen[];
}

/** Runs until its process ends, or until the program is gone, which is a failure. */
export async function watchTables(
  tools: Context,
  device: string,
  mode: Mode | undefined,
  tell: (event: Event) => void,
): Promise<never> {
  const monitor = await Monitor.start();
  try {
    let attached = await findAttached(tools, device, mode);
    await checkOwn(tools, attached);
    let told = new Set<string>();
    let managed = '';
    let servers: ServerSeen[] = [];
    const follow = async (): Promise<void> => {
      const done = await refresh(tools, attached);
      const { looked } = done;
      const changes = [...done.changes, ...comeBack(servers, done.servers)];
      servers = done.servers;
      const troubles = looked.troubles.filter((one) => !told.has(one));
      told = new Set(looked.troubles);
      const hops = JSON.stringify([...looked.hops]);
      if (hops !== managed) append(troubles, await manage(tools, looked));
      managed = hops;
      if (changes.length + troubles.length > 0) tell({ changes, troubles });
      if (looked.troubles.length > 0) await ask(tools, looked);
      await untilChange(tools, monitor, done);
      attached = await attachedNow(tools, done.attached);
    };
    for (;;) {
      try {
        await follow();
      } catch (error) {
        if (!(error instanceof Busy)) throw error;
        // It will end some time, and the network can be looked at then.
        tell({ changes: [], troubles: [error.message] });
      }
    }
  } finally {
    monitor.close();
  }
}

/** Asks the next hops again and again until the network changes, or the tables do. */
async function untilChange(
  tools: Context,
  monitor: Monitor,
  { attached, generation, looked, servers }: Refreshed,
): Promise<void> {
  while (!(await monitor.change(PERIOD))) {
    await ask(tools, looked);
    const isSame =
      servers.length > 0
        ? await followServers(tools, attached, generation, servers)
        : (await readGeneration(tools, attached)) === generation;
    if (!isSame) return;
    const { programs } = await tools.ip.link(attached.link.name);
    if (programs.every(({ id }) => id !== attached.program)) return;
  }
  await sleep(BURST);
}

async function refresh(tools: Context, known: Attached): Promise<Refreshed> {
  const link = await tools.ip.link(known.link.name);
  return withLock(tools.run, deviceLock(link), async (lock) => {
    const attached = await attachedNow(tools, { ...known, link });
    const tables = await readTables(tools.bpftool, attached.maps);
    const looked = await look(tools, link, tables);
    const { generation } = tables.device;
    const done: Omit<Refreshed, 'changes'> = {
      ...{ attached, generation, looked, servers: [] },
    };
    try {
      const maps = Object.values(attached.maps);
      done.servers = await keepSteering(tools, [tables], { device: link, maps, lock });
      append(looked.troubles, serverWarnings(done.servers, link.name));
      const { writes, changes } = planRefresh(tables, looked.seen);
      if (writes.length > 0) {
        await tools.bpftool.write(changesOf(attached.maps, writes, new Map()), lock);
        const last = writes.findLast((write) => write.map === 'device');
        done.generation = last?.value.generation ?? generation;
      }
      return { ...done, changes };
    } catch (error) {
      // A device may go after the look. The other entries must still be kept.
      if (!(error instanceof Failure)) throw error;
      looked.troubles.push(error.message);
      return { ...done, changes: [] };
    }
  });
}

async function ask({ run }: Context, { hops }: Look): Promise<void> {
  const neighbours = new Neighbours(run);
  for (const [device, there] of hops) await neighbours.ask(device, there, true);
}

/** Makes the kernel keep the neighbours by itself too; says for which it does not. */
async function manage({ run }: Context, { hops }: Look): Promise<string[]> {
  const neighbours = new Neighbours(run);
  const left: string[] = [];
  for (const [device, there] of hops)
    append(left, await neighbours.manage(device, there));
  return left.map(
    (hop) =>
      `the kernel does not keep ${hop} by itself; Linux 5.16 with iproute2 5.16 does`,
  );
}
