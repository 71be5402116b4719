// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-map: fills the tables from CSV or config files; also exports and settles them. */
import { Option } from 'commander';

import { exportTables } from './export.js';
import { settle } from './settle.js';
import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import type { MapFlags } from './cli/fill.js';
import { fill } from './cli/fill.js';
import {
  addFillOptions,
  configOption,
  idleOption,
  jsonOption,
  modeOption,
  noSettleOption,
  quietOption,
  usedOption,
  waitOption,
} from './cli/options.js';
import { checkSettle } from './fill/apply.js';
import { UsageFailure } from './text/failure.js';

interface Given {
  noSettle?: boolean;
}

interface Flags extends MapFlags, Given {
  export?: boolean;
}

const HOW_TO_FILL = [
  ...['file', 'vip', 'slots', 'source', 'takeSsh', 'echo', 'answers'],
  ...['names', 'seed', 'previous'],
];
/** What these say holds for services of a config file that leave it open. */
const ALSO_IN_CONFIG = ['table', 'remember', 'forward'];
const FILL =
  'Fill the tables: one service from a CSV file, or all services from a config file.';
const FILE =
  'rows of address, MAC[, weight], such as 10.0.1.1, 02:00:0a:00:01:01; an empty MAC is looked up; - reads stdin';
const CONFIG =
  'all services, as in l4lb.example.toml; a service that is not in the file is removed; - reads stdin';
const IDLE =
  'let a slot go cold after this many seconds without a packet that needs its memory, such as 60; the service keeps this';
const USUAL_IDLE =
  '(default: what the service has; 300 for a new one, 3600 where destinations remember)';

/** The verb `map` of l4lb. */
export function mapVerb(): CliCommand {
  const command = newDeviceCommand('map', FILL)
    .option('-f, --file <file...>', FILE)
    .addOption(configOption(CONFIG).conflicts(HOW_TO_FILL))
    .addOption(waitOption())
    .addOption(noSettleOption())
    .addOption(idleOption(`${IDLE} ${USUAL_IDLE}`))
    .addOption(modeOption())
    .option('--dry-run', 'print what would change and write nothing')
    .addOption(jsonOption());
  return addFillOptions(command)
    .explainedBy({
      examples: [
        'l4lb map -i eth0 -f 32_destinations.csv',
        'l4lb map -i eth0 -f web.csv --vip 192.0.2.10:80/tcp 192.0.2.10:443/tcp',
        'l4lb map -i eth0 -f web.csv --dry-run',
        'l4lb map -i eth0 -c l4lb.toml',
      ],
    })
    .action((given: MapFlags & Given) => {
      const flags = withSettle(given);
      checkSettle(flags);
      return fill(flags, 'name a file with -f FILE or -c FILE');
    });
}

export function mapCommand(): CliCommand {
  const command = newDeviceCommand('l4lb-map', FILL)
    .option('-f, --file <file...>', FILE)
    .addOption(configOption(CONFIG).conflicts(HOW_TO_FILL))
    .addOption(
      new Option('--export', 'print the tables as a config file').conflicts([
        'config',
        ...HOW_TO_FILL,
        ...ALSO_IN_CONFIG,
        'idle',
        'wait',
        'dryRun',
        'json',
      ]),
    )
    .addOption(
      new Option(
        '--settle',
        'turn hot slots cold if no connection needs what they remember',
      ).conflicts([...HOW_TO_FILL, ...ALSO_IN_CONFIG, 'export']),
    )
    .option('--now', 'with --settle: turn all of them cold, even those still needed')
    .addOption(usedOption('with --settle: '))
    .addOption(quietOption())
    .addOption(waitOption())
    .addOption(noSettleOption())
    .addOption(
      idleOption(`${IDLE}, but with --settle it is for this run only ${USUAL_IDLE}`),
    )
    .addOption(modeOption())
    .option('--dry-run', 'print what would change and write nothing')
    .addOption(jsonOption());
  return addFillOptions(command)
    .explainedBy({
      examples: [
        'l4lb-map -i eth0 -f 32_destinations.csv',
        'l4lb-map -i eth0 -f web.csv --vip 192.0.2.10:80/tcp 192.0.2.10:443/tcp',
        'l4lb-map -i eth0 -f web.csv --dry-run',
        'l4lb-map -i eth0 -c l4lb.toml',
        'l4lb-map -i eth0 --export > l4lb.toml',
        'l4lb-map -i eth0 --settle --wait',
        'l4lb-map -i eth0 --settle --used d1.json d2.json',
      ],
    })
    .action(run);
}

/** A fill that is not to settle says so where --settle says that it is to. */
function withSettle<F extends MapFlags & Given>(flags: F): F {
  return flags.noSettle ? { ...flags, settle: false } : flags;
}

async function run(given: Flags): Promise<void> {
  if (given.settle && given.noSettle) {
    throw new UsageFailure('--settle and --no-settle contradict each other');
  }
  const flags = withSettle(given);
  checkSettle(flags);
  if (flags.export) await exportTables(flags);
  else if (flags.settle) await settle(flags);
  else {
    await fill(
      flags,
      'name a file with -f FILE or -c FILE, or ask for --export or --settle',
    );
  }
}
