// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-map: fills the tables from CSV or config files, or writes them as one. */
import type { Command } from 'commander';
import { Option } from 'commander';

import type { Mode } from './text/mode.js';
import { context } from './program/tools.js';
import type { Context } from './program/tools.js';
import { addFillOptions, fillWishes, modeOption, readIdle } from './cli/options.js';
import type { FillFlags } from './cli/options.js';
import { print, printJson } from './system/output.js';
import { findAttached } from './program/find.js';
import { newCommand } from './cli/command.js';
import { UsageFailure } from './text/failure.js';
import { planFill, prepareFill } from './fill/from-rows.js';
import { many } from './text/format.js';
import { withLock } from './system/lock.js';
import { report, reportAll, whereOf } from './fill/report.js';
import type { SettleFlags } from './fill/apply.js';
import {
  describeSettled,
  fillAndSettle,
  settleSlots,
  settledJson,
} from './fill/apply.js';

interface Flags extends FillFlags, SettleFlags {
  interface: string;
  config?: string;
  export?: boolean;
  settle?: boolean;
  mode?: Mode;
  dryRun?: boolean;
  json?: boolean;
}

const HOW_TO_FILL = ['file', 'vip', 'slots', 'source', 'takeSsh', 'echo'];

export function mapCommand(): Command {
  const command = newCommand(
    'l4lb-map',
    'Fill the tables: one service from a CSV file, or all services from a config file.',
  )
    .option(
      '-f, --file <file...>',
      'rows of address, MAC[, weight]; an empty MAC is resolved; - is stdin',
    )
    .addOption(
      new Option(
        '-c, --config <file>',
        'all services, as in l4lb.example.toml; one that is not in it is removed; - is stdin',
      ).conflicts(HOW_TO_FILL),
    )
    .addOption(
      new Option('--export', 'print the tables as a config file').conflicts([
        'config',
        ...HOW_TO_FILL,
        'table',
        'dryRun',
        'json',
      ]),
    )
    .addOption(
      new Option(
        '--settle',
        'turn hot slots cold where nobody needs what they remember',
      ).conflicts([...HOW_TO_FILL, 'table', 'export', 'dryRun']),
    )
    .option('--now', 'with --settle: all of them, needed or not')
    .option('--wait', 'stay until no slot is hot')
    .option(
      '--idle <seconds>',
      'time without a packet that needed it, until a slot may go cold; the service keeps it, ' +
        'with --settle it is for this run (default: as the service has it, 300 of a new one)',
      readIdle,
    )
    .addOption(modeOption())
    .option('--dry-run', 'print what would change, and write nothing')
    .option('--json', 'print the result as JSON');
  return addFillOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  l4lb-map -i eth0 -f 32_destinations.csv
  l4lb-map -i eth0 -f web.csv --vip 192.0.2.10:80/tcp 192.0.2.10:443/tcp
  l4lb-map -i eth0 -f web.csv --dry-run
  l4lb-map -i eth0 -c l4lb.toml
  l4lb-map -i eth0 --export > l4lb.toml
  l4lb-map -i eth0 --settle --wait`,
    )
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const { file, config } = flags;
  if (flags.now && !flags.settle) {
    throw new UsageFailure('--now says how to settle', { next: 'add --settle' });
  }
  if (flags.export) await exportTables(context(), flags);
  else if (flags.settle) await settleTables(context(), flags);
  else if (config !== undefined) await fillAll(context(), flags, config);
  else if (file !== undefined) await fillOne(context(), flags, file);
  else {
    throw new UsageFailure('nothing to fill from', {
      next: 'name a file with -f FILE or -c FILE, or ask for --export or --settle',
    });
  }
}

// Its reader of TOML takes a while to load, and a fill from rows needs none.
const configuring = () => import('./fill/from-config.js');

async function exportTables(tools: Context, flags: Flags): Promise<void> {
  const { readExport } = await configuring();
  // Under the lock, so that it is no state between two.
  const text = await withLock(tools.run, 'l4lb-map', async () => {
    const { maps } = await findAttached(tools, flags.interface, flags.mode);
    return readExport(tools, maps);
  });
  print(text.trimEnd());
}

async function settleTables(tools: Context, flags: Flags): Promise<void> {
  const attached = await findAttached(tools, flags.interface, flags.mode);
  const config =
    flags.config === undefined
      ? []
      : (await configuring()).readConfig(flags.config).services;
  const settled = await settleSlots(tools, attached, flags, config);
  if (flags.json) {
    printJson({ ...whereOf(attached, flags), ...settledJson(settled) });
    return;
  }
  const lines = describeSettled(settled, flags.interface);
  if (lines.length === 0) print(`${flags.interface}: no slot is hot`);
  lines.forEach(print);
}

async function fillAll(tools: Context, flags: Flags, config: string): Promise<void> {
  const { planPrepared, prepareConfig, readConfig } = await configuring();
  const read = readConfig(config);
  // The file comes first; what it leaves open the command line may say.
  const wanted = read.services.map((service) => ({
    ...service,
    table: service.table ?? flags.table,
    idle: service.idle ?? flags.idle,
  }));
  const attached = await findAttached(tools, flags.interface, flags.mode);
  const prepared = await prepareConfig(tools, attached.link, {
    ...read,
    services: wanted,
  });
  if (!flags.json) {
    const total = wanted.reduce((sum, { rows }) => sum + rows.length, 0);
    const counts = `${many(wanted.length, 'service')} and ${many(total, 'destination')}`;
    print(`Loading file with ${counts}`);
  }
  reportAll(
    attached,
    flags,
    await fillAndSettle(tools, attached, flags, (maps) =>
      planPrepared(tools, maps, prepared),
    ),
  );
}

async function fillOne(tools: Context, flags: Flags, files: string[]): Promise<void> {
  const attached = await findAttached(tools, flags.interface, flags.mode);
  const prepared = await prepareFill(tools, attached.link, files, fillWishes(flags));
  if (!flags.json) {
    print(`Loading file with ${many(prepared.destinations.length, 'destination')}`);
  }
  report(
    attached,
    flags,
    await fillAndSettle(tools, attached, flags, (maps) =>
      planFill(tools, maps, prepared),
    ),
  );
}
