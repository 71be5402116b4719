// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What l4lb-map and the verb map do: fill one service from rows, or all from a config
 * file.
 */
import type { Mode } from '../text/mode.js';
import { context } from '../program/tools.js';
import type { Context } from '../program/tools.js';
import { print, warn } from '../system/output.js';
import type { State } from '../plan/state.js';
import { findAttached } from '../program/find.js';
import type { Attached } from '../program/find.js';
import { askDaemon } from '../system/daemon-socket.js';
import { Failure, UsageFailure } from '../text/failure.js';
import { planFill, prepareFill } from '../fill/from-rows.js';
import { many } from '../text/format.js';
import { report, reportAll } from '../fill/report.js';
import type { SettleFlags } from '../fill/apply.js';
import { sizesOf } from '../program/read.js';
import { checkOwn } from '../program/owner.js';
import { unshared, unsharedWarnings } from '../load/share.js';
import { fillAndSettle } from '../fill/apply.js';
import { poolWarnings } from '../fill/pool-neighbours.js';
import type { FillFlags } from './options.js';
import { fillWishes } from './options.js';

export interface MapFlags extends FillFlags, SettleFlags {
  interface: string;
  config?: string;
  mode?: Mode;
  dryRun?: boolean;
  json?: boolean;
}

/** Fills from the file that the flags name. `next` is the advice if they name none. */
export async function fill(flags: MapFlags, next: string): Promise<void> {
  const { file, config } = flags;
  if (!flags.dryRun) await refuseBesideDaemon(flags.interface);
  if (config !== undefined) await fillAll(flags, config);
  else if (file !== undefined) await fillOne(flags, file);
  else throw new UsageFailure('nothing to fill from', { next });
}

/** l4lbd would undo what is written beside it. Only root can ask it, and only root can write. */
export async function refuseBesideDaemon(device: string): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  const answer = await askDaemon(device, { method: 'GET', path: '/healthz' });
  if (!answer) return;
  throw new Failure(`l4lbd keeps the tables of ${device}`, {
    cause: 'its file and its checks are the truth, and it undoes what others write',
    next: `change its file, and l4lb ctl -i ${device} reload; or end it before`,
  });
}

async function fillAll(flags: MapFlags, file: string): Promise<void> {
  const tools = context();
  // The code that reads TOML takes a while to load, and a fill from rows does not need
  // it.
  const { planPrepared, prepareConfig, readConfig } =
    await import('../fill/from-config.js');
  const read = readConfig(file);
  // The file takes precedence; the command line fills in what it leaves open.
  const wanted = read.services.map((service) => ({
    ...service,
    table: service.table ?? flags.table,
    remember: service.remember ?? flags.remember,
    forward: service.forward ?? flags.forward,
    idle: service.idle ?? flags.idle,
  }));
  const attached = await findAttached(tools, flags.interface, flags.mode);
  await checkOwn(tools, attached);
  const config = { ...read, services: wanted };
  const prepared = await prepareConfig(
    tools,
    attached.link,
    config,
    sizesOf(attached.maps),
  );
  const filled = await fillAndSettle(tools, attached, flags, (maps) =>
    planPrepared(tools, maps, prepared),
  );
  if (!flags.json) {
    const total = wanted.reduce((sum, { rows }) => sum + rows.length, 0);
    const counts = `${many(wanted.length, 'service')} and ${many(total, 'destination')}`;
    print(`Loading file with ${counts}`);
  }
  reportAll(attached, flags, filled);
  await warnOfAnswers(tools, attached, filled.plan.after);
}

async function fillOne(flags: MapFlags, files: string[]): Promise<void> {
  const tools = context();
  const attached = await findAttached(tools, flags.interface, flags.mode);
  await checkOwn(tools, attached);
  const wishes = fillWishes(flags);
  const { link } = attached;
  const prepared = await prepareFill(tools, link, files, wishes, sizesOf(attached.maps));
  const filled = await fillAndSettle(tools, attached, flags, (maps) =>
    planFill(tools, maps, prepared),
  );
  if (!flags.json) {
    print(`Loading file with ${many(prepared.destinations.length, 'destination')}`);
  }
  report(attached, flags, filled);
  await warnOfAnswers(tools, attached, filled.plan.after);
}

async function warnOfAnswers(
  tools: Pick<Context, 'ip' | 'run'>,
  { program, link }: Attached,
  after: State,
): Promise<void> {
  (await poolWarnings(tools.run, after)).forEach(warn);
  const devices = await unshared(tools, program, after);
  unsharedWarnings(devices, link.name).forEach(warn);
}
