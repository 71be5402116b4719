// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { readFileSync } from 'node:fs';

import { readCount, readSeconds } from '../../../src/cli/values.js';
import { toJson } from '../../../src/system/output.js';
import type { CliCommand } from '../../../src/cli/command.js';
import { doctorCommand } from '../../../src/doctor.js';
import { loadCommand } from '../../../src/load.js';
import { mapCommand } from '../../../src/map-fill.js';
import { statsCommand } from '../../../src/stats.js';
import { ip } from '../wire/names.js';

const COMMANDS: Record<string, () => CliCommand> = {
  'l4lb-load': loadCommand,
  'l4lb-map': mapCommand,
  'l4lb-stats': statsCommand,
  'l4lb-doctor': doctorCommand,
};

interface Outcome {
  exitCode: number;
  stdout: string;
  stderr: string;
  /** The options, if the command line was right. */
  options: Record<string, unknown> | undefined;
}

/** Runs a command line up to its action, or with it where the action judges it. */
async function runLine(line: string, withAction = false): Promise<Outcome> {
  const [name = '', ...args] = line.split(' ');
  const command = COMMANDS[name]?.();
  if (!command) throw new Error(`no command ${name}`);
  const outcome: Outcome = { exitCode: 0, stdout: '', stderr: '', options: undefined };
  command.configureOutput({
    writeOut: (text) => (outcome.stdout += text),
    writeErr: (text) => (outcome.stderr += text),
    getOutHelpWidth: () => 100,
    getErrHelpWidth: () => 100,
  });
  if (!withAction) {
    command.action((options: Record<string, unknown>) => {
      outcome.options = options;
    });
  }
  const stderr = jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    outcome.stderr += String(text);
    return true;
  });
  process.argv = ['node', name, ...args];
  process.exitCode = undefined;
  try {
    await command.main();
    outcome.exitCode = exitCode();
  } finally {
    process.exitCode = undefined;
    stderr.mockRestore();
  }
  return outcome;
}

/** What the process would end with now. */
function exitCode(): number {
  return Number(process.exitCode ?? 0);
}

const ARGV = process.argv;
let listeners: ReturnType<typeof process.stdout.listeners> = [];

beforeEach(() => {
  listeners = process.stdout.listeners('error');
});
afterEach(() => {
  process.argv = ARGV;
  for (const listener of process.stdout.listeners('error')) {
    if (!listeners.includes(listener)) {
      process.stdout.removeListener('error', listener as () => void);
    }
  }
});

