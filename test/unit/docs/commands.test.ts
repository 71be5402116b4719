// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Every command line that README and docs/ show is one that our commands take. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, test } from '@jest/globals';

import { disturbCommand } from '../../../src/disturb.js';
import { doctorCommand } from '../../../src/doctor.js';
import { explainCommand } from '../../../src/explain.js';
import { floodCommand } from '../../../src/flood.js';
import { loadCommand } from '../../../src/load.js';
import { mapCommand } from '../../../src/map-fill.js';
import { statsCommand } from '../../../src/stats.js';

const ROOT = new URL('../../../', import.meta.url).pathname;

const COMMANDS = new Map<string, () => Command>([
  ['l4lb-load', loadCommand],
  ['l4lb-map', mapCommand],
  ['l4lb-stats', statsCommand],
  ['l4lb-explain', explainCommand],
  ['l4lb-doctor', doctorCommand],
  ['l4lb-disturb', disturbCommand],
  ['l4lb-flood', floodCommand],
]);

interface Line {
  name: string;
  args: string[];
}

/** Words as a shell has them, up to a pipe, a redirection, a comment or an elision. */
function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const [word] of text.matchAll(/'[^']*'|"[^"]*"|\S+/g)) {
    if (/^(\||>|2>|&|#|;|\.\.\.)/.test(word)) break;
    words.push(word.replace(/^'(.*)'$|^"(.*)"$/, '$1$2'));
  }
  return words;
}

function lineIn(text: string): Line[] {
  const { name = '', rest = '' } =
    /(?:^|[ /])(?<name>l4lb-[a-z]+)(?:\.js)?(?= |$)(?<rest>.*)/.exec(text)?.groups ?? {};
  return COMMANDS.has(name) ? [{ name, args: wordsOf(rest) }] : [];
}

/** What a reader would type: lines of code behind a prompt. A heading begins like one. */
function linesOf(page: string): Line[] {
  const fenced = [...page.matchAll(/^( *)```console.*\n([^]*?)^\1```$/gm)];
  const indented = [...page.matchAll(/^ {4}.*$/gm)].map(([line]) => line);
  const code = [...fenced.map(([, , block = '']) => block), ...indented].join('\n');
  return [...code.matchAll(/^ *[a-z]*\d?[#$] (.*)$/gm)].flatMap(([, text = '']) =>
    lineIn(text),
  );
}

/** What stands in a sentence or a table, and may be a part of a command line. */
function mentionsOf(page: string): Line[] {
  return [...page.matchAll(/`(l4lb-[a-z]+ [^`\n]+)`/g)].flatMap(([, text = '']) =>
    lineIn(text),
  );
}

/** Complaints of commander, without what the command itself would then do. */
async function complaintsOf({ name, args }: Line): Promise<string> {
  const command = COMMANDS.get(name)?.();
  if (!command) return `there is no ${name}`;
  let complaints = '';
  command
    .exitOverride()
    .configureOutput({ writeErr: (text) => (complaints += text), writeOut: () => {} })
    .action(() => {});
  await command.parseAsync(args, { from: 'user' }).catch(() => undefined);
  return complaints;
}

const pages = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs', name));
const texts = ['README.md', ...pages].map((page) => ({
  page,
  text: readFileSync(join(ROOT, page), 'utf8'),
}));

describe('a line', () => {
  test.each([
    ['l4lb-map -i eth0 -f web.csv', 'l4lb-map', ['-i', 'eth0', '-f', 'web.csv']],
    ['l4lb-stats -i eth0 --json | jq .totals', 'l4lb-stats', ['-i', 'eth0', '--json']],
    ['try client -- bin/l4lb-flood.js -i eth0', 'l4lb-flood', ['-i', 'eth0']],
    ["l4lb-disturb --change 'add 1'  # words", 'l4lb-disturb', ['--change', 'add 1']],
  ])('%s', (text, name, args) => {
    expect(lineIn(text)).toEqual([{ name, args }]);
  });

  test('with an option that is not there is complained about', async () => {
    const [line] = lineIn('l4lb-map -i eth0 --fill web.csv');
    expect(line && (await complaintsOf(line))).toContain("unknown option '--fill'");
  });
});

test('the pages show each command, and many lines', () => {
  const lines = texts.flatMap(({ text }) => linesOf(text));
  expect(new Set(lines.map(({ name }) => name))).toEqual(new Set(COMMANDS.keys()));
  expect(lines.length).toBeGreaterThan(60);
});

const shown = texts.filter(({ text }) => linesOf(text).length > 0);

test.each(shown)('commander takes every command of $page', async ({ text }) => {
  for (const line of linesOf(text)) {
    expect([line, await complaintsOf(line)]).toEqual([line, '']);
  }
});

const mentioned = texts.filter(({ text }) => mentionsOf(text).length > 0);

test.each(mentioned)('$page mentions no option that is not there', ({ text }) => {
  for (const { name, args } of mentionsOf(text)) {
    const options = COMMANDS.get(name)?.().options ?? [];
    const known = options.flatMap(({ short, long }) => [short, long]);
    const unknown = args.filter(
      (word) => /^--?[a-z]/.test(word) && !known.includes(word),
    );
    expect([name, unknown]).toEqual([name, []]);
  }
});
