// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reports what l4lb-map has filled, to people or as JSON. */
import { MODE_NAMES } from '../text/mode.js';
import { print, printJson, warn } from '../system/output.js';
import type { Attached } from '../program/find.js';
import type { Plan } from '../plan/service.js';
import type { ConfigPlan } from '../plan/all.js';
import { configPlanJson, configWarnings, describeConfigPlan } from './text/config.js';
import type { Where } from './text/service.js';
import { serverWarnings, serversJson } from '../program/text/servers.js';
import { describePlan, planJson, planWarnings } from './text/service.js';
import type { Filled } from './apply.js';
import { describeSettled, settledJson } from './text/settled.js';

interface Flags {
  interface: string;
  dryRun?: boolean;
  json?: boolean;
}

export function whereOf(attached: Attached, flags: Pick<Flags, 'interface'>): Where {
  return { interface: flags.interface, mode: MODE_NAMES[attached.mode] };
}

export function report(
  attached: Attached,
  flags: Flags,
  { plan, settled, servers }: Filled<Plan>,
): void {
  planWarnings(plan, attached.maps.destinations.entries - 1).forEach(warn);
  serverWarnings(servers, flags.interface).forEach(warn);
  const where = whereOf(attached, flags);
  if (flags.json) {
    printJson({
      ...where,
      dry_run: flags.dryRun ?? false,
      ...planJson(plan),
      ...serversJson(servers),
      ...(settled && settledJson(settled)),
    });
    return;
  }
  describePlan(plan, where, flags.dryRun ?? false).forEach(print);
  if (settled) describeSettled(settled, flags.interface).forEach(print);
}

export function reportAll(
  attached: Attached,
  flags: Flags,
  { plan, settled, servers }: Filled<ConfigPlan>,
): void {
  configWarnings(plan, attached.maps.destinations.entries - 1).forEach(warn);
  serverWarnings(servers, flags.interface).forEach(warn);
  const where = whereOf(attached, flags);
  const isDryRun = flags.dryRun ?? false;
  if (flags.json)
    printJson({
      ...where,
      dry_run: isDryRun,
      ...configPlanJson(plan),
      ...serversJson(servers),
      ...(settled && settledJson(settled)),
    });
  else
    [
      ...describeConfigPlan(plan, where, isDryRun),
      ...(settled ? describeSettled(settled, flags.interface) : []),
    ].forEach(print);
}