describe('command', () => {
  test.each(Object.keys(COMMANDS))(
    '%s --help is this text, and ends with 0',
    async (name) => {
      const { exitCode, stdout } = await runLine(`${name} --help`);
      expect(exitCode).toBe(0);
      expect(stdout).toMatchSnapshot();
      expect((await runLine(`${name} -h`)).stdout).toBe(stdout);
    },
  );

  test.each(Object.keys(COMMANDS))(
    "%s --version is the package's, and ends with 0",
    async (name) => {
      const { version } = JSON.parse(
        readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
      ) as { version: string };
      for (const flag of ['-V', '--version']) {
        const outcome = await runLine(`${name} ${flag}`);
        expect(outcome).toMatchObject({
          exitCode: 0,
          stdout: `${version}\n`,
          stderr: '',
        });
      }
    },
  );

  test.each([
    { line: 'l4lb-load -i ens4', options: { interface: 'ens4', mode: 'auto' } },
    { line: 'l4lb-load -i ens4 -m xdpoffload', options: { mode: 'xdpoffload' } },
    { line: 'l4lb-load -i ens4 -f a.csv b.csv', options: { file: ['a.csv', 'b.csv'] } },
    {
      line: 'l4lb-load -i ens4 --obj my.o --replace',
      options: { obj: 'my.o', replace: true },
    },
    { line: 'l4lb-load -i ens4 --off --json', options: { off: true, json: true } },
    { line: 'l4lb-load --check-offload', options: { checkOffload: true } },
    {
      line: 'l4lb-load --check-offload my.o --json',
      options: { checkOffload: 'my.o', json: true },
    },
    { line: 'l4lb-map -i ens4 -f a.csv -f b.csv', options: { file: ['a.csv', 'b.csv'] } },
    { line: 'l4lb-map -i ens4 -f -', options: { file: ['-'] } },
    {
      line: 'l4lb-map -i ens4 -c l4lb.toml --dry-run --json',
      options: { config: 'l4lb.toml', dryRun: true, json: true },
    },
    { line: 'l4lb-map -i ens4 --export -m xdpdrv', options: { export: true } },
    {
      line: 'l4lb-map -i ens4 -f a.csv -s 10.0.0.1',
      options: { source: { ipv4: { address: ip('10.0.0.1'), spread: 0 } } },
    },
    {
      line: 'l4lb-map -i ens4 -f a.csv -s 10.7.0.0/16 2001:db8::4',
      options: {
        source: {
          ipv4: { address: ip('10.7.0.0'), spread: 0xffff },
          ipv6: { address: ip('2001:db8::4'), spread: 0 },
        },
      },
    },
    {
      line: 'l4lb-map -i ens4 -f a.csv --source 10.0.0.1 --source 2001:db8::7:0/112',
      options: {
        source: {
          ipv4: { address: ip('10.0.0.1'), spread: 0 },
          ipv6: { address: ip('2001:db8::7:0'), spread: 0xffff },
        },
      },
    },
    { line: 'l4lb-map -i ens4 -f a.csv --no-echo', options: { echo: false } },
    { line: 'l4lb-map -i ens4 -f a.csv --echo', options: { echo: true } },
    { line: 'l4lb-load -i ens4 -f a.csv --no-echo', options: { echo: false } },
    { line: 'l4lb-map -i ens4 -f a.csv --slots 512', options: { slots: 512 } },
    { line: 'l4lb-map -i ens4 -f a.csv --slots 1', options: { slots: 1 } },
    {
      line: 'l4lb-map -i ens4 -f a.csv --take-ssh --dry-run',
      options: { takeSsh: true, dryRun: true },
    },
    { line: 'l4lb-stats --interface ens4', options: { interface: 'ens4', interval: 1 } },
    {
      line: 'l4lb-stats -i ens4 --interval 0.5 --count 3',
      options: { interval: 0.5, count: 3 },
    },
    {
      line: 'l4lb-stats -i ens4 --interval .25 --once',
      options: { interval: 0.25, once: true },
    },
    {
      line: 'l4lb-stats -i ens4 -m xdpdrv --json',
      options: { mode: 'xdpdrv', json: true },
    },
    {
      line: 'l4lb-doctor -i ens4 -m xdpoffload --interval 10 --json',
      options: { mode: 'xdpoffload', interval: 10, json: true },
    },
    { line: 'l4lb-doctor -i ens4', options: { interface: 'ens4', interval: 1 } },
  ])('$line is understood', async ({ line, options }) => {
    const outcome = await runLine(line);
    expect(outcome).toMatchObject({ exitCode: 0, stderr: '', options });
  });

  test('--vip may be given with several ways, and several times', async () => {
    const several = await runLine(
      'l4lb-map -i ens4 -f a.csv --vip 192.0.2.10:80/tcp 192.0.2.10:443/tcp --vip 192.0.2.20',
    );
    expect(several.options?.vip).toMatchObject([
      { port: 80, protocol: 6 },
      { port: 443, protocol: 6 },
      { port: 0, protocol: 6 },
      { port: 0, protocol: 17 },
    ]);
  });

  test.each([
    {
      line: 'l4lb-load',
      error: "required option '-i, --interface <device>' not specified",
    },
    {
      line: 'l4lb-map -i ens4 -c l4lb.toml -f a.csv',
      error:
        "option '-c, --config <file>' cannot be used with option '-f, --file <file...>'",
    },
    {
      line: 'l4lb-map -i ens4 -c l4lb.toml --vip any',
      error: "option '-c, --config <file>' cannot be used with option '--vip <way...>'",
    },
    {
      line: 'l4lb-map -i ens4 -c l4lb.toml --no-take-ssh',
      error: "option '-c, --config <file>' cannot be used with option",
    },
    {
      line: 'l4lb-map -i ens4 -c l4lb.toml --slots 512',
      error: "option '-c, --config <file>' cannot be used with option '--slots <number>'",
    },
    {
      line: 'l4lb-map -i ens4 -c l4lb.toml -s 10.0.0.4',
      error:
        "option '-c, --config <file>' cannot be used with option '-s, --source <address...>'",
    },
    {
      line: 'l4lb-map -i ens4 --export -c l4lb.toml',
      error: "option '--export' cannot be used with option '-c, --config <file>'",
    },
    {
      line: 'l4lb-stats',
      error: "required option '-i, --interface <device>' not specified",
    },
    {
      line: 'l4lb-stats -i',
      error: "option '-i, --interface <device>' argument missing",
    },
    { line: 'l4lb-stats -i ens4 --no-such', error: "unknown option '--no-such'" },
    { line: 'l4lb-stats -i ens4 more', error: 'too many arguments' },
    {
      line: 'l4lb-load -i ens4 -m xdp',
      error:
        "argument 'xdp' is invalid. Allowed choices are auto, xdpdrv, xdpgeneric, xdpoffload.",
    },
    {
      line: 'l4lb-map -i ens4 -f a.csv -m auto',
      error:
        "argument 'auto' is invalid. Allowed choices are xdpdrv, xdpgeneric, xdpoffload, dpdk.",
    },
    {
      line: 'l4lb-stats -i ens4 -m driver',
      error:
        "argument 'driver' is invalid. Allowed choices are xdpdrv, xdpgeneric, xdpoffload, dpdk.",
    },
    {
      line: 'l4lb-map -i ens4 -f a.csv -s ens4',
      error: '"ens4" is not an IP address.',
    },
    {
      line: 'l4lb-map -i ens4 -f a.csv -s 224.0.0.1',
      error: '"224.0.0.1" cannot be a source: it is a multicast address.',
    },
    {
      line: 'l4lb-map -i ens4 -f a.csv --vip web',
      error: '"web" is not an IP address.',
    },
    {
      line: 'l4lb-map -i ens4 -f a.csv --vip 192.0.2.10:0',
      error: '"0" is not a port from 1 to 65535.',
    },
    {
      line: 'l4lb-map -i ens4 -f a.csv --vip any:80',
      error: 'A port needs an address before it.',
    },
    {
      line: 'l4lb-map -i ens4 -f a.csv --vip 192.0.2.10/sctp',
      error: '"sctp" is neither tcp nor udp.',
    },
    {
      line: 'l4lb-map -i ens4 -f a.csv --vip :80',
      error: 'It is not of the form ADDR[:PORT][/PROTO].',
    },
    {
      line: 'l4lb-load -i ens4 -f a.csv --vip 192.0.2.10 web',
      error: '"web" is not an IP address.',
    },
    { line: 'l4lb-map -i ens4 -f a.csv --slots 0', error: '"0" is not a power of two.' },
    {
      line: 'l4lb-map -i ens4 -f a.csv --slots 1000',
      error: '"1000" is not a power of two.',
    },
    {
      line: 'l4lb-map -i ens4 -f a.csv --slots -512',
      error: '"-512" is not a power of two.',
    },
    {
      line: 'l4lb-map -i ens4 -f a.csv --slots many',
      error: '"many" is not a power of two.',
    },
    {
      line: 'l4lb-map -i ens4 -f a.csv --slots 16777216',
      error: '"16777216" is not a power of two.',
    },
    {
      line: 'l4lb-stats -i ens4 --interval 0',
      error: '"0" is not a number of seconds from 0.05 to 86400.',
    },
    {
      line: 'l4lb-stats -i ens4 --interval soon',
      error: '"soon" is not a number of seconds from 0.05 to 86400.',
    },
    {
      line: 'l4lb-stats -i ens4 --interval 1e9',
      error: '"1e9" is not a number of seconds from 0.05 to 86400.',
    },
    {
      line: 'l4lb-doctor -i ens4 -m auto',
      error:
        "argument 'auto' is invalid. Allowed choices are xdpdrv, xdpgeneric, xdpoffload, dpdk.",
    },
    { line: 'l4lb-stats -i ens4 --count 0', error: '"0" is not a whole number from 1.' },
    {
      line: 'l4lb-stats -i ens4 --count 1.5',
      error: '"1.5" is not a whole number from 1.',
    },
    {
      line: 'l4lb-stats -i ens4 --once --count 3',
      error: "option '--once' cannot be used with option '--count <number>'",
    },
    {
      line: 'l4lb-stats -i ens4 --json --plain',
      error: "option '--json' cannot be used with option '--plain'",
    },
    {
      line: 'l4lb-load -i ens4 --off --replace',
      error: "option '--off' cannot be used with option '--replace'",
    },
    {
      line: 'l4lb-load -i ens4 --off -f a.csv',
      error: "option '--off' cannot be used with option '-f, --file <file...>'",
    },
    {
      line: 'l4lb-load -i ens4 --status --off',
      error: "option '--status' cannot be used with option '--off'",
    },
    ...[
      ['--off', '--flows 8', '--flows <megabytes>'],
      ['--off', '--blocks 8', '--blocks <number>'],
      ['--status', '--flows 8', '--flows <megabytes>'],
      ['--status', '--blocks 8', '--blocks <number>'],
      ['--status', '-m xdpdrv', '-m, --mode <mode>'],
      ['--check-offload [object]', '-m xdpdrv', '-m, --mode <mode>'],
    ].map(([flag = '', other, option]) => ({
      line: `l4lb-load -i ens4 ${flag.replace(' [object]', '')} ${other}`,
      error: `option '${flag}' cannot be used with option '${option}'`,
    })),
    ...['--forward link', '--remember balancer', '--idle 9', '--wait'].map((option) => ({
      line: `l4lb-map -i ens4 --export ${option}`,
      error: "option '--export' cannot be used with option",
    })),
    ...['--forward link', '--remember balancer', '--table minimal'].map((option) => ({
      line: `l4lb-map -i ens4 --settle ${option}`,
      error: "option '--settle' cannot be used with option",
    })),
    {
      line: 'l4lb-load --check-offload --off',
      error: "option '--check-offload [object]' cannot be used with option '--off'",
    },
    {
      line: 'l4lb-load --check-offload my.o --obj my.o',
      error:
        "option '--check-offload [object]' cannot be used with option '--obj <file>'",
    },
  ])('$line is wrong usage: $error', async ({ line, error }) => {
    const outcome = await runLine(line);
    expect(outcome).toMatchObject({ exitCode: 2, stdout: '', options: undefined });
    expect(outcome.stderr).toContain(error);
    expect(outcome.stderr).toMatch(/^l4lb-\w+: /);
    expect(outcome.stderr).toContain('(--help explains the options)');
  });

  test.each([
    { line: 'l4lb-map -i ens4', error: 'nothing to fill from' },
    ...['--settle', '-f a.csv'].map((option) => ({
      line: `l4lb-map -i ens4 ${option} --dry-run --wait`,
      error: '--dry-run does not go with --wait',
    })),
    {
      line: 'l4lb-load -i ens4 --take-ssh',
      error:
        '--source, --vip, --take-ssh, --slots, --table, --remember, --forward, --answers, --seed, --previous and --echo say how to fill',
    },
    ...['--forward link', '--seed random'].map((option) => ({
      line: `l4lb-load -i ens4 ${option}`,
      error:
        '--source, --vip, --take-ssh, --slots, --table, --remember, --forward, --answers, --seed, --previous and --echo say how to fill',
    })),
    {
      line: 'l4lb-load -i ens4 --slots 512',
      error:
        '--source, --vip, --take-ssh, --slots, --table, --remember, --forward, --answers, --seed, --previous and --echo say how to fill',
    },
    {
      line: 'l4lb-load --check-offload --vip any',
      error:
        '--source, --vip, --take-ssh, --slots, --table, --remember, --forward, --answers, --seed, --previous and --echo say how to fill',
    },
    {
      line: 'l4lb-load -i ens4 --decap -f a.csv',
      error: '--decap has no destinations to fill',
    },
    {
      line: 'l4lb-load -i ens4 --names 10.7.0.0/16',
      error: '--names says how to fill, or whom a destination knows',
    },
    {
      line: 'l4lb-load -i ens4 --decap --names 10.7.0.0/16',
      error: '--names and --siblings need each other',
    },
    {
      line: 'l4lb-load -i ens4 --decap --siblings a.csv',
      error: '--names and --siblings need each other',
    },
    {
      line: 'l4lb-load -i ens4 --siblings a.csv',
      error: '--siblings is for the decapsulation program',
    },
    {
      line: 'l4lb-load -i ens4 --decap -m xdpoffload',
      error: '--decap is not for a card: it counts per CPU',
    },
  ])('$line is wrong usage, which the command itself finds', async ({ line, error }) => {
    const outcome = await runLine(line, true);
    expect(outcome.exitCode).toBe(2);
    const [name = ''] = line.split(' ');
    expect(outcome.stderr).toContain(`${name}: ${error}\n`);
    expect(outcome.stderr).toContain('  next: ');
  });

  test.each([
    { text: '1', seconds: 1 },
    { text: '0.05', seconds: 0.05 },
    { text: '.5', seconds: 0.5 },
    { text: '86400', seconds: 86_400 },
  ])('$text is $seconds seconds', ({ text, seconds }) => {
    expect(readSeconds(text)).toBe(seconds);
  });

  test.each(['', '-1', '0', '0.04', '86401', '1s', '1.', ' 1', 'Infinity', '0x10'])(
    '"%s" is no number of seconds',
    (text) => {
      expect(() => readSeconds(text)).toThrow(
        `"${text}" is not a number of seconds from 0.05 to 86400.`,
      );
    },
  );

  test.each(['', '0', '-1', '1.5', '1e3', 'many', '1000000000'])(
    '"%s" is no count',
    (text) => {
      expect(() => readCount(text)).toThrow(`"${text}" is not a whole number from 1.`);
    },
  );

  test('JSON has bigints as plain integers, however large, and stays JSON', () => {
    const value = { big: 2n ** 64n - 1n, list: [0n, -1n], text: '1n', number: 1.5 };
    expect(toJson(value)).toBe(
      '{"big":18446744073709551615,"list":[0,-1],"text":"1n","number":1.5}',
    );
  });
});
