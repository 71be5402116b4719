// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Runs l4lbd until it is told to end, alone or as a node of a fleet; prints what happens. */
import { fstatSync } from 'node:fs';

import type { Controller } from '../daemon/daemon.js';
import { Daemon } from '../daemon/daemon.js';
import type { Journal } from '../daemon/journal.js';
import { isJournal, priorityOf } from '../daemon/priority.js';
import type { Context } from '../program/tools.js';
import { alone, deviceLock } from '../system/lock.js';
import { print, toJson } from '../system/output.js';
import type { Mode } from '../text/mode.js';

export async function runDaemon(
  tools: Context,
  device: string,
  mode: Mode | undefined,
  control: (journal: Journal) => Controller,
): Promise<void> {
  const stdout = fstatSync(1, { bigint: true });
  const isInJournal = isJournal(process.env.JOURNAL_STREAM, stdout);
  const daemon = new Daemon(tools, { device, mode }, control, (entry) => {
    const line = toJson(entry);
    print(isInJournal ? `<${priorityOf(entry)}>${line}` : line);
  });
  process.on('SIGHUP', () => void daemon.reload());
  const stop = (): void => {
    daemon.stop();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    const link = await tools.ip.link(device);
    await alone(tools.run, deviceLock(link), 'l4lbd', () => daemon.run());
  } finally {
    // The watch has no end of its own. A failure is reported before that.
    setImmediate(() => process.exit());
  }
}
