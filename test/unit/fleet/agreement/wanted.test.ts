// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import {
  joinConfig,
  splitConfig,
  weightsOf,
} from '../../../../src/fleet/agreement/wanted.js';

const FILE = `source = "10.0.0.4"
names = "10.7.0.0/16"
seed = "not for everybody"

[[service]]
name = "web"
address = "192.0.2.10"
ports = 80
remember = "destinations"
file = "web.csv"

[[service]]
name = "a/b"
address = "192.0.2.11"
slots = 512
destinations = ["10.0.1.3", { address = "10.0.1.4", weight = 0, backup = true }]
check = { kind = "tcp", port = 80 }

[daemon]
listen = "127.0.0.1:9109"
on_change = ["/bin/true"]
`;
const CSV = { name: 'web.csv', text: '10.0.1.1,,3\n10.0.1.2\n' };
const split = (text: string): ReturnType<typeof splitConfig> =>
  splitConfig({ name: 'l4lb.toml', text }, () => CSV);

test('a file is kept in parts, each service with its destinations and slots', () => {
  const { common, services, config } = split(FILE);
  expect(config.problems).toEqual([]);
  expect(common.trim()).toBe('names = "10.7.0.0/16"');
  const joined = joinConfig({ common, services });
  expect(joined.problems).toEqual([]);
  const shown = joined.services.map(({ name, slots, rows, check }) => ({
    ...{ name, slots, kind: check?.question.kind },
    rows: rows.map(({ address, weight, isBackup }) => [address, weight, isBackup]),
  }));
  expect(shown).toEqual([
    {
      ...{ name: 'web', slots: 65_536, kind: undefined },
      rows: [
        ['10.0.1.1', 3, undefined],
        ['10.0.1.2', 1, undefined],
      ],
    },
    {
      ...{ name: 'a/b', slots: 512, kind: 'tcp' },
      rows: [
        ['10.0.1.3', 1, undefined],
        ['10.0.1.4', 0, true],
      ],
    },
  ]);
  expect([...weightsOf(common, services.get('web') ?? '')]).toEqual([
    ['10.0.1.1', 3],
    ['10.0.1.2', 1],
  ]);
});

test.each([
  ['address = "192.0.2.10"\nports = 80', 'address = "any"', 'take the packets of BGP'],
  ['remember = "destinations"', 'table = "minimal"', 'balancers would disagree'],
  ['remember = "destinations"', 'forward = "full-nat"', 'only its own ports'],
  ['remember = "destinations"', 'drain_deadline = "1h"', 'l4lb fleet settle'],
  ['"10.0.1.3"', '{ address = "10.0.1.3", mac = "02:00:00:00:00:01" }', 'has a mac'],
  ['kind = "tcp"', 'kind = "exec", command = ["/bin/true"]', 'would run programs'],
])('%j as %j is refused', (before, after, why) => {
  const { problems } = split(FILE.replace(before, after)).config;
  expect(problems.join('\n')).toContain(why);
  expect(problems[0]).toMatch(/^l4lb\.toml:\d+: /);
});

test('what stands under another name than its own is no config', () => {
  const { common, services } = split(FILE);
  const moved = new Map([['dns', services.get('web') ?? '']]);
  const { problems } = joinConfig({ common, services: moved });
  expect(problems).toEqual(['the store: a service has another name than its key']);
});

test('the store names no file', () => {
  const services = new Map([
    ['web', '[[service]]\nname = "web"\naddress = "192.0.2.1"\nfile = "/etc/shadow"\n'],
  ]);
  const { problems } = joinConfig({ common: '', services });
  expect(problems.join('\n')).toContain('/etc/shadow is a file, which the store');
});

test('more destinations than tables hold are refused', () => {
  const rows = Array.from({ length: 4098 }, (_, i) => `"10.0.${i >> 8}.${i & 255}"`);
  const { problems } = split(FILE.replace('"10.0.1.3"', rows.slice(1).join(', '))).config;
  expect(problems.join('\n')).toContain('4,097 destinations are too many');
});
