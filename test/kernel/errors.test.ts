// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What goes wrong for users, and what they see: message, exit code, and no change. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Finished } from './network.js';
import { Network, ROOT } from './network.js';

const SAMPLE = 'destination_samples/32_destinations.csv';
const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
let network: Network;

beforeAll(async () => {
  network = await Network.up('--destinations', SAMPLE);
});
afterAll(async () => {
  await network.down();
  rmSync(folder, { recursive: true });
});

function csv(text: string): string {
  const path = join(folder, 'file.csv');
  writeFileSync(path, text);
  return path;
}

function expectFailure(
  finished: Finished,
  exitCode: number,
  ...messages: string[]
): void {
  expect(finished.stdout.replace(/^Loading file with \d+ destinations$/, '')).toBe('');
  for (const message of messages) expect(finished.stderr).toContain(message);
  expect(finished.exitCode).toBe(exitCode);
}

describe.each(['load', 'map', 'stats'] as const)('l4lb-%s', (command) => {
  const bin = `bin/l4lb-${command}.js`;
  const needed = command === 'map' ? ['-f', SAMPLE] : [];

  test('names the existing devices if there is none of that name', async () => {
    const finished = await network.runProcess('balancer', bin, ['-i', 'eth9', ...needed]);
    expectFailure(
      finished,
      1,
      `l4lb-${command}: no device eth9`,
      'next: name one of: lo, eth0',
    );
  });

  test('needs root, and says how', async () => {
    const finished = await network.run('balancer', 'setpriv', [
      '--reuid=65534',
      '--clear-groups',
      process.execPath,
      bin,
      '-i',
      'eth0',
      ...needed,
    ]);
    expectFailure(finished, 1, `l4lb-${command}: this needs root`, 'next: sudo ');
  });

  test('exits with 2 on wrong usage', async () => {
    const missing = await network.runProcess('balancer', bin, needed);
    expectFailure(missing, 2, "required option '-i, --interface <device>' not specified");
    const args = ['-i', 'eth0', ...needed, '--no-such-option'];
    expectFailure(
      await network.runProcess('balancer', bin, args),
      2,
      "unknown option '--no-such-option'",
    );
  });

  test('prints help and version to stdout, and exits with 0', async () => {
    const help = await network.runProcess('balancer', bin, ['--help']);
    expect(help).toMatchObject({ exitCode: 0, stderr: '' });
    expect(help.stdout).toMatch(new RegExp(`^Usage: l4lb-${command} `));
    expect(help.stdout).toContain('Examples:');
    const version = await network.runProcess('balancer', bin, ['-V']);
    expect(version).toMatchObject({ exitCode: 0, stdout: '0.1.0' });
  });

  test('is a command of l4lb too', async () => {
    const finished = await network.runProcess('balancer', 'bin/l4lb.js', [
      command,
      '--help',
    ]);
    expect(finished.exitCode).toBe(0);
    expect(finished.stdout).toMatch(new RegExp(`^Usage: l4lb ${command} `));
  });
});

test('where the output cannot be written, each command says why', async () => {
  const each = `for one in bin/l4lb*.js; do
    $one --help > /dev/full; echo "$? $one"
  done; bin/l4lb-load.js -i eth9 2> /dev/full; echo $?`;
  const { stdout, stderr } = await network.run('balancer', 'bash', ['-c', each]);
  const commands = ['-disturb', '-doctor', '-explain', '-flood', '-load', '-map'];
  const names = [...commands, '-stats', '', 'd'].map((name) => `l4lb${name}`);
  expect(stdout.split('\n')).toEqual([...names.map((name) => `1 bin/${name}.js`), '1']);
  const said = names.map(
    (name) =>
      `${name}: cannot write to stdout\n` +
      '  likely cause: the disk is full\n' +
      '  next: make room there, or send the output elsewhere\n',
  );
  expect(`${stderr}\n`).toBe(said.join(''));
});

test('l4lb without a command, or with an unknown one, is wrong usage', async () => {
  expect((await network.runProcess('balancer', 'bin/l4lb.js')).exitCode).toBe(2);
  const finished = await network.runProcess('balancer', 'bin/l4lb.js', ['stat']);
  expectFailure(finished, 2, "unknown command 'stat'", 'Did you mean stats?');
});

describe('without a program', () => {
  test.each(['map', 'stats'] as const)(
    'l4lb-%s says how to load one',
    async (command) => {
      const finished = await network.l4lb(
        command,
        ...(command === 'map' ? ['-f', SAMPLE] : []),
      );
      expectFailure(finished, 1, 'no XDP program on eth0', 'next: l4lb-load -i eth0');
    },
  );
});

