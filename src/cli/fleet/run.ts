// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb fleet run: l4lbd, as a node of a fleet. */
import { hostname } from 'node:os';
import { join } from 'node:path';

import { checkName } from '../../fleet/agreement/keys.js';
import { runDaemon } from '../daemon.js';
import { FleetNode } from '../../fleet/node.js';
import { context } from '../../program/tools.js';
import { nameInNamespace } from '../../system/daemon-socket.js';
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
  await runDaemon(
    tools,
    device,
    mode,
    (journal) => new FleetNode(tools, options, journal),
  );
}

function ownName(): string {
  const name = tryParse(() => checkName(hostname(), 'a node'));
  if (!(name instanceof Fault)) return name;
  throw new UsageFailure(name.message, { next: 'add --node NAME' });
}
