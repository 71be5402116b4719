// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb off: takes our programs off a device. */
import type { Mode } from './text/mode.js';
import { context } from './program/tools.js';
import { print, printJson, warn } from './system/output.js';
import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import { attachModeOption, jsonOption } from './cli/options.js';
import { sweepChecking } from './program/checking.js';
import { sweepPins } from './program/pins.js';
import { sweepSteering } from './program/steering.js';
import { deviceLock, withLock } from './system/lock.js';
import { takeOff } from './load/attach.js';
import type { LeftBehind } from './load/share.js';
import { leftBehind, leftBehindWarnings } from './load/share.js';
import { describeTakenOff, takenOffJson } from './load/report.js';

interface Flags {
  interface: string;
  mode: Mode | 'auto';
  json?: boolean;
}

export function offCommand(): CliCommand {
  return newDeviceCommand('off', 'Take the program off a device.')
    .addOption(
      attachModeOption('take off only the program in this mode; auto: in all modes'),
    )
    .addOption(jsonOption())
    .explainedBy({ examples: ['l4lb off -i eth0', 'l4lb off -i eth0 -m xdpoffload'] })
    .action(off);
}

export async function off(flags: Flags): Promise<void> {
  const { interface: device, mode } = flags;
  const tools = context();
  const link = await tools.ip.link(device);
  const taken = await withLock(tools.run, deviceLock(link), async () => {
    sweepPins();
    await sweepSteering(tools);
    const taken = await takeOff(tools, await tools.ip.link(device), mode);
    await sweepChecking(tools, link);
    return taken;
  });
  const left: LeftBehind[] = [];
  for (const one of taken) left.push(await leftBehind(tools, link, one));
  if (flags.json) printJson(takenOffJson(device, taken));
  else describeTakenOff(device, mode, taken, left).forEach(print);
  for (const one of left) leftBehindWarnings(device, one).forEach(warn);
}
