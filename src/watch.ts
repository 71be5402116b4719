// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb watch: keeps MACs, exits and MTUs in the tables right while the network changes. */
import type { Mode } from './text/mode.js';
import { context } from './program/tools.js';
import { print, printJson, warn } from './system/output.js';
import { printableLine } from './text/printable.js';
import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import { modeOption } from './cli/options.js';
import { watchTables } from './watch/watch.js';

interface Flags {
  interface: string;
  mode?: Mode;
  json?: boolean;
}

export function watchCommand(): CliCommand {
  return newDeviceCommand(
    'watch',
    'Keep the tables right while neighbours, routes and devices change.',
  )
    .addOption(modeOption())
    .option('--json', 'print a line of JSON for each change')
    .explainedBy({
      notes: `It runs until you end it. The kernel is told to ask for all next hops again and again
(managed neighbours), and when one has another MAC, a route another device, or a device another
MAC or MTU, the entries that this concerns are written. No slot moves. A MAC or a device that
your file names stays as it is there. Packets for a server on this host go to the socket that
listens now, even if the server was started again.`,
      examples: ['l4lb watch -i eth0', 'l4lb watch -i eth0 --json'],
    })
    .action(watch);
}

async function watch({ interface: device, mode, json }: Flags): Promise<void> {
  const tools = context();
  await watchTables(tools, device, mode, ({ changes, troubles }) => {
    if (json)
      printJson({ time: new Date().toISOString(), interface: device, changes, troubles });
    else {
      changes.map(printableLine).forEach(print);
      troubles.map(printableLine).forEach(warn);
    }
  });
}
