// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb fleet run: l4lbd, as a node of a fleet. */
import { fstatSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { Daemon } from '../../daemon/daemon.js';
import { isJournal, priorityOf } from '../../daemon/priority.js';
import { checkName } from '../../fleet/agreement/keys.js';
import { FleetNode } from '../../fleet/node.js';
import { context } from '../../program/tools.js';
import { nameInNamespace } from '../../system/daemon-socket.js';
import { alone, deviceLock } from '../../system/lock.js';
import { print, toJson } from '../../system/output.js';
import { Fault, tryParse } from '../../text/fault.js';
import { UsageFailure } from '../../text/failure.js';
import type { FleetFlags } from './store.js';
import { openFleet } from './store.js';

export async function runNode(flags: FleetFlags): Promise<void> {
  const { interface: device, mode, fleet, table, announce, listen, tokenFile } = flags;
  if (device === undefined) {
    throw new UsageFailure('run on which device?', {
      next: 'add -i DEVICE, such as eth0',
    });
  }
  if (tokenFile !== undefined && listen === undefined) {
    throw new UsageFailure('--token-file is only for --listen', { next: 'add --listen' });
  }
  const name = flags.node ?? ownName();
  const tools = context();
  const { store, keys } = openFleet(flags);
  const saved = join(flags.state, `fleet-${fleet}-${nameInNamespace(device)}.json`);
  const options = {
    ...{ device, mode, store, keys, fleet, name, saved, user: undefined },
    table: announce ? table : undefined,
    daemon: { listen, tokenFile },
  };
  const isInJournal = isJournal(
    process.env.JOURNAL_STREAM,
    fstatSync(1, { bigint: true }),
  );
  const daemon = new Daemon(
    tools,
    { device, mode },
    (journal) => new FleetNode(tools, options, journal),
    (entry) => {
      const line = toJson(entry);
      print(isInJournal ? `<${priorityOf(entry)}>${line}` : line);
    },
  );
  const stop = (): void => {
    daemon.stop();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    const link = await tools.ip.link(device);
    await alone(tools.run, deviceLock(link), 'l4lbd', () => daemon.run());
  } finally {
    // The watch has no end of its own. A failure is reported before that.
    setImmediate(() => process.exit());
  }
}

function ownName(): string {
  const name = tryParse(() => checkName(hostname(), 'a node'));
  if (!(name instanceof Fault)) return name;
  throw new UsageFailure(name.message, { next: 'add --node NAME' });
}