describe.each([
  ['testbed/pass.o', 'is not l4lb, but pass'],
  ['l4lb_decap.o', 'is the decapsulation program; it has no destinations'],
])('with %s on the device', (object, message) => {
  const link = ['link', 'set', 'dev', 'eth0', 'xdpdrv'];
  beforeAll(() =>
    network.expectOk('balancer', 'ip', ...link, 'obj', object, 'sec', 'xdp'),
  );
  afterAll(() => network.expectOk('balancer', 'ip', ...link, 'off'));

  test.each(['map', 'stats'] as const)('l4lb-%s says so', async (command) => {
    const finished = await network.l4lb(
      command,
      ...(command === 'map' ? ['-f', SAMPLE] : []),
    );
    expectFailure(finished, 1, message, 'next: ');
  });
});

describe('l4lb-map', () => {
  beforeAll(async () => {
    const args = ['-i', 'eth0', '-f', SAMPLE, '--slots', '1024'];
    await network.expectOk('balancer', 'bin/l4lb-load.js', ...args);
  });

  /** Expects that nothing was written: the table still holds the same file. */
  async function expectUnchanged(): Promise<void> {
    const { stdout } = await network.l4lb('map', '-f', SAMPLE, '--dry-run', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ writes: 0, destinations: 32 });
  }

  test('lists every bad row with its line, and writes nothing', async () => {
    const file = csv(
      [
        '# destinations',
        'address, MAC, weight',
        '10.0.1.1, 02:00:00:00:00:01',
        '10.0.1.300, 02:00:00:00:00:02',
        '',
        '10.0.1.3, 02:00:00:00:00',
        '10.0.1.4, 01:00:5e:00:00:01',
        '10.0.1.5, 02:00:00:00:00:05, many',
        '10.0.1.1, 02:00:00:00:00:06',
        '224.0.0.5, 02:00:00:00:00:07',
        '10.0.1.8, 02:00:00:00:00:08, 1, 2',
      ].join('\n'),
    );
    expectFailure(
      await network.l4lb('map', '-f', file),
      1,
      '7 bad rows, nothing was written',
      `${file}:4: "10.0.1.300" is not an IP address`,
      `${file}:6: "02:00:00:00:00" is not a destination's MAC address`,
      `${file}:7: "01:00:5e:00:00:01" is not a destination's MAC address: it is a group address`,
      `${file}:8: "many" is not a weight from 0 to 65535`,
      `${file}:9: 10.0.1.1 is already on ${file}:3`,
      `${file}:10: 224.0.0.5 cannot be a destination: it is a multicast address`,
      `${file}:11: 4 columns, of at most 3`,
      'next: fix the rows',
    );
    await expectUnchanged();
  });

  test.each([
    ['an empty file', '', 'no destination in the file'],
    ['only comments', '# nothing\n\n', 'no destination in the file'],
    ['only a header', 'address, MAC\n', 'no destination in the file'],
    ['a quote that never ends', '"10.0.1.1, 02:00:00:00:00:01\n', 'or is never closed'],
    ['something else', '\0\u0001\u0002ELF', 'is not an IP address'],
    [
      'an address that no host answers for',
      '10.0.9.9,\n',
      'no host answers for 10.0.9.9',
    ],
    ['an address without a route', '192.0.2.9,\n', 'no host answers for 192.0.2.9'],
  ])('refuses %s', async (_, text, message) => {
    expectFailure(
      await network.l4lb('map', '-f', csv(text)),
      1,
      message,
      'nothing was written',
    );
    await expectUnchanged();
  });

  test.each<[string[], ...string[]]>([
    [['-f', 'no_such.csv'], 'cannot read no_such.csv', 'there is no such file'],
    [['-f', 'src'], 'cannot read src', 'it is a directory'],
    [['-f', SAMPLE, '--slots', '128'], 'this service has 1024 slots'],
    [['-f', SAMPLE, '-m', 'xdpgeneric'], 'no XDP program on eth0 in mode xdpgeneric'],
  ])('%j fails', async (args, ...messages) => {
    expectFailure(await network.l4lb('map', ...args), 1, ...messages, 'next: ');
    await expectUnchanged();
  });

  test('reads stdin, resolves MACs, and warns of more than fits', async () => {
    const rows = Array.from(
      { length: 20 },
      (_, row) => `10.0.3.${row + 1}, 02:00:0a:00:03:01`,
    );
    const text = `${rows.join('\n')}\n10.0.0.3,\n`;
    const args = [
      '-i',
      'eth0',
      '-f',
      '-',
      '--vip',
      '10.9.9.9:80/tcp',
      '--slots',
      '16',
      '--json',
    ];
    const { stdout, stderr } = await network.run(
      'balancer',
      'bin/l4lb-map.js',
      args,
      text,
    );
    expect(stderr).toBe(
      'Warning: 21 destinations do not fit a table of 4,096 destinations and 16 slots; using the first 16',
    );
    expect(JSON.parse(stdout)).toMatchObject({
      interface: 'eth0',
      mode: 'Driver',
      ways: ['10.9.9.9:80/tcp'],
      destinations: 16,
      destinations_wanted: 21,
      slots: 16,
    });
  });

  describe('a MAC that the kernel has not heard of lately', () => {
    const stale = (address: string, mac: string): Promise<Finished> => {
      const entry = ['neigh', 'replace', address, 'lladdr', mac, 'dev', 'eth0'];
      return network.expectOk('balancer', 'ip', ...entry, 'nud', 'stale');
    };
    const fill = (address: string): Promise<Finished> =>
      network.l4lb(
        'map',
        '-f',
        csv(`${address}\n`),
        '--vip',
        '10.9.9.8:80',
        '--slots',
        '16',
        '--dry-run',
      );
    const known = async (address: string): Promise<unknown> => {
      const args = ['-j', 'neigh', 'show', address, 'dev', 'eth0'];
      return JSON.parse((await network.expectOk('balancer', 'ip', ...args)).stdout);
    };

    test('is not taken of a dead host', async () => {
      await stale('10.0.0.222', '02:00:0a:00:00:de');
      expectFailure(await fill('10.0.0.222'), 1, 'no host answers for 10.0.0.222');
    });

    test('is corrected if the host has another one by now', async () => {
      await stale('10.0.0.3', '02:00:0a:00:00:99');
      expect((await fill('10.0.0.3')).exitCode).toBe(0);
      const [now] = (await known('10.0.0.3')) as { lladdr: string; state: string[] }[];
      expect(now).toMatchObject({ state: ['REACHABLE'] });
      expect(now?.lladdr).not.toBe('02:00:0a:00:00:99');
      await stale('10.0.0.3', now?.lladdr ?? '');
      expect((await fill('10.0.0.3')).exitCode).toBe(0);
      expect(await known('10.0.0.3')).toMatchObject([{ ...now, state: ['REACHABLE'] }]);
    });
  });

  test('does its work even if nobody reads what it prints, and says nothing then', async () => {
    const file = csv('10.0.1.1, 02:00:0a:00:01:01\n');
    const fill = ['bin/l4lb-map.js', '-i', 'eth0', '--vip', 'any', '-f'] as const;
    const piped = `${fill.join(' ')} ${file} | true; echo "\${PIPESTATUS[0]}"`;
    const finished = await network.run('balancer', 'bash', ['-c', piped]);
    expect(finished).toEqual({ exitCode: 0, stdout: '0', stderr: '' });
    const again = await network.expectOk(
      'balancer',
      ...fill,
      file,
      '--dry-run',
      '--json',
    );
    expect(JSON.parse(again.stdout)).toMatchObject({ writes: 0, destinations: 1 });
    await network.expectOk('balancer', ...fill, SAMPLE);
  });

  test('asks which service is meant if there are several', async () => {
    expectFailure(
      await network.l4lb('map', '-f', SAMPLE),
      1,
      'there are 2 services',
      '--vip',
    );
  });

  test('--dry-run prints the plan and writes nothing', async () => {
    const args = [
      '-f',
      csv('10.0.0.57, 02:00:0a:00:00:39\n10.0.7.7, 02:00:0a:00:07:07\n'),
    ];
    const vip = ['--vip', 'any'];
    const first = await network.l4lb('map', ...args, ...vip, '--dry-run');
    expect(first.stdout).toContain('  + 10.0.7.7');
    expect(first.stdout).toContain('  - 10.0.14.88');
    expect(first.stdout).toContain('would be: 1 added, 31 removed');
    const second = await network.l4lb('map', ...args, ...vip, '--dry-run');
    expect(second).toEqual(first);
  });
});

test('the package ships the objects, so that users need no clang', async () => {
  const { stdout } = await execa(
    'npm',
    ['pack', '--dry-run', '--json', '--ignore-scripts'],
    {
      cwd: ROOT,
    },
  );
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  for (const path of [
    'l4lb_xdp.o',
    'l4lb_xdp_host.o',
    'l4lb_decap.o',
    'l4lb_carry.o',
    'l4lb_carry_flows.o',
    'l4lb_sum.o',
    'dist/load.cjs',
    'bin/l4lb-map.js',
    'bin/package.json',
    'man/l4lb-load.8',
    'completion/l4lb.bash',
    'destination_samples/32_destinations.csv',
    'README.md',
  ]) {
    expect(paths).toContain(path);
  }
});
