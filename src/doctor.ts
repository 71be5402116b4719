// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-doctor: finds why nothing works. */
import { Option } from 'commander';

import type { Mode } from './text/mode.js';
import { context } from './program/tools.js';
import { print, printJson } from './system/output.js';
import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import { readSeconds } from './cli/values.js';
import { examine, isHealthy } from './doctor/examine.js';
import { gather } from './doctor/gather.js';
import { describeDiagnosis, diagnosisJson } from './doctor/report.js';
import { EXIT_FAILURE } from './text/failure.js';

interface Flags {
  interface: string;
  mode?: Mode;
  interval: number;
  json?: boolean;
}

export function doctorCommand(): CliCommand {
  return newDeviceCommand(
    'l4lb-doctor',
    'Find out why nothing works: what is wrong, the evidence, and the command that fixes it.',
  )
    .addOption(
      new Option(
        '-m, --mode <mode>',
        'examine the program in this mode; xdpoffload asks the card whether it takes one',
      ).choices(['xdpdrv', 'xdpgeneric', 'xdpoffload', 'dpdk']),
    )
    .option(
      '--interval <seconds>',
      'seconds to watch the traffic, such as 10',
      readSeconds,
      1,
    )
    .option('--json', 'print the result as JSON')
    .explainedBy({
      notes: `Exits with 0 if it finds nothing wrong and with 1 if it does; a remark is no finding.
It changes nothing, but it does ask the neighbours whether they are there. Let traffic
flow while it looks.`,
      examples: [
        'l4lb-doctor -i eth0',
        'l4lb-doctor -i eth0 --interval 10',
        'l4lb-doctor -i eth0 -m xdpoffload',
        "l4lb-doctor -i eth0 --json | jq -r '.findings[].fix'",
      ],
    })
    .action(async (flags: Flags) => {
      const { interval, mode } = flags;
      const facts = await gather(context(), {
        interface: flags.interface,
        mode,
        interval,
      });
      const diagnosis = examine(facts);
      if (flags.json) printJson(diagnosisJson(diagnosis));
      else describeDiagnosis(diagnosis).forEach(print);
      if (!isHealthy(diagnosis)) process.exitCode = EXIT_FAILURE;
    });
}
