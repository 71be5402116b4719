// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * l4lb-load, which does everything that changes what is attached, and l4lb load, which
 * attaches.
 */
import { Option } from 'commander';

import { check } from './check.js';
import { off } from './off.js';
import { status } from './status.js';
import type { LoadFlags } from './cli/attach.js';
import { attach, checkFlags, share } from './cli/attach.js';
import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import {
  addFillOptions,
  attachModeOption,
  blocksOption,
  flowsOption,
  jsonOption,
  loadFileOption,
  objectOption,
  siblingsOption,
  unlessLoadedOption,
} from './cli/options.js';

interface Flags extends LoadFlags {
  off?: boolean;
  status?: boolean;
  checkOffload?: string | true;
  share?: string;
}

const DEVICE = 'the device the program is on, such as eth0';
const SUITABLE = 'the one that suits the mode';

/** The verb `load` of l4lb. */
export function loadVerb(): CliCommand {
  const command = newDeviceCommand('load', 'Attach the balancer to a device.', DEVICE)
    .addOption(attachModeOption())
    .addOption(loadFileOption())
    .addOption(objectOption(SUITABLE))
    .addOption(unlessLoadedOption())
    .addOption(flowsOption('8'))
    .addOption(blocksOption('4'))
    .addOption(jsonOption());
  return addFillOptions(command)
    .explainedBy({
      examples: [
        'l4lb load -i eth0 -f 32_destinations.csv',
        'l4lb load -i eth0 -m xdpoffload',
      ],
    })
    .action(attach);
}

export function loadCommand(): CliCommand {
  const command = newDeviceCommand(
    'l4lb-load',
    'Attach the balancer to a device, or take it off.',
    DEVICE,
  )
    .addOption(
      attachModeOption(
        'how to attach; auto tries xdpdrv, then xdpgeneric; with --off, auto means all modes',
      ),
    )
    .addOption(loadFileOption())
    .addOption(objectOption(SUITABLE))
    .option(
      '--replace',
      'swap the program that is there; no packet is lost, and the counters are kept',
    )
    .addOption(unlessLoadedOption())
    .addOption(flowsOption('8; with --replace, unchanged'))
    .addOption(blocksOption('4; with --replace, unchanged'))
    .addOption(
      new Option(
        '--share <device>',
        'run the program of this device here, too, with its tables: for a device that answers come in by',
      ).conflicts([
        'off',
        'status',
        'file',
        'obj',
        'replace',
        'decap',
        'flows',
        'blocks',
      ]),
    )
    .option(
      '--decap',
      'load the decapsulation program, which removes the outer header at a destination',
    )
    .addOption(siblingsOption())
    .addOption(
      new Option('--off', 'take the program off the device').conflicts([
        'file',
        'obj',
        'replace',
        'decap',
        'siblings',
        'flows',
        'blocks',
      ]),
    )
    .addOption(
      new Option('--status', 'print what is attached').conflicts([
        'off',
        'file',
        'obj',
        'replace',
        'siblings',
        'mode',
        'flows',
        'blocks',
      ]),
    )
    .addOption(
      new Option(
        '--check-offload [object]',
        'say whether a card would take this object, and if not, why; needs neither a card nor -i (default: the object for xdpoffload)',
      ).conflicts([
        'off',
        'status',
        'file',
        'obj',
        'replace',
        'decap',
        'siblings',
        'mode',
        'flows',
        'blocks',
        'share',
      ]),
    )
    .addOption(jsonOption());
  command.on('option:check-offload', () => {
    for (const option of command.options) option.makeOptionMandatory(false);
  });
  return addFillOptions(command)
    .explainedBy({
      examples: [
        'l4lb-load -i eth0 -f 32_destinations.csv',
        'l4lb-load -i eth0 -m xdpoffload',
        'l4lb-load -i eth0 --replace',
        'l4lb-load -i eth1 --share eth0',
        'l4lb-load -i eth0 --decap --names 10.7.0.0/16 --siblings web.csv',
        'l4lb-load -i eth0 --off',
        'l4lb-load --check-offload l4lb_xdp.o',
      ],
    })
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const { checkOffload: object } = flags;
  checkFlags(flags);
  if (object !== undefined) check(object === true ? undefined : object, flags);
  else if (flags.status) await status(flags);
  else if (flags.off) await off(flags);
  else if (flags.share !== undefined) await share(flags, flags.share);
  else await attach(flags);
}
