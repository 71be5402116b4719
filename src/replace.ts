// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb replace: swaps the program on a device without losing a packet. */
import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import type { LoadFlags } from './cli/attach.js';
import { attach } from './cli/attach.js';
import {
  addFillOptions,
  attachModeOption,
  blocksOption,
  flowsOption,
  jsonOption,
  loadFileOption,
  objectOption,
} from './cli/options.js';

export function replaceCommand(): CliCommand {
  const command = newDeviceCommand(
    'replace',
    'Swap the balancer on a device. No packet is lost, and the counters are kept.',
  )
    .addOption(attachModeOption('replace the program in this mode; auto: the only one'))
    .addOption(loadFileOption())
    .addOption(objectOption('the one that suits the mode'))
    .addOption(flowsOption('unchanged'))
    .addOption(blocksOption('unchanged'))
    .addOption(jsonOption());
  return addFillOptions(command)
    .explainedBy({
      examples: [
        'l4lb replace -i eth0',
        'l4lb replace -i eth0 --flows 64',
        'l4lb replace -i eth0 -f 32_destinations.csv',
      ],
    })
    .action((flags: LoadFlags) => attach({ ...flags, replace: true }));
}
