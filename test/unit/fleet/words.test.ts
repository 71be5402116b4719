// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The words of l4lb fleet: what each takes, and what is refused before a store is opened. */
import { afterEach, expect, jest, test } from '@jest/globals';

import { fleetCommand } from '../../../src/fleet.js';

const ARGV = process.argv;
const STORE = ' --store file:/nowhere/l4lb';

/** Returns what it says to stderr, with its exit code in front. */
async function refused(line: string): Promise<string> {
  let said = '';
  const stderr = jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
  const stdout = jest.spyOn(process.stdout, 'on').mockReturnValue(process.stdout);
  process.argv = ['node', 'fleet', ...line.split(' ')];
  process.exitCode = 0;
  try {
    await fleetCommand().main();
    return `${exitCodeNow()} ${said}`;
  } finally {
    process.exitCode = undefined;
    stderr.mockRestore();
    stdout.mockRestore();
  }
}

/** What the process would end with now. */
function exitCodeNow(): number {
  return Number(process.exitCode ?? 0);
}

afterEach(() => {
  process.argv = ARGV;
});

test.each([
  ['apply -c x --yes', '--yes does not go with l4lb fleet apply'],
  ['status --dry-run', '--dry-run does not go with l4lb fleet status'],
  ['status -c x', '--config does not go with l4lb fleet status'],
  ['drain lb1 --json', '--json does not go with l4lb fleet drain NODE'],
  ['undrain lb1 --now', '--now does not go with l4lb fleet undrain NODE'],
  ['settle --now --json', '--json does not go with l4lb fleet settle'],
  ['reset --yes --dry-run', '--dry-run does not go with l4lb fleet reset'],
  ['run -i eth0 -c x', '--config does not go with l4lb fleet run'],
  ['run -i eth0 --json', '--json does not go with l4lb fleet run'],
  ['status --no-announce', '--no-announce does not go with l4lb fleet status'],
  ['frr --as 1 --router =2 --table 7', '--table does not go with l4lb fleet frr'],
  ['router --as 1 --router =2 -i eth0', '--interface does not go with l4lb fleet router'],
  ['bird --as 1 --router =2', 'bird on which device?'],
  ['run', 'run on which device?'],
  ['run -i eth0 --token-file x', '--token-file is only for --listen'],
  ['apply', 'apply what?'],
  ['settle', 'slots settle by themselves'],
  ['reset', 'reset removes all that the fleet agrees on'],
  ['drain', 'drain of what?'],
  ['drain a b', 'too many words for drain'],
  ['sttus', 'fleet cannot sttus'],
  ['__proto__', 'fleet cannot __proto__'],
])('%s is wrong usage', async (line, error) => {
  expect(await refused(line + STORE)).toContain(`2 fleet: ${error}`);
});

test('an option that a word does not have: it says which ones it has', async () => {
  expect(await refused(`drain lb1 --json${STORE}`)).toContain(
    'next: l4lb fleet drain NODE, without it',
  );
  expect(await refused(`apply -c x --yes${STORE}`)).toContain(
    'next: leave it out; of its own it has --config, --dry-run, --json',
  );
});

test('no store is wrong usage', async () => {
  expect(await refused('status')).toMatch(/^2 .*--store/);
});
