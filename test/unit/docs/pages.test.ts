// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The papers hold together: links hit something, every page is found, and README is short. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

import { checkObject } from '../../../src/card/check.js';
import { describeVerdict } from '../../../src/card/report.js';
import { shownBy } from '../../console.js';

const ROOT = new URL('../../../', import.meta.url).pathname;
const INDEX = 'docs/README.md';
const MOST_LINES = 250;

function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

const pages = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs', name))
  .sort();
const papers = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'bench/NOTES.md',
  ...pages,
];

/** The text without what is code: there "[a](b)" and "# words" mean something else. */
function prose(text: string): string {
  return text.replace(/^( *)```[^]*?^\1```$/gm, '').replace(/^ {4}.*$/gm, '');
}

/** The anchor that GitHub gives a heading. */
function anchorOf(heading: string): string {
  return heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');
}

function anchorsOf(page: string): string[] {
  const found: string[] = [];
  for (const [, heading = ''] of prose(read(page)).matchAll(/^#+ (.*)$/gm)) {
    const anchor = anchorOf(heading);
    const same = found.filter((one) => one.replace(/-\d+$/, '') === anchor).length;
    found.push(same === 0 ? anchor : `${anchor}-${same}`);
  }
  return found;
}

interface Link {
  /** The file that it leads to, from the top of the tree. */
  file: string;
  anchor: string | undefined;
}

function linksOf(page: string): Link[] {
  const text = prose(read(page)).replace(/`[^`]*`/g, '');
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  return targets
    .filter((target) => !/^https?:/.test(target))
    .map((target) => {
      const [path = '', anchor] = target.split('#');
      return { file: path === '' ? page : join(dirname(page), path), anchor };
    });
}

/** What is wrong with a link, or nothing. */
function faultOf({ file, anchor }: Link): string[] {
  if (!existsSync(join(ROOT, file))) return [`there is no ${file}`];
  if (anchor === undefined || anchorsOf(file).includes(anchor)) return [];
  return [`${file} has no #${anchor}`];
}

describe('anchors', () => {
  test.each([
    ['Exit codes', 'exit-codes'],
    ['--check-offload', '--check-offload'],
    ['On the card: XDP offload', 'on-the-card-xdp-offload'],
    ['The `way` of [a packet](packet.md), twice', 'the-way-of-a-packet-twice'],
  ])('of "%s"', (heading, anchor) => {
    expect(anchorOf(heading)).toBe(anchor);
  });

  test('a link to a file or heading that is not there is a fault', () => {
    expect(faultOf({ file: 'docs/nothing.md', anchor: undefined })).toHaveLength(1);
    expect(faultOf({ file: 'README.md', anchor: 'nothing' })).toHaveLength(1);
    expect(faultOf({ file: 'README.md', anchor: 'licence' })).toEqual([]);
  });
});

test.each(papers)('the links of %s hit something', (page) => {
  expect(linksOf(page).flatMap(faultOf)).toEqual([]);
});

test('each page is linked from the index', () => {
  const linked = linksOf(INDEX).map(({ file }) => file);
  expect(pages.filter((page) => page !== INDEX && !linked.includes(page))).toEqual([]);
  expect(pages.length).toBeGreaterThan(20);
});

test(`README.md has at most ${MOST_LINES} lines`, () => {
  expect(read('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(MOST_LINES);
});

test('each command has a page with a block for its options, and l4lb for its verbs', () => {
  const { bin } = JSON.parse(read('package.json')) as { bin: Record<string, string> };
  for (const command of Object.keys(bin)) {
    const kind = command === 'l4lb' ? 'verbs' : 'options';
    expect(read(`docs/reference/${command}.md`)).toContain(
      `<!-- generated: ${kind} ${command} -->`,
    );
  }
});

test.each(pages)('generated blocks of %s have an end', (page) => {
  const marks = [...read(page).matchAll(/^<!-- (generated: .+|end) -->$/gm)];
  const kinds = marks.map(([, mark = '']) => (mark === 'end' ? 'end' : 'begin'));
  expect(kinds).toEqual(kinds.map((_, i) => (i % 2 === 0 ? 'begin' : 'end')));
  expect(kinds.length % 2).toBe(0);
});

/** The figures as they are, up to a tenth: they change a little with every change to the C. */
function roughly(shown: string, line: string | undefined): boolean {
  const numbers = (text: string): number[] =>
    [...text.matchAll(/\d[\d,]*/g)].map(([digits]) => Number(digits.replaceAll(',', '')));
  const words = (text: string): string => text.replace(/\d[\d,]*/g, 'N');
  if (line === undefined || words(shown) !== words(line)) return false;
  const actual = numbers(line);
  return numbers(shown).every((one, i) => Math.abs(one - (actual[i] ?? NaN)) <= one / 10);
}

describe('what l4lb-load --check-offload says', () => {
  const page = 'docs/reference/l4lb-load.md';
  const shown = shownBy(read(page)).flatMap((step) =>
    step.kind === 'command' && step.output.length > 0 ? [step] : [],
  );

  test('is shown for both builds', () => {
    expect(shown.map(({ command }) => command)).toEqual([
      'l4lb-load --check-offload',
      'l4lb-load --check-offload l4lb_xdp_host.o',
    ]);
  });

  test.each(shown)('$command', ({ command, output }) => {
    const object = command.split(' ')[2] ?? 'l4lb_xdp.o';
    const verdict = checkObject(readFileSync(join(ROOT, object)));
    const lines = describeVerdict(object, verdict);
    const missing = output.filter(
      (one) => one !== '...' && !lines.some((line) => roughly(one, line)),
    );
    expect(missing).toEqual([]);
  });
});
