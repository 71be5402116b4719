// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** docs/terminal-svg.mjs: a terminal's screen as an SVG. */
import { expect, test } from '@jest/globals';
import { execa } from 'execa';

const ROOT = new URL('../../../', import.meta.url).pathname;

async function draw(
  screen: string,
  ...args: string[]
): Promise<{ exitCode: number | undefined; stdout: string; stderr: string }> {
  const options = { cwd: ROOT, input: screen, reject: false };
  const { exitCode, stdout, stderr } = await execa(
    'node',
    ['docs/terminal-svg.mjs', ...args],
    options,
  );
  return { exitCode, stdout, stderr };
}

/** The texts of a drawing, each with where it stands. */
function textsOf(svg: string): string[] {
  return [...svg.matchAll(/<text x="(\d+)" y="(\d+)" textLength[^>]*>([^<]*)</g)].map(
    ([, x, y, text]) => `${x},${y} ${text}`,
  );
}

test('words stand in their columns, whatever the font', async () => {
  const { stdout } = await draw('one  two\n  three\n', 'words');
  expect(textsOf(stdout)).toEqual(['14,43 one', '54,43 two', '30,61 three']);
  expect(stdout).toContain('<title>words</title>');
});

test('styles last over the end of a line, until they are taken back', async () => {
  const { stdout } = await draw('\x1b[1;31mbad\nworse\x1b[0m well\n', 'styles');
  const styled = [...stdout.matchAll(/font-weight="700" fill="(#\w+)">(\w+)</g)];
  expect(styled.map(([, colour, word]) => [colour, word])).toEqual([
    ['#e06c75', 'bad'],
    ['#e06c75', 'worse'],
  ]);
});

test('an inverse run has a rectangle behind it, a block has its height', async () => {
  const { stdout } = await draw('\x1b[7mhead\x1b[27m\x1b[36m\u2584\u2588\x1b[39m\n', 'a');
  expect(stdout).toContain('width="32" height="18" fill="#d8dee9"');
  expect(stdout).toMatch(/<rect x="46" y="40" width="7" height="8" fill="#56b6c2"\/>/);
  expect(stdout).toMatch(/<rect x="54" y="32" width="7" height="16" fill="#56b6c2"\/>/);
});

test('what SVG would read is escaped', async () => {
  const { stdout } = await draw('a<b&c\n', '<title>');
  expect(textsOf(stdout)).toEqual(['14,43 a&lt;b&amp;c']);
  expect(stdout).toContain('<title>&lt;title&gt;</title>');
});

test('a sequence that it does not know is an error, and so is no title', async () => {
  const unknown = await draw('\x1b[38;5;1mred\n', 'a');
  expect(unknown.exitCode).toBe(1);
  expect(unknown.stderr).toContain('SGR 38 is not known here');
  expect(await draw('')).toMatchObject({ exitCode: 2, stdout: '' });
});
