// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Many services from a config file, and back into one. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Finished } from './network.js';
import { Network, ROOT } from './network.js';

const EXAMPLE = 'l4lb.example.toml';
const SAMPLE = 'destination_samples/32_destinations.csv';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'l4lb-config-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

interface ServiceJson {
  ways: string[];
  slots: number;
  destinations: number;
  keeps_ssh: boolean | null;
}

async function services(network: Network): Promise<ServiceJson[]> {
  const { stdout } = await network.l4lb('load', '--status', '--json');
  const [program] = (JSON.parse(stdout) as { programs: { services: ServiceJson[] }[] })
    .programs;
  return program?.services ?? [];
}

async function exported(network: Network): Promise<string> {
  const { stdout, stderr, exitCode } = await network.l4lb('map', '--export');
  expect([exitCode, stderr]).toEqual([0, '']);
  return `${stdout}\n`;
}

function lastLines({ stdout }: Finished): string[] {
  return stdout.split('\n').slice(-2);
}

describe('the example', () => {
  let network: Network;
  beforeAll(async () => {
    network = await Network.up('--destinations', SAMPLE);
    await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0');
  });
  afterAll(() => network.down());

  test('--export of an empty program wants no service, and can be applied', async () => {
    const text = await exported(network);
    expect(text).toContain('service = []');
    const applied = await network.l4lb('map', '-c', write('none.toml', text));
    expect(applied.exitCode).toBe(0);
    expect(lastLines(applied)).toEqual([
      'in all: 0 services',
      '  nothing to do: the tables already match',
    ]);
  });

  test('--dry-run says what would be, and writes nothing', async () => {
    const { stdout, exitCode } = await network.l4lb('map', '-c', EXAMPLE, '--dry-run');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^ {2}\+ 10\.0\.1\.4 +added +1 +- +508 +49\.61%$/m);
    expect(stdout).toContain(
      'would be: 38 added, 0 removed, 0 drained, 0 changed, 6,656 of 6,656 slots moved (ideal: 6,656)',
    );
    expect(await services(network)).toEqual([]);
  });

  test('makes its services', async () => {
    const applied = await network.l4lb('map', '-c', EXAMPLE);
    expect([applied.exitCode, applied.stderr]).toEqual([0, '']);
    expect(applied.stdout.split('\n')).toEqual([
      'Loading file with 4 services and 38 destinations',
      'eth0 [Driver] web (192.0.2.10:80/tcp, 192.0.2.10:443/tcp): 3 destinations in 4,096 slots',
      '  3 added, 0 removed, 0 changed, 4,096 slots moved',
      'eth0 [Driver] shop (192.0.2.20:443/tcp, 192.0.2.21:443/tcp): 2 destinations in 1,024 slots',
      '  2 added, 0 removed, 0 changed, 1,024 slots moved',
      'eth0 [Driver] dns (192.0.2.53:53/tcp, 192.0.2.53:53/udp): 32 destinations in 1,024 slots',
      '  32 added, 0 removed, 0 changed, 1,024 slots moved',
      'eth0 [Driver] rest (192.0.2.30/tcp, 192.0.2.31:5060/udp): 1 destination in 512 slots, ssh taken',
      '  1 added, 0 removed, 0 changed, 512 slots moved',
      'in all: 4 services',
      '  38 added, 0 removed, 0 changed, 6,656 slots moved',
    ]);
    expect(await services(network)).toHaveLength(4);
  });

  test('again has nothing to do, and so has its export', async () => {
    const nothing = ['in all: 4 services', '  nothing to do: the tables already match'];
    expect(lastLines(await network.l4lb('map', '-c', EXAMPLE))).toEqual(nothing);
    const text = await exported(network);
    expect(text).toContain('hash = "source"');
    expect(text).toContain('udp = "previous"');
    expect(text).toContain('take_ssh = true');
    const applied = await network.l4lb('map', '-c', write('export.toml', text));
    expect(lastLines(applied)).toEqual(nothing);
    expect(await exported(network)).toBe(text);
  });

  test('changes one service and removes another', async () => {
    const blocks = readFileSync(join(ROOT, EXAMPLE), 'utf8')
      .replace('file = "', `file = "${ROOT}`)
      .replace(
        '"10.0.1.5", mac = "02:00:0a:00:01:05" }',
        '"10.0.1.9", mac = "02:00:0a:00:01:09" }',
      )
      .split('[[service]]');
    const changed = blocks
      .filter((block) => !block.includes('"rest"'))
      .join('[[service]]');
    const path = write('changed.toml', changed);

    const { stdout } = await network.l4lb('map', '-c', path, '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      interface: 'eth0',
      mode: 'Driver',
      dry_run: false,
      services: [
        { name: 'web', writes: 0 },
        { name: 'shop', added: ['10.0.1.9'], removed: ['10.0.1.5'], slots: 1024 },
        { name: 'dns', writes: 0 },
      ],
      services_removed: [
        { ways: ['192.0.2.30/tcp', '192.0.2.31:5060/udp'], destinations: ['10.0.1.6'] },
      ],
      totals: { services: 3, services_removed: 1, added: 1, removed: 2 },
    });
    expect((await services(network)).map(({ ways }) => ways[0]).sort()).toEqual([
      '192.0.2.10:80/tcp',
      '192.0.2.20:443/tcp',
      '192.0.2.53:53/tcp',
    ]);
    const status = await network.l4lb('load', '--status');
    expect(status.stdout).not.toContain('192.0.2.30');
  });

  test('with faults names them all, and writes nothing', async () => {
    const before = await exported(network);
    const path = write(
      'bad.toml',
      '[[service]]\nname = "web"\nadress = "192.0.2.10"\nports = 0\nfile = "none.csv"\n',
    );
    const { exitCode, stderr, stdout } = await network.l4lb('map', '-c', path);
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr.split('\n')).toEqual([
      'l4lb-map: 4 problems, nothing was written',
      `${path}:1: address: it is missing; write one, a list, or "any"`,
      `${path}:3: adress: there is no such key; did you mean \`address\`?`,
      `${path}:4: ports: 0 is not a port from 1 to 65535, nor "all"`,
      `${path}:5: file: cannot read ${folder}/none.csv: there is no such file`,
      '  next: fix the file and run this command again',
    ]);
    const other = write('slots.toml', before.replace('slots = 4096', 'slots = 8192'));
    const refused = await network.l4lb('map', '-c', other);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toMatch(
      /:\d+: slots: 192\.0\.2\.10:80 has 4096 slots, and keeps/,
    );
    expect(await exported(network)).toBe(before);
  });

  test('a fill of one service leaves the others and its settings alone', async () => {
    const csv = write('shop.csv', '10.0.1.4,02:00:0a:00:01:04\n');
    const args = [
      '-f',
      csv,
      '-s',
      '10.0.0.4',
      '--vip',
      '192.0.2.20:443/tcp',
      '192.0.2.21:443/tcp',
    ];
    const { stdout } = await network.l4lb('map', ...args);
    expect(stdout).toContain('0 added, 1 removed, 0 changed');
    expect(await exported(network)).toContain('hash = "source"');
    expect(await services(network)).toHaveLength(3);
  });

  test('counters go on', async () => {
    const text = `[[service]]
name = "web"
address = "10.0.0.4"
ports = 80
protocol = "tcp"
slots = 256
file = "${ROOT}${SAMPLE}"
`;
    await network.expectOk(
      'balancer',
      'bin/l4lb-map.js',
      '-i',
      'eth0',
      '-c',
      write('a.toml', text),
    );
    const args = ['30', 'hping3', '10.0.0.4', '--rand-source', '-S', '-p', '80'];
    const send = (): Promise<Finished> =>
      network.run('client', 'timeout', [
        ...args,
        '-i',
        'u10',
        '-I',
        'eth0',
        '-q',
        '-c',
        '500',
      ]);
    await send();
    const other = text.replace('ports = 80', 'ports = [80, 81]').replace('32_', '128_');
    await network.expectOk(
      'balancer',
      'bin/l4lb-map.js',
      '-i',
      'eth0',
      '-c',
      write('b.toml', other),
    );
    await send();
    await network.expectOk(
      'balancer',
      'bin/l4lb-map.js',
      '-i',
      'eth0',
      '-c',
      write('none.toml', 'service = []\n'),
    );
    expect(await services(network)).toEqual([]);
    await send();
    const sample = await network.sample();
    expect(sample.totals.packets).toBe(1000);
    expect(sample.verdicts['balanced']?.packets).toBe(1000);
    expect(sample.verdicts['not ours']?.packets).toBe(500);
  });
});

