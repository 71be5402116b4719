// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads the file, and finds in the tables and the network what it leaves open. */
import { checkOwn } from '../program/owner.js';
import type { Attached } from '../program/find.js';
import { readTables, sizesOf } from '../program/read.js';
import type { Context } from '../program/tools.js';
import type { WantedDaemon } from '../config/daemon.js';
import type { Config } from '../config/read.js';
import type { PreparedConfig } from '../fill/from-config.js';
import { planPrepared, prepareConfig, readConfig } from '../fill/from-config.js';
import { at } from '../text/must.js';
import type { Health, KnownOf } from './health.js';
import { makeHealth } from './health.js';
import { foundIn, givenIn, isToBeFound, withHop } from './live.js';

export interface Loaded extends Health {
  prepared: PreparedConfig;
}

/** Lays the way of the checks that need one. */
type Open = (prepared: PreparedConfig) => Promise<PreparedConfig>;

/** Throws a Failure if anything in the file is wrong; then nothing has changed. */
export async function loadFile(
  tools: Context,
  attached: Attached,
  file: string,
  knownOf: KnownOf,
  open: Open,
): Promise<Loaded & { wanted: WantedDaemon }> {
  const read = readConfig(file);
  const loaded = await loadConfig(tools, attached, read, knownOf, open);
  return { ...loaded, wanted: read.daemon };
}

/** The same of a config that was read already, and has no problems. */
export async function loadConfig(
  tools: Context,
  attached: Attached,
  read: Omit<Config, 'problems'>,
  knownOf: KnownOf,
  open: Open,
): Promise<Loaded> {
  await checkOwn(tools, attached);
  const tables = await readTables(tools.bpftool, attached.maps);
  const found = foundIn(tables);
  const config = {
    ...read,
    services: read.services.map((service) => ({
      ...service,
      rows: service.rows.map((row) => withHop(row, found)),
    })),
  };
  const can = sizesOf(attached.maps);
  const resolved = await prepareConfig(tools, attached.link, config, can);
  const withHops = {
    ...resolved,
    services: resolved.services.map((service, index) => ({
      ...service,
      destinations: service.destinations.map((one, place) => ({
        ...one,
        isFound: isToBeFound(at(at(read.services, index).rows, place)),
      })),
    })),
  };
  // Whatever the tables have no room for is a fault of the file, and changes nothing.
  await planPrepared(tools, attached.maps, withHops);
  const prepared = await open(withHops);
  const live = givenIn(tables, prepared.services);
  const health = makeHealth(prepared.services, live, knownOf, performance.now());
  return { ...health, prepared };
}
