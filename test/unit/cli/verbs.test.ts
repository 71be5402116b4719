// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The verbs of l4lb: their help, their errors, and that every command is one. */
import { afterEach, expect, jest, test } from '@jest/globals';
import { existsSync, readFileSync, readdirSync } from 'node:fs';

import type { CliCommand } from '../../../src/cli/command.js';
import { l4lbCommand } from '../../../src/l4lb.js';

const ROOT = new URL('../../../', import.meta.url);
const VERBS = l4lbCommand().commands.map((verb) => verb.name());

/** Runs `l4lb LINE` up to its action. */
async function runLine(line: string): Promise<{ exitCode: number; output: string }> {
  let output = '';
  const write = (text: string): void => {
    output += text;
  };
  const l4lb = l4lbCommand();
  for (const command of [l4lb, ...l4lb.commands]) {
    command.configureOutput({
      writeOut: write,
      writeErr: write,
      getOutHelpWidth: () => 100,
      getErrHelpWidth: () => 100,
    });
  }
  process.argv = ['node', 'l4lb', ...line.split(' ').filter((word) => word !== '')];
  process.exitCode = undefined;
  const stdout = jest.spyOn(process.stdout, 'on').mockReturnValue(process.stdout);
  await l4lb.main();
  stdout.mockRestore();
  const exitCode = exitCodeNow();
  process.exitCode = undefined;
  return { exitCode, output };
}

/** What the process would end with now. */
function exitCodeNow(): number {
  return Number(process.exitCode ?? 0);
}

const ARGV = process.argv;
afterEach(() => {
  process.argv = ARGV;
});

test('these are the verbs', () => {
  expect(VERBS.join(' ')).toBe(
    'load replace off status check decap map export settle watch ctl events fleet stats explain doctor disturb flood',
  );
});

test.each(['', ...VERBS])('l4lb %s --help is this text', async (verb) => {
  const { exitCode, output } = await runLine(`${verb} --help`);
  expect(exitCode).toBe(0);
  expect(output).toMatchSnapshot();
});

test('without a verb it prints its help, and that is wrong usage', async () => {
  const { exitCode, output } = await runLine('');
  expect(exitCode).toBe(2);
  expect(output).toBe((await runLine('--help')).output);
});

test.each([
  { line: 'sett', error: "l4lb: unknown command 'sett'\n(Did you mean settle?)" },
  { line: 'satus -i eth0', error: '(Did you mean status?)' },
  { line: 'drain web 10.0.1.1', error: '  next: l4lb ctl -i DEVICE drain' },
  { line: 'off', error: "l4lb off: required option '-i, --interface <device>'" },
  {
    line: 'load -i eth0 --off',
    error:
      "l4lb load: unknown option '--off'\n  next: l4lb off, which does what --off does\n",
  },
  { line: 'load -i eth0 --replace', error: '  next: l4lb replace' },
  { line: 'load -i eth0 --status', error: '  next: l4lb status' },
  { line: 'load -i eth0 --decap', error: '  next: l4lb decap' },
  { line: 'load -i eth0 --check-offload', error: '  next: l4lb check' },
  { line: 'map -i eth0 --export', error: '  next: l4lb export' },
  { line: 'map -i eth0 --settle', error: '  next: l4lb settle' },
  { line: 'settle -i eth0 -f a.csv', error: "unknown option '-f'" },
  { line: 'export -i eth0 --json', error: "unknown option '--json'" },
  { line: 'decap -i eth0 -m xdpoffload', error: 'Allowed choices are auto, xdpdrv' },
  { line: 'map -i eth0 -c a.toml -f a.csv', error: 'cannot be used with option' },
])('l4lb $line is wrong usage: $error', async ({ line, error }) => {
  const { exitCode, output } = await runLine(line);
  expect(exitCode).toBe(2);
  expect(output).toContain(error);
});

test.each([
  { line: 'map -i eth0', error: 'l4lb map: nothing to fill from\n' },
  {
    line: 'map -i eth0 -f a.csv --dry-run --wait',
    error: 'l4lb map: --dry-run does not',
  },
  { line: 'load -i eth0 --vip any', error: 'l4lb load: --source, --vip' },
  { line: 'replace -i eth0 --slots 64', error: 'l4lb replace: --source, --vip' },
  { line: 'load -i eth0 -m xdpoffload --flows 8', error: 'l4lb load: --flows is for' },
])('l4lb $line is wrong usage, which the verb itself finds', async ({ line, error }) => {
  let said = '';
  const stderr = jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
  const { exitCode } = await runLine(line);
  stderr.mockRestore();
  expect(exitCode).toBe(2);
  expect(said).toContain(error);
});

test('each file at the top of src/ is l4lb, one of its verbs, or the daemon', () => {
  const files = readdirSync(new URL('src/', ROOT))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.replace('.ts', '').replace('map-fill', 'map'));
  expect(files.sort()).toEqual(['l4lb', 'l4lbd', ...VERBS].sort());
});

test('each program of the package is a few lines, and runs a command of its name', async () => {
  const { bin } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as {
    bin: Record<string, string>;
  };
  const programs = readdirSync(new URL('bin/', ROOT)).filter((name) =>
    /\.js$/.test(name),
  );
  const names = programs.map((name) => name.replace('.js', ''));
  expect(Object.keys(bin).sort()).toEqual(names.sort());
  for (const [name, path] of Object.entries(bin)) {
    const lines = readFileSync(new URL(path, ROOT), 'utf8').trimEnd().split('\n');
    // l4lbd listens to SIGHUP before it loads anything.
    expect(lines).toHaveLength(name === 'l4lbd' ? 5 : 3);
    const [, make = '', file = ''] =
      /^const \{ (\w+) \} = require\('\.\.\/dist\/([\w-]+)\.cjs'\);$/.exec(
        lines.at(-2) ?? '',
      ) ?? [];
    expect(lines.at(-1)).toBe(`${make}().main();`);
    const source = new URL(`src/${file}.ts`, ROOT);
    expect(existsSync(source)).toBe(true);
    const module = (await import(source.pathname)) as Record<string, () => CliCommand>;
    expect(module[make]?.().name()).toBe(name);
  }
});
