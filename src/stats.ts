// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-stats: shows packets and bits a second, for each destination and verdict. */
import { Option } from 'commander';

import type { Mode } from './text/mode.js';
import { context } from './program/tools.js';
import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import { modeOption } from './cli/options.js';
import { closeOnSignals } from './cli/signals.js';
import { readCount, readSeconds } from './cli/values.js';
import { Watcher } from './program/watcher.js';
import type { ViewFlags } from './stats/view.js';
import { openView } from './stats/view.js';
import type { Pace } from './stats/watch.js';
import { watch } from './stats/watch.js';

interface Flags extends ViewFlags, Pace {
  mode?: Mode;
}

export function statsCommand(): CliCommand {
  return newDeviceCommand('l4lb-stats', 'Show packets and bits a second, live.')
    .addOption(modeOption())
    .option(
      '--interval <seconds>',
      'seconds between two samples, such as 0.5',
      readSeconds,
      1,
    )
    .option('--count <number>', 'stop after this many samples, such as 10', readCount)
    .addOption(new Option('--once', 'print one sample and stop').conflicts('count'))
    .addOption(
      new Option('--json', 'print a line of JSON for each sample').conflicts('plain'),
    )
    .option('--plain', 'print lines, even on a terminal')
    .explainedBy({
      notes: 'On a terminal it fills the screen; press ? there for its keys.',
      examples: [
        'l4lb-stats -i eth0',
        'l4lb-stats -i eth0 --once --interval 0.5',
        'l4lb-stats -i eth0 --json | jq .totals.pps',
      ],
    })
    .action(stats);
}

async function stats(flags: Flags): Promise<void> {
  const watcher = new Watcher(context(), flags.interface, flags.mode, { adds: true });
  const view = await openView(flags);
  const close = (): void => {
    watcher.close();
    view.close();
  };
  closeOnSignals({ close });
  try {
    await watch(watcher, view, flags);
  } finally {
    close();
  }
}
