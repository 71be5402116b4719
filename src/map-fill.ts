// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-map: fills the table of destinations from a CSV file. */
import type { Command } from 'commander';

import type { Attached } from './attached.js';
import { MODE_NAMES, findAttached } from './attached.js';
import type { FillFlags } from './command.js';
import {
  addFillOptions,
  context,
  modeOption,
  newCommand,
  print,
  printJson,
  warn,
} from './command.js';
import { applyPlan, planFill, prepareFill } from './fill.js';
import { many } from './format.js';
import type { Mode } from './iproute.js';
import { withLock } from './lock.js';
import type { Plan } from './plan.js';
import { describeChanges, describePlan, planJson, planWarnings } from './plan-text.js';

interface Flags extends FillFlags {
  interface: string;
  file: string[];
  mode?: Mode;
  dryRun?: boolean;
  json?: boolean;
}

export function mapCommand(): Command {
  const command = newCommand(
    'l4lb-map',
    'Fill the table of destinations from a CSV file.',
  )
    .requiredOption(
      '-f, --file <file...>',
      'rows of address, MAC[, weight]; an empty MAC is resolved; - is stdin',
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
  l4lb-map -i eth0 -f web.csv --dry-run`,
    )
    .action(async (flags: Flags) => {
      const tools = context();
      const attached = await findAttached(tools, flags.interface, flags.mode);
      const prepared = await prepareFill(tools, attached.link, flags.file, flags);
      if (!flags.json) {
        print(`Loading file with ${many(prepared.destinations.length, 'destination')}`);
      }
      const plan = await withLock(tools.run, 'l4lb-map', async (lock) => {
        const made = await planFill(tools, attached.maps, prepared);
        if (!flags.dryRun) await applyPlan(tools, attached.maps, made, lock);
        return made;
      });
      report(attached, plan, flags);
    });
}

function report(attached: Attached, plan: Plan, flags: Flags): void {
  planWarnings(plan, attached.maps.destinations.entries - 1).forEach(warn);
  const where = { interface: flags.interface, mode: MODE_NAMES[attached.mode] };
  if (flags.json) {
    printJson({ ...where, dry_run: flags.dryRun ?? false, ...planJson(plan) });
    return;
  }
  if (flags.dryRun) describeChanges(plan).forEach(print);
  describePlan(plan, where, flags.dryRun ?? false).forEach(print);
}
