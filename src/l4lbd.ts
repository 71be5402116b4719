// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lbd: keeps a device balanced among those destinations that serve. */
import { join } from 'node:path';
import { Option } from 'commander';

import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import { runDaemon } from './cli/daemon.js';
import { modeOption } from './cli/options.js';
import { Control } from './daemon/control.js';
import { context } from './program/tools.js';
import { nameInNamespace } from './system/daemon-socket.js';
import { UsageFailure } from './text/failure.js';
import type { Mode } from './text/mode.js';

/** What its second process runs, which needs no right to anything but sockets. */
export { serveChecks } from './checks/serve.js';

interface Flags {
  interface: string;
  config: string;
  mode?: Mode;
  state: string;
}

const NOTES = `It fills the tables from the file, asks the destinations of each service that has a check
whether they serve, and moves the slots of those that do not. Program and tables stay as they
are when it ends. SIGHUP makes it read the file again; a file with a fault changes nothing.
What happens is printed as a line of JSON for each event. l4lb ctl asks it how all is, and
drains destinations.`;

export function l4lbdCommand(): CliCommand {
  return newDeviceCommand('l4lbd', 'Balance among the destinations that serve.')
    .addOption(
      new Option(
        '-c, --config <file>',
        'all services, as in l4lb.example.toml',
      ).makeOptionMandatory(),
    )
    .addOption(modeOption())
    .addOption(
      new Option(
        '--state <folder>',
        'where it keeps what hands decided, and the states of destinations',
      ).default('/var/lib/l4lb'),
    )
    .asService()
    .explainedBy({
      notes: NOTES,
      examples: ['l4lbd -i eth0 -c /etc/l4lb/l4lb.toml'],
    })
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const { interface: device, config: file, mode, state } = flags;
  if (file === '-') {
    throw new UsageFailure('the config file cannot be stdin', {
      cause: 'l4lbd reads it again at each SIGHUP',
      next: 'name a file, such as /etc/l4lb/l4lb.toml',
    });
  }
  const tools = context();
  const saved = join(state, `${nameInNamespace(device)}.json`);
  await runDaemon(
    tools,
    device,
    mode,
    (journal) =>
      new Control(tools, { device, file, mode, saved, user: undefined }, journal),
  );
}