describe('a file for the portable build', () => {
  let network: Network;
  beforeAll(async () => {
    network = await Network.up('--destinations', SAMPLE);
    const load = ['-i', 'eth0', '--obj', 'l4lb_xdp.o'];
    await network.expectOk('balancer', 'bin/l4lb-load.js', ...load);
  });
  afterAll(() => network.down());

  const web = (name: string, port: number, slots: number): string => `[[service]]
name = "${name}"
address = "10.0.0.4"
ports = ${port}
protocol = "tcp"
slots = ${slots}
hash = "source"
file = "${ROOT}${SAMPLE}"
`;

  test('that wants more slots than there are is refused', async () => {
    const { exitCode, stderr } = await network.l4lb('map', '-c', EXAMPLE);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`${EXAMPLE}:26: slots: web wants 4096`);
    expect(await services(network)).toEqual([]);
  });

  test('may put one service in place of another that has all slots', async () => {
    const first = await network.l4lb('map', '-c', write('one.toml', web('one', 80, 512)));
    expect(first.exitCode).toBe(0);
    const other = await network.l4lb('map', '-c', write('two.toml', web('two', 81, 512)));
    expect(other.exitCode).toBe(0);
    expect(await services(network)).toMatchObject([
      { ways: ['10.0.0.4:81/tcp'], slots: 512, destinations: 32 },
    ]);
    const text = await exported(network);
    const again = await network.l4lb('map', '-c', write('export.toml', text));
    expect(again.stdout).toContain('nothing to do: the tables already match');
  });

  test('with hash = "source" keeps a client on one destination, whatever its port', async () => {
    const args = [
      '30',
      'hping3',
      '10.0.0.4',
      '-S',
      '-p',
      '81',
      '-i',
      'u100',
      '-I',
      'eth0',
    ];
    await network.run('client', 'timeout', [...args, '-q', '-c', '200']);
    const { destinations, totals } = await network.sample();
    expect(totals.packets).toBe(200);
    expect(destinations.filter(({ packets }) => packets > 0)).toHaveLength(1);
  });
});

