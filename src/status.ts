// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb status: prints what is attached to a device. */
import { context } from './program/tools.js';
import { print, printJson } from './system/output.js';
import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import { jsonOption } from './cli/options.js';
import { describeStatus, readStatus, statusJson } from './load/status.js';

interface Flags {
  interface: string;
  json?: boolean;
}

export function statusCommand(): CliCommand {
  return newDeviceCommand('status', 'Print which programs and services a device has.')
    .addOption(jsonOption())
    .explainedBy({
      examples: [
        'l4lb status -i eth0',
        "l4lb status -i eth0 --json | jq '.programs[].services'",
      ],
    })
    .action(status);
}

export async function status({ interface: device, json }: Flags): Promise<void> {
  const status = await readStatus(context(), device);
  if (json) printJson(statusJson(device, status));
  else describeStatus(device, status).forEach(print);
}
