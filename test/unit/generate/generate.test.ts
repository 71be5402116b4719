// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What is generated is up to date, and whole. */
import { describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { pageOf, programs } from '../../../generate/commands.js';
import { generatedFiles } from '../../../generate/files.js';
import { commandPage } from '../../../generate/man.js';
import { fillBlocks } from '../../../generate/reference.js';
import { newCommand } from '../../../src/cli/command.js';
import { packaged } from '../../../src/system/package.js';

const FILES = generatedFiles();

test.each(FILES)('$path is as make docs writes it', ({ path, text }) => {
  expect(existsSync(packaged(path))).toBe(true);
  expect(readFileSync(packaged(path), 'utf8')).toBe(text);
});

test('nothing else is in man/ and completion/', () => {
  const paths = FILES.map(({ path }) => path).filter((path) => !path.startsWith('docs/'));
  const there = ['man', 'completion'].flatMap((folder) =>
    readdirSync(packaged(folder)).map((name) => join(folder, name)),
  );
  expect(there.sort()).toEqual(paths.sort());
});

test('each program of the package has its page, and npm installs all pages', () => {
  const { bin, man } = JSON.parse(readFileSync(packaged('package.json'), 'utf8')) as {
    bin: Record<string, string>;
    man: string[];
  };
  expect(man.map((path) => path.replace('man/', ''))).toEqual(
    readdirSync(packaged('man')).sort(),
  );
  const names = programs().map(({ name }) => name);
  expect(names.sort()).toEqual(Object.keys(bin).sort());
});

test('every program and every table of keys and verdicts stands in the reference', () => {
  const pages = FILES.filter(({ path }) => path.startsWith('docs/reference/'));
  const all = pages.map(({ text }) => text).join('');
  const names = programs().flatMap(({ name, verbs }) =>
    verbs.length > 0 ? [`verbs ${name}`] : [`options ${name}`],
  );
  const kinds = [
    'verdicts',
    'verdicts decap',
    'keys',
    'keys service',
    'keys destination',
  ];
  for (const name of [...names, ...kinds]) {
    expect(all).toContain(`<!-- generated: ${name} -->`);
  }
});

const SAMPLE = pageOf(
  newCommand('l4lb-sample', 'Show how. Twice.')
    .requiredOption('-i, --interface <device>', 'the device')
    .option('--size <bytes>', 'bytes a|b (default: 60)')
    .option('--kind <kind>', 'a kind (default for a new one: \\x)')
    .option('--interval <seconds>', 'seconds', Number, 1)
    .explainedBy({ notes: 'One line\nand another.', examples: [".'l4lb-sample' \\n"] }),
);

describe('an option', () => {
  test.each([
    { long: '--interface', meaning: 'the device', usual: 'required', values: 'devices' },
    { long: '--size', meaning: 'bytes a|b', usual: '60', values: 'free' },
    { long: '--kind', meaning: 'a kind', usual: 'for a new one: \\x', values: 'free' },
    { long: '--interval', meaning: 'seconds', usual: '1', values: 'free' },
  ])('$long has its default apart from its meaning', ({ long, ...expected }) => {
    const option = SAMPLE.options.find((one) => one.long === long);
    expect(option).toMatchObject(expected);
  });
});

describe('a block', () => {
  const filling = new Map([['verdicts', '| a |']]);

  test('is filled, whatever was in it, and the page around it stays', () => {
    const page = 'One\n\n<!-- generated: verdicts -->\nold\n<!-- end -->\n\nTwo\n';
    const filled =
      'One\n\n<!-- generated: verdicts -->\n\n| a |\n\n<!-- end -->\n\nTwo\n';
    expect(fillBlocks(page, filling)).toBe(filled);
    expect(fillBlocks(filled, filling)).toBe(filled);
  });

  test('of an unknown name is an error that lists the known ones', () => {
    const page = '<!-- generated: options l4lb-lod -->\n<!-- end -->';
    expect(() => fillBlocks(page, filling)).toThrow(
      'nothing is generated for "options l4lb-lod", but: verdicts',
    );
  });
});

test('a manual page has what roff would take for commands and escapes as text', () => {
  const page = commandPage(SAMPLE, [SAMPLE], '1.2.3');
  expect(page).toContain('.SH "NAME"\nl4lb\\-sample \\- show how\n');
  expect(page).toContain('One line and another.');
  expect(page).toContain('Bytes a|b. Default: 60.');
  expect(page).toContain('The device. Required.');
  expect(page).toContain("\n# .'l4lb\\-sample' \\en\n");
});
