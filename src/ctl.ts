// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb ctl: asks l4lbd how all is, and tells it what to do with a destination. */
import { Argument } from 'commander';

import type { ByHandResult, Status } from './api/status.js';
import { describeByHand, describeDaemon } from './api/text.js';
import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import { jsonOption } from './cli/options.js';
import type { Question } from './system/daemon-socket.js';
import { askDaemon, noDaemon } from './system/daemon-socket.js';
import { print } from './system/output.js';
import { Failure, UsageFailure } from './text/failure.js';

interface Flags {
  interface: string;
  dryRun?: boolean;
  json?: boolean;
}

const DESTINATION_WORDS = ['drain', 'undrain', 'down', 'auto', 'weight'];
export const CTL_WORDS: readonly string[] = ['status', 'reload', ...DESTINATION_WORDS];

const NOTES = `status                        how services and destinations are
reload                        read the file again; one with a fault changes nothing
drain SERVICE DESTINATION     no new connections; those that it has stay
undrain SERVICE DESTINATION   takes that back
down SERVICE DESTINATION      no packets any more, not even of its connections
weight SERVICE DESTINATION N  N in place of the weight of the file
auto SERVICE DESTINATION      takes back all that was decided by hand
What is decided by hand holds until it is taken back: through a reload, through a restart of
l4lbd, and whatever the checks say.`;

export function ctlCommand(): CliCommand {
  return newDeviceCommand(
    'ctl',
    'Ask l4lbd how all is, drain a destination, give it a weight.',
  )
    .addArgument(
      new Argument('[command...]', 'what to do; see below').default(['status'], 'status'),
    )
    .option('--dry-run', 'print how many slots would move, and change nothing')
    .addOption(jsonOption())
    .explainedBy({
      notes: NOTES,
      examples: [
        'l4lb ctl -i eth0',
        'l4lb ctl -i eth0 drain web 10.0.1.3 --dry-run',
        'l4lb ctl -i eth0 drain web 10.0.1.3',
        'l4lb ctl -i eth0 auto web 10.0.1.3',
      ],
    })
    .action(run);
}

async function run(
  words: string[],
  { interface: device, dryRun = false, json = false }: Flags,
): Promise<void> {
  const { question, show } = questionIn(words, dryRun);
  const answer = await askDaemon(device, question);
  if (!answer) throw noDaemon(device);
  if (answer.status !== 200) throw refused(device, answer.text);
  if (json) print(answer.text.trimEnd());
  else show(JSON.parse(answer.text)).forEach(print);
}

interface Asked {
  question: Question;
  /** The answer in words. */
  show: (answer: unknown) => string[];
}

function questionIn(words: readonly string[], dryRun: boolean): Asked {
  const [word = '', service, destination, weight, ...rest] = words;
  if (!CTL_WORDS.includes(word)) {
    throw new UsageFailure(`ctl cannot ${word}`, {
      next: `one of: ${CTL_WORDS.join(', ')}`,
    });
  }
  if (!DESTINATION_WORDS.includes(word)) {
    if (words.length > 1) throw tooMany(word, `l4lb ctl ${word}`);
    if (dryRun) throw new UsageFailure(`--dry-run does not go with ${word}`);
    return word === 'status'
      ? {
          question: { method: 'GET', path: '/status' },
          show: (answer) => describeDaemon(answer as Status),
        }
      : {
          question: { method: 'POST', path: '/reload' },
          show: () => ['the file was read again'],
        };
  }
  const form = `l4lb ctl ${word} SERVICE DESTINATION${word === 'weight' ? ' N' : ''}`;
  if (service === undefined || destination === undefined) {
    throw new UsageFailure(`${word} of what?`, { next: form });
  }
  if (rest.length > 0 || (word !== 'weight' && weight !== undefined))
    throw tooMany(word, form);
  if (word === 'weight' && (weight === undefined || !/^\d{1,5}$/.test(weight))) {
    throw new UsageFailure(`${weight ?? 'nothing'} is no weight`, { next: form });
  }
  const body = { dry_run: dryRun, ...(word === 'weight' && { weight: Number(weight) }) };
  const names = [service, destination].map(encodeURIComponent);
  return {
    question: {
      method: 'POST',
      path: `/services/${names.join('/destinations/')}/${word}`,
      body,
    },
    show: (answer) => describeByHand(answer as ByHandResult),
  };
}

function tooMany(word: string, form: string): UsageFailure {
  return new UsageFailure(`too many words for ${word}`, { next: form });
}

interface Refusal {
  error: string;
  cause?: string | null;
  next?: string | null;
}

function refused(device: string, text: string): Failure {
  let said: Refusal;
  try {
    said = JSON.parse(text) as Refusal;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return new Failure(`l4lbd on ${device} answered what is no JSON`);
  }
  const { error, cause, next } = said;
  return new Failure(error, { cause: cause ?? undefined, next: next ?? undefined });
}
