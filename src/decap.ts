// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb decap: attaches the decapsulation program, which removes the outer header. */
import { Option } from 'commander';

import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import type { LoadFlags } from './cli/attach.js';
import { attach } from './cli/attach.js';
import { jsonOption, objectOption } from './cli/options.js';

export function decapCommand(): CliCommand {
  return newDeviceCommand(
    'decap',
    'Attach the decapsulation program, which removes the outer header at a destination.',
    'the device on which balanced packets arrive, such as eth0',
  )
    .addOption(
      new Option('-m, --mode <mode>', 'how to attach; auto tries xdpdrv, then xdpgeneric')
        .choices(['auto', 'xdpdrv', 'xdpgeneric'])
        .default('auto'),
    )
    .addOption(objectOption('the one that comes with l4lb', 'l4lb_decap.o'))
    .option('--replace', 'swap the program that is there; no packet is lost')
    .addOption(jsonOption())
    .explainedBy({ examples: ['l4lb decap -i eth0', 'l4lb decap -i eth0 --replace'] })
    .action((flags: LoadFlags) => attach({ ...flags, decap: true }));
}
