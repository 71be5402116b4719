// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb settle: turns hot slots cold if no connection needs what they remember. */
import { checkOwn } from './program/owner.js';
import type { Mode } from './text/mode.js';
import { context } from './program/tools.js';
import { print, printJson } from './system/output.js';
import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import {
  configOption,
  idleOption,
  jsonOption,
  modeOption,
  quietOption,
  usedOption,
  waitOption,
} from './cli/options.js';
import type { SettleFlags } from './fill/apply.js';
import { checkSettle, settleSlots } from './fill/apply.js';
import { describeSettled, settledJson } from './fill/text/settled.js';
import { whereOf } from './fill/report.js';
import type { WantedService } from './config/read.js';
import { findAttached } from './program/find.js';

interface Flags extends SettleFlags {
  interface: string;
  config?: string;
  mode?: Mode;
  json?: boolean;
}

export function settleCommand(): CliCommand {
  return newDeviceCommand(
    'settle',
    'Turn hot slots cold if no connection needs what they remember.',
  )
    .addOption(
      configOption(
        'take idle times and drain deadlines from this file, such as l4lb.toml; - reads stdin',
      ),
    )
    .option('--now', 'turn all of them cold, even those still needed')
    .addOption(waitOption())
    .addOption(
      idleOption(
        'let a slot go cold after this many seconds without a packet that needs its memory, such as 60; for this run only (default: what the service has)',
      ),
    )
    .addOption(usedOption(''))
    .addOption(quietOption())
    .addOption(modeOption())
    .option('--dry-run', 'print what would go cold and write nothing')
    .addOption(jsonOption())
    .explainedBy({
      examples: [
        'l4lb settle -i eth0 --wait',
        'l4lb settle -i eth0 --idle 60',
        'l4lb settle -i eth0 --used d1.json d2.json',
        'l4lb settle -i eth0 --used d1.json d2.json --dry-run',
      ],
    })
    .action((flags: Flags) => settle({ ...flags, settle: true }));
}

export async function settle(flags: Flags): Promise<void> {
  checkSettle(flags);
  const tools = context();
  const attached = await findAttached(tools, flags.interface, flags.mode);
  await checkOwn(tools, attached);
  const settled = await settleSlots(tools, attached, flags, await servicesOf(flags));
  if (flags.json) {
    const head = { ...whereOf(attached, flags), dry_run: flags.dryRun ?? false };
    printJson({ ...head, ...settledJson(settled) });
    return;
  }
  if (settled.hot + settled.settled === 0) print(`${flags.interface}: no slot is hot`);
  describeSettled(settled, flags.interface, flags.dryRun).forEach(print);
}

async function servicesOf({ config }: Flags): Promise<readonly WantedService[]> {
  if (config === undefined) return [];
  // The code that reads TOML takes a while to load.
  const { readConfig } = await import('./fill/from-config.js');
  return readConfig(config).services;
}
