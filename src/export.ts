// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb export: prints the tables as a config file. */
import type { Mode } from './text/mode.js';
import { context } from './program/tools.js';
import { print } from './system/output.js';
import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import { modeOption } from './cli/options.js';
import { findAttached, mapsNow } from './program/find.js';
import { deviceLock, withLock } from './system/lock.js';

interface Flags {
  interface: string;
  mode?: Mode;
}

export function exportCommand(): CliCommand {
  return newDeviceCommand('export', 'Print the tables as a config file.')
    .addOption(modeOption())
    .explainedBy({ examples: ['l4lb export -i eth0 > l4lb.toml'] })
    .action(exportTables);
}

export async function exportTables(flags: Flags): Promise<void> {
  const tools = context();
  // The code that reads and writes TOML takes a while to load.
  const { readExport } = await import('./fill/from-config.js');
  const attached = await findAttached(tools, flags.interface, flags.mode);
  // Under the lock, so that it reads no half-finished state.
  const text = await withLock(tools.run, deviceLock(attached.link), async () =>
    readExport(tools, await mapsNow(tools, attached)),
  );
  print(text.trimEnd());
}
