// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which way a check takes, and why it cannot take another. */
import { describe, expect, test } from '@jest/globals';

import type { Config } from '../../../src/config/read.js';
import { parseConfig } from '../../../src/config/read.js';
import { chooseVias } from '../../../src/fill/check-via.js';
import type { Run } from '../../../src/system/run.js';
import { Failure } from '../../../src/text/failure.js';
import { Fault } from '../../../src/text/fault.js';

/** The service is on line 1, its check on line 6. */
function read(check: string, more = '', address = '192.0.2.10', rest = ''): Config {
  const ports = address === 'any' ? '"all"' : '80';
  const text = `[[service]]
name = "web"
address = "${address}"
ports = ${ports}
destinations = ["10.0.1.1"]
check = { port = 80, ${check} }
${more}
${rest}`;
  return parseConfig({ name: 'l4lb.toml', text }, (name) => {
    throw new Fault(`cannot read ${name}`);
  });
}

const ANY = `[[service]]
name = "rest"
address = "any"
protocol = "tcp"
destinations = ["10.0.1.9"]
`;

test.each([
  [
    'kind = "tcp", via = "tunnel"',
    'forward = "link"',
    'packets of this service go by link; write via = "link" or "address"',
  ],
  [
    'kind = "tcp", via = "link"',
    '',
    'packets of this service go by tunnel; write via = "tunnel" or "address"',
  ],
  [
    'kind = "tcp", via = "tunnel"',
    'forward = "nat"',
    'by nat packets go to the destination\'s own address; write via = "address"',
  ],
  [
    'kind = "exec", command = ["/bin/true"], via = "tunnel"',
    '',
    'a program opens sockets of its own, whose way nobody can choose; write via = "address"',
  ],
  [
    'kind = "tcp", via = "tunel"',
    '',
    '"tunel" is not "tunnel" or "link" or "address"; did you mean "tunnel"?',
  ],
])('%s %s is refused', (check, more, reason) => {
  expect(read(check, more).problems).toEqual([`l4lb.toml:6: via: ${reason}`]);
});

test('a service on any address is refused, and one that takes the answers of others', () => {
  const check = 'kind = "http", via = "tunnel"';
  expect(read(check, '', 'any').problems).toEqual([
    'l4lb.toml:6: via: the service is on any address, so it has none to ask at; write via = "address"',
  ]);
  expect(read(check, '', undefined, ANY).problems).toEqual([
    'l4lb.toml:6: via: the service at l4lb.toml:8 is on any address, and takes the answers; write via = "address"',
  ]);
  // It has TCP alone.
  expect(read('kind = "dns", via = "tunnel"', '', undefined, ANY).problems).toEqual([]);
});

describe('where the file leaves it open', () => {
  /** A host that has these addresses. */
  const host =
    (...own: string[]): Run =>
    () =>
      Promise.resolve({
        exitCode: 0,
        stderr: '',
        stdout: own
          .map((dst) => `${JSON.stringify([{ type: 'local', dst, dev: 'lo' }])}\n`)
          .join(''),
      });

  const chosen = async (
    config: Config,
    run: Run,
    isHostBuild = true,
  ): Promise<unknown> => {
    expect(config.problems).toEqual([]);
    const [service] = await chooseVias(run, config.services, isHostBuild);
    return service?.check?.via;
  };

  const TCP = 'kind = "tcp"';
  test.each([
    ['through the tunnel', read(TCP), host(), true, 'tunnel'],
    ['by the link', read(TCP, 'forward = "link"'), host(), true, 'link'],
    ['by nat', read(TCP, 'forward = "nat"'), host(), true, 'address'],
    ['a program', read('kind = "exec", command = ["/x"]'), host(), true, 'address'],
    ['any address', read(TCP, '', 'any'), host(), true, 'address'],
    [
      'another one takes the answers',
      read(TCP, '', undefined, ANY),
      host(),
      true,
      'address',
    ],
    ['an address of this host', read(TCP), host('192.0.2.10'), true, 'address'],
    ['a card', read(TCP), host(), false, 'address'],
    ['as the file says', read(`${TCP}, via = "address"`), host(), true, 'address'],
  ])('%s', async (_, config, run, isHostBuild, via) => {
    expect(await chosen(config, run, isHostBuild)).toBe(via);
  });

  const refusal = async (
    config: Config,
    run: Run,
    isHostBuild = true,
  ): Promise<string> => {
    try {
      await chooseVias(run, config.services, isHostBuild);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return error.message;
    }
    return '';
  };

  test('what the file says and the host cannot is refused with its line', async () => {
    const config = read(`${TCP}, via = "tunnel"`);
    expect(await refusal(config, host('192.0.2.10'))).toBe(
      'l4lb.toml:6: via: 192.0.2.10 is an address of this host, so its packets would never leave',
    );
    expect(await refusal(config, host(), false)).toContain(
      'only the host build can do it',
    );
  });

  test('a service with all ports of this host takes the answers', async () => {
    const local = `[[service]]
name = "own"
address = "10.0.0.4"
destinations = ["10.0.1.9"]
`;
    const config = read(`${TCP}, via = "tunnel"`, '', undefined, local);
    expect(await refusal(config, host('10.0.0.4'))).toBe(
      'l4lb.toml:6: via: the service at l4lb.toml:8 has all ports of an address of this host, and takes the answers',
    );
  });
});
