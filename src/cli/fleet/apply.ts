// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb fleet apply: puts a config file into the store. */
import { open } from '../../fill/from-config.js';
import { badConfig } from '../../fill/from-config.js';
import { readFile } from '../../fill/from-rows.js';
import type { Applied } from '../../fleet/operate/apply.js';
import { applyConfig } from '../../fleet/operate/apply.js';
import { splitConfig } from '../../fleet/agreement/wanted.js';
import { print, printJson } from '../../system/output.js';
import { readRegular } from '../../system/regular-file.js';
import { UsageFailure } from '../../text/failure.js';
import type { FleetFlags } from './store.js';
import { openFleet } from './store.js';

export async function applyToFleet(flags: FleetFlags): Promise<void> {
  const { config: name, dryRun = false } = flags;
  if (name === undefined) {
    throw new UsageFailure('apply what?', { next: 'add -c FILE, such as l4lb.toml' });
  }
  const file = readFile(
    name,
    'name a config file, such as l4lb.example.toml',
    readRegular,
  );
  const split = splitConfig(file, (other) => open(name, other));
  if (split.config.problems.length > 0) throw badConfig(split.config.problems);
  const { store, keys } = openFleet(flags);
  const applied = await applyConfig(store, keys, split, dryRun);
  store.close();
  if (flags.json) printJson({ ...jsonOf(applied), dry_run: dryRun });
  else describe(applied, dryRun).forEach(print);
}

function jsonOf({ isNew, isCommonChanged, ...others }: Applied): object {
  return { new: isNew, common_changed: isCommonChanged, ...others };
}

function describe(applied: Applied, dryRun: boolean): string[] {
  const { isNew, isCommonChanged, added, changed, removed, same } = applied;
  const lines = [
    ...(isNew
      ? ['a new fleet, with a secret seed: its own, or that of nodes that run']
      : []),
    ...(isCommonChanged && !isNew ? ['what is common to all services'] : []),
    ...added.map((name) => `added: ${name}`),
    ...changed.map((name) => `changed: ${name}`),
    ...removed.map((name) => `removed: ${name}`),
  ];
  if (lines.length === 0) return ['nothing differs from what is wanted already'];
  const rest = same.length > 0 ? [`as before: ${same.join(', ')}`] : [];
  const after = dryRun
    ? 'nothing was written'
    : 'the leader decides, and all nodes apply';
  return [...lines, ...rest, after];
}
