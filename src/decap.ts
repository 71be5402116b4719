// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb decap: attaches the decapsulation program, which removes the outer header. */
import { Option } from 'commander';

import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import type { LoadFlags } from './cli/attach.js';
import { attach } from './cli/attach.js';
import { jsonOption, objectOption, siblingsOption } from './cli/options.js';
import { readNames } from './cli/values.js';

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
    .option(
      '--names <prefix...>',
      'outer sources that name destinations, such as 10.7.0.0/16, as the balancers have them, one prefix for each address family: what is of no connection here is sent on to the destination named; kept by --replace until changed',
      readNames,
    )
    .addOption(siblingsOption())
    .addOption(jsonOption())
    .explainedBy({
      examples: [
        'l4lb decap -i eth0',
        'l4lb decap -i eth0 --replace',
        'l4lb decap -i eth0 --names 10.7.0.0/16 --siblings web.csv',
      ],
    })
    .action((flags: LoadFlags) => attach({ ...flags, decap: true }));
}