describe('slots that remember', () => {
  let network: Network;
  beforeAll(async () => {
    network = await Network.up();
    await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0');
  });
  afterAll(() => network.down());

  test('are reported after a fill, and settled when nobody needs them', async () => {
    const config = 'l4lb.example.toml';
    const before = await network.run('balancer', 'bin/l4lb-map.js', [
      '-i',
      'eth0',
      '-c',
      config,
    ]);
    expect(before.exitCode).toBe(0);
    const { stdout: text } = await network.l4lb('map', '--export');
    const drained = text.replace(
      /(address = "10\.[\d.]+", mac = "[0-9a-f:]+")(, weight = \d+)?/,
      '$1, weight = 0',
    );
    expect(drained).not.toBe(text);
    const args = ['-i', 'eth0', '-c', '-'];
    const fill = await network.run('balancer', 'bin/l4lb-map.js', args, drained);
    expect(fill.stdout).toMatch(/[\d,]+ slots? hot, remembering/);

    const ready = await network.l4lb('map', '--settle', '--json');
    expect(JSON.parse(ready.stdout)).toMatchObject({ slots_settled: 0 });
    const waited = await network.l4lb(
      'map',
      '--settle',
      '--wait',
      '--idle',
      '1',
      '--json',
    );
    const result = JSON.parse(waited.stdout) as { slots_settled: number };
    expect(result.slots_settled).toBeGreaterThan(0);
    expect((await network.l4lb('map', '--settle')).stdout).toBe('eth0: no slot is hot');
  });

  test('--now without --settle is wrong usage', async () => {
    const { exitCode, stderr } = await network.l4lb('map', '--now');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('next: add --settle');
  });
});
