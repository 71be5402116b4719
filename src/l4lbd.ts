// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lbd: keeps a device balanced among those destinations that serve. */
import { fstatSync } from 'node:fs';
import { Option } from 'commander';

import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import { modeOption } from './cli/options.js';
import type { Event } from './daemon/control.js';
import { Control } from './daemon/control.js';
import { isJournal, priorityOf } from './daemon/journal.js';
import { Notifier } from './daemon/notify.js';
import { context } from './program/tools.js';
import { alone, deviceLock } from './system/lock.js';
import { print, toJson } from './system/output.js';
import { UsageFailure } from './text/failure.js';
import type { Mode } from './text/mode.js';
import { watchTables } from './watch/watch.js';

/** What its second process runs, which needs no right to anything but sockets. */
export { serveChecks } from './checks/serve.js';

interface Flags {
  interface: string;
  config: string;
  mode?: Mode;
}

const NOTES = `It fills the tables from the file, asks the destinations of each service that has a check
whether they serve, and moves the slots of those that do not. Program and tables stay as they
are when it ends. SIGHUP makes it read the file again; a file with a fault changes nothing.
What happens is printed as a line of JSON for each event.`;

export function l4lbdCommand(): CliCommand {
  return newDeviceCommand('l4lbd', 'Balance among the destinations that serve.')
    .addOption(
      new Option(
        '-c, --config <file>',
        'all services, as in l4lb.example.toml',
      ).makeOptionMandatory(),
    )
    .addOption(modeOption())
    .asService()
    .explainedBy({
      notes: NOTES,
      examples: ['l4lbd -i eth0 -c /etc/l4lb/l4lb.toml'],
    })
    .action(run);
}

async function run({ interface: device, config: file, mode }: Flags): Promise<void> {
  if (file === '-') {
    throw new UsageFailure('the config file cannot be stdin', {
      cause: 'l4lbd reads it again at each SIGHUP',
      next: 'name a file, such as /etc/l4lb/l4lb.toml',
    });
  }
  const tools = context();
  const stdout = fstatSync(1, { bigint: true });
  const isInJournal = isJournal(process.env.JOURNAL_STREAM, stdout);
  const say = (event: Event): void => {
    const line = toJson({ time: new Date().toISOString(), interface: device, ...event });
    print(isInJournal ? `<${priorityOf(event)}>${line}` : line);
    notifier.take(event);
  };
  const control = new Control(tools, { device, file, mode, user: undefined }, say);
  const notifier = new Notifier(tools.run, process.env, control, (what) => {
    say({ kind: 'trouble', what });
  });
  process.on('SIGHUP', () => {
    notifier.reloading();
    control.reload();
  });
  const stop = (): void => {
    notifier.stopping();
    control.stop();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  const watch = (): Promise<never> =>
    watchTables(tools, device, mode, ({ changes, troubles }) => {
      for (const what of changes) say({ kind: 'followed', what });
      for (const what of troubles) say({ kind: 'trouble', what });
    });
  try {
    const link = await tools.ip.link(device);
    await alone(tools.run, deviceLock(link), 'l4lbd', () =>
      Promise.race([control.run(), watch()]),
    );
    await notifier.told();
  } finally {
    // The watch has no end of its own. A failure is reported before that.
    setImmediate(() => process.exit());
  }
}
