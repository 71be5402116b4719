// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Makes the tables of the reference, and fills the marked blocks of a page with them. */
import { DECAP_VERDICTS } from '../src/abi/decap.js';
import type { Verdict } from '../src/abi/verdicts.js';
import { VERDICTS } from '../src/abi/verdicts.js';
import { METRICS } from '../src/api/metrics.js';
import type { Key } from '../src/config/keys.js';
import {
  CHECK_KEYS,
  DAEMON_KEYS,
  DESTINATION_KEYS,
  SERVICE_KEYS,
  TOP_KEYS,
} from '../src/config/keys.js';
import type { CommandPage } from './commands.js';

/** The tables by the words after `generated:`. */
export function tables(programs: readonly CommandPage[]): Map<string, string> {
  const pages = programs.flatMap((program) => [program, ...program.verbs]);
  return new Map([
    ...pages.map((page) => [`options ${page.name}`, optionTable(page)] as const),
    ...programs
      .filter(({ verbs }) => verbs.length > 0)
      .map((program) => [`verbs ${program.name}`, verbTable(program)] as const),
    ['verdicts', verdictTable(VERDICTS)],
    ['verdicts decap', verdictTable(DECAP_VERDICTS, 'sent on')],
    ['metrics', metricTable()],
    ['keys', keyTable(TOP_KEYS)],
    ['keys daemon', keyTable(DAEMON_KEYS)],
    ['keys service', keyTable(SERVICE_KEYS)],
    ['keys check', keyTable(CHECK_KEYS)],
    ['keys destination', keyTable(DESTINATION_KEYS)],
  ]);
}

function optionTable({ options, argument }: CommandPage): string {
  const rows = options
    .filter(({ long }) => long !== '--help' && long !== '--version')
    .map(({ flags, meaning, usual }) => [code(flags), meaning, usual]);
  if (argument) rows.unshift([code(argument.name), argument.meaning, argument.usual]);
  if (rows.length === 0) return 'It has no options but `-h, --help` and `-V, --version`.';
  return table(['option', 'meaning', 'default'], rows);
}

function verbTable({ verbs }: CommandPage): string {
  return table(
    ['verb', 'what it does'],
    verbs.map(({ name, summary }) => [code(name), summary]),
  );
}

/** `other` says what the verdicts from 32 on do: they do not send to a slot's destination. */
function verdictTable(verdicts: readonly Verdict[], other = 'answered'): string {
  return table(
    ['verdict', 'action', 'meaning'],
    verdicts.map((verdict) => [verdict.name, actionOf(verdict, other), verdict.meaning]),
  );
}

function actionOf({ number, action }: Verdict, other: string): string {
  if (action === 'TX') return number >= 32 ? other : 'sent';
  if (action === 'REDIRECT') return 'sent on';
  return action === 'PASS' ? 'passed' : 'dropped';
}

function keyTable(keys: readonly Key[]): string {
  return table(
    ['key', 'meaning', 'default'],
    keys.map(({ name, meaning, usual }) => [code(name), meaning, usual]),
  );
}

function metricTable(): string {
  return table(
    ['metric', 'labels', 'kind', 'meaning'],
    METRICS.map(({ name, labels, type, help }) => [
      code(name),
      labels.map(code).join(', '),
      type,
      help,
    ]),
  );
}

function table(head: string[], rows: readonly string[][]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`.replaceAll(
      '|  |',
      '| |',
    );
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function code(text: string): string {
  return `\`${text}\``;
}

const BLOCK = /<!-- generated: ([^>]*) -->\n(.*?)<!-- end -->/gs;

/** Returns a page with its blocks filled. */
export function fillBlocks(page: string, filling: ReadonlyMap<string, string>): string {
  return page.replace(BLOCK, (_, name: string) => {
    const text = filling.get(name);
    if (text === undefined) {
      throw new Error(
        `nothing is generated for "${name}", but: ${[...filling.keys()].join(', ')}`,
      );
    }
    return `<!-- generated: ${name} -->\n\n${text}\n\n<!-- end -->`;
  });
}
