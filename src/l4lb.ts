// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb: offers every command as a verb. */
import { checkCommand } from './check.js';
import type { CliCommand } from './cli/command.js';
import { newCommand } from './cli/command.js';
import { CTL_WORDS, ctlCommand } from './ctl.js';
import { decapCommand } from './decap.js';
import { disturbCommand } from './disturb.js';
import { doctorCommand } from './doctor.js';
import { eventsCommand } from './events.js';
import { explainCommand } from './explain.js';
import { fleetCommand } from './fleet.js';
import { exportCommand } from './export.js';
import { floodCommand } from './flood.js';
import { loadVerb } from './load.js';
import { mapVerb } from './map-fill.js';
import { offCommand } from './off.js';
import { replaceCommand } from './replace.js';
import { settleCommand } from './settle.js';
import { statsCommand } from './stats.js';
import { statusCommand } from './status.js';
import { watchCommand } from './watch.js';

// The programs beside l4lb, so that a process that runs several loads only this file.
export { disturbCommand, doctorCommand, explainCommand, floodCommand, statsCommand };
export { loadCommand } from './load.js';
export { mapCommand } from './map-fill.js';

/** In the order of the help. To add a command, add it here and nowhere else. */
const VERBS: readonly (() => CliCommand)[] = [
  loadVerb,
  replaceCommand,
  offCommand,
  statusCommand,
  checkCommand,
  decapCommand,
  mapVerb,
  exportCommand,
  settleCommand,
  watchCommand,
  ctlCommand,
  eventsCommand,
  fleetCommand,
  statsCommand,
  explainCommand,
  doctorCommand,
  disturbCommand,
  floodCommand,
];

/** Flags of l4lb-load and l4lb-map, and the verbs that replace them here. */
const VERB_OF_FLAG = new Map([
  ['--replace', 'replace'],
  ['--off', 'off'],
  ['--status', 'status'],
  ['--check-offload', 'check'],
  ['--decap', 'decap'],
  ['--export', 'export'],
  ['--settle', 'settle'],
]);

export function l4lbCommand(): CliCommand {
  const l4lb = newCommand('l4lb', 'A layer-4 load balancer in XDP.')
    .helpCommand(false)
    .showHelpAfterError('(--help explains the commands)');
  for (const verb of VERBS.map((make) => make())) {
    // Some verbs are also programs of their own, such as l4lb-stats.
    l4lb.addCommand(verb.name(verb.name().replace(/^l4lb-/, '')));
    addNext(verb, verbOfFlagIn);
  }
  addNext(l4lb, ctlWordIn);
  return l4lb.explainedBy({
    notes: `l4lb COMMAND --help explains a command. Some are programs of their own, with more options:
l4lb-load, l4lb-map, l4lb-stats, l4lb-explain, l4lb-doctor, l4lb-disturb, l4lb-flood.`,
    examples: [
      'l4lb load -i eth0 -f 32_destinations.csv',
      'l4lb stats -i eth0',
      'l4lb off -i eth0',
    ],
  });
}

/** Says what to run next, if that is known. */
function addNext(
  command: CliCommand,
  nextAfter: (error: string) => string | undefined,
): void {
  const before = command.configureOutput();
  command.configureOutput({
    outputError: (text, write) => {
      before.outputError?.(text, write);
      const next = nextAfter(text);
      if (next !== undefined) write(`  next: ${next}\n`);
    },
  });
}

/** Which verb does what the user wanted from a flag. */
function verbOfFlagIn(error: string): string | undefined {
  const [, flag = ''] = /unknown option '(--[a-z-]+)'/.exec(error) ?? [];
  const verb = VERB_OF_FLAG.get(flag);
  return verb && `l4lb ${verb}, which does what ${flag} does`;
}

/** What l4lbd is told is no verb of its own. */
function ctlWordIn(error: string): string | undefined {
  const [, word = ''] = /unknown command '([a-z]+)'/.exec(error) ?? [];
  return CTL_WORDS.includes(word)
    ? `l4lb ctl -i DEVICE ${word}, to tell l4lbd`
    : undefined;
}
