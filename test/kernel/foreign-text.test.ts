// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Foreign text on a terminal: whatever names, cells, files and arguments contain, no
 * control character comes out, and nothing looks like a fault of ours.
 */
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { Network } from './network.js';

/**
 * Clears the screen in two ways, reverses the direction of writing, and begins a line.
 */
const HOSTILE = 'x\u001b[2J\u009b2J\u202ey\nl4lb: all is well';
const UNSAFE = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
let network: Network;

beforeAll(async () => {
  network = await Network.up();
  await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0');
});
afterAll(async () => {
  await network.down();
  rmSync(folder, { recursive: true });
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function expectSafe(
  exitCode: number,
  command: string,
  ...args: string[]
): Promise<string> {
  const finished = await network.run('balancer', `bin/${command}.js`, args);
  const text = finished.stdout + finished.stderr;
  expect(text).not.toMatch(UNSAFE);
  expect(text).not.toMatch(/^l4lb: all is well/m);
  expect(text).not.toContain('this is a fault of');
  expect([finished.exitCode, text]).toEqual([exitCode, text]);
  return text;
}

describe('arguments', () => {
  test.each<[string, string, ...string[]]>([
    ['the device', 'l4lb-load', '-i', HOSTILE],
    ['the device', 'l4lb-stats', '--once', '-i', HOSTILE],
    ['the device', 'l4lb-doctor', '-i', HOSTILE],
    ['a device with a comment', 'l4lb-stats', '--once', '-i', 'a#b'],
    ['a way', 'l4lb-map', '-i', 'eth0', '-f', '32_destinations.csv', '--vip', HOSTILE],
    ['a source', 'l4lb-map', '-i', 'eth0', '-f', '32_destinations.csv', '-s', HOSTILE],
    ['a mode', 'l4lb-load', '-i', 'eth0', '-m', HOSTILE],
    ['an option', 'l4lb-load', '-i', 'eth0', `--${HOSTILE}`],
    ['a word too many', 'l4lb-load', '-i', 'eth0', HOSTILE],
    ['a verb', 'l4lb', HOSTILE],
    ['a packet', 'l4lb-explain', '-i', 'eth0', '--from', HOSTILE, '--to', '10.0.0.9:80'],
    ['a change', 'l4lb-disturb', '--change', HOSTILE],
    ['a destination', 'l4lb-flood', '-i', 'eth0', '--dst', HOSTILE],
  ])('%s of %s', (_, command, ...args) => expectSafe(2, command, ...args));

  test.each<[string, string, ...string[]]>([
    ['a file of destinations', 'l4lb-map', '-i', 'eth0', '-f', HOSTILE],
    ['a config file', 'l4lb-map', '-i', 'eth0', '-c', HOSTILE],
    ['an object', 'l4lb-load', '-i', 'eth0', '--obj', HOSTILE],
    ['an object to check', 'l4lb-load', '--check-offload', HOSTILE],
  ])('%s that is missing, of %s', async (_, command, ...args) => {
    await expectSafe(1, command, ...args);
  });
});

describe('files', () => {
  test('cells of CSV, in a file whose name is hostile too', async () => {
    const text = `a\u001b[2J, b\u009b\n10.0.1.1\u202e\n10.0.1.2, 02:00:00:00:00:0\u009b, \u2028\n`;
    const path = file('a\u001b[2J\u009b\n.csv', text);
    const said = await expectSafe(1, 'l4lb-map', '-i', 'eth0', '-f', path, '--dry-run');
    expect(said).toContain('a\\u001b[2J\\u009b\\n.csv:2: "10.0.1.1\\u202e"');
  });

  test.each([
    'file = "no\\u009b\\u001b[2J\\u202e\\nl4lb: all is well.csv"',
    'file = "no\\u0000.csv"',
    'file = "folder"',
    'file = "/proc/version/x"',
    'destinations = ["10.0.1.1\\u009b"]',
    'destinations = ["10.0.1.1"]\n"a\\u009b\\nl4lb: all is well" = 1',
    'destinations = ["10.0.1.1"]\nhash = "\\u009b\\u202e"',
    'destinations = ["10.0.1.1"]\nname = "\u202e"',
    'destinations = ["10.0.1.1"]\n\u009b = 1',
  ])('a config file with %j', async (line) => {
    mkdirSync(join(folder, 'folder'), { recursive: true });
    const head = line.includes('name =') ? '' : 'name = "web"\n';
    const path = file('l4lb.toml', `[[service]]\n${head}address = "any"\n${line}\n`);
    const said = await expectSafe(1, 'l4lb-map', '-i', 'eth0', '-c', path, '--dry-run');
    expect(said).toMatch(/nothing was written|not TOML/);
  });
});

describe('a host with a device whose name has an escape sequence', () => {
  beforeAll(async () => {
    const peer = ['type', 'veth', 'peer', 'name', 'other'];
    await network.expectOk('balancer', 'ip', 'link', 'add', 'a\u001b[2J\u009bb', ...peer);
  });

  test('another device is named, and all devices are listed', async () => {
    const said = await expectSafe(1, 'l4lb-load', '-i', 'eth9');
    expect(said).toContain('a\\u001b[2J\\u009bb');
  });

  test('the doctor looks at all of them', async () => {
    await expectSafe(1, 'l4lb-doctor', '-i', 'eth0', '--interval', '0.1');
  });
});
