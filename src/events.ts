// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb events: follows what happens in l4lbd. */
import { Option } from 'commander';

import type { Entry } from './api/events.js';
import { describeEvent } from './api/text.js';
import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import { readCount } from './cli/values.js';
import { followDaemon, noDaemon } from './system/daemon-socket.js';
import { print } from './system/output.js';
import { Failure } from './text/failure.js';

interface Flags {
  interface: string;
  since?: number;
  once?: boolean;
  json?: boolean;
}

export function eventsCommand(): CliCommand {
  return newDeviceCommand(
    'events',
    'Follow what happens in l4lbd: states, moves, panics.',
  )
    .addOption(
      new Option('--since <id>', 'only events after that number').argParser(readCount),
    )
    .option('--once', 'print what is known, and do not wait for more')
    .option('--json', 'print a line of JSON for each event')
    .explainedBy({
      notes: 'It begins with the last 1,000 events, and runs until you end it.',
      examples: ['l4lb events -i eth0', 'l4lb events -i eth0 --once --json'],
    })
    .action(follow);
}

async function follow(flags: Flags): Promise<void> {
  const { interface: device, since = 0, once = false, json = false } = flags;
  const path = `/events?since=${since}${once ? '&once' : ''}`;
  const isThere = await followDaemon(device, path, (line) => {
    const [, text] = /^data: (.*)$/.exec(line) ?? [];
    if (text === undefined) return;
    print(json ? text : describeEvent(JSON.parse(text) as Entry));
  });
  if (!isThere) throw noDaemon(device);
  if (once) return;
  throw new Failure(`l4lbd on ${device} has ended`, {
    cause: 'somebody stopped it, or it failed; program and tables stay as they are',
    next: `journalctl -u l4lbd@${device} says why`,
  });
}
