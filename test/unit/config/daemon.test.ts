// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The table `daemon`: what only l4lbd needs. */
import { expect, test } from '@jest/globals';

import { parseConfig } from '../../../src/config/read.js';
import { Fault } from '../../../src/text/fault.js';

const read = (text: string): ReturnType<typeof parseConfig> =>
  parseConfig({ name: 'l4lb.toml', text: `service = []\n[daemon]\n${text}` }, (name) => {
    throw new Fault(`cannot read ${name}`);
  });

test('says where l4lbd tells what, to whom, and who may act', () => {
  const { problems, daemon } = read(`listen = "[::1]:9109"
names = ["lb1.example.com", "lb1"]
token_file = "/etc/l4lb/token"
on_change = ["/etc/l4lb/notify", "ops"]`);
  expect(problems).toEqual([]);
  expect(daemon).toEqual({
    listen: { host: '::1', port: 9109 },
    names: ['lb1.example.com', 'lb1'],
    tokenFile: '/etc/l4lb/token',
    onChange: ['/etc/l4lb/notify', 'ops'],
  });
  expect(read('listen = "127.0.0.1:9109"\nnames = "lb1"').daemon.names).toEqual(['lb1']);
});

const LISTEN = 'listen = "127.0.0.1:9109"\n';
test.each([
  ['listen = "9109"', '3: listen: "9109" is not an address with a port'],
  ['listen = "127.0.0.1:0"', '3: listen: "127.0.0.1:0" is not an address with'],
  [`${LISTEN}names = "http://lb1"`, '4: names: "http://lb1" is not the name of'],
  [`${LISTEN}names = ["lb1", 2]`, '4: names: 2 is not the name of a host'],
  [`${LISTEN}names = "lb1:9109"`, '4: names: "lb1:9109" is not the name of'],
  [`${LISTEN}token_file = "token"`, '4: token_file: "token" is not a whole path'],
  ['token_file = "/token"', '3: token_file: this is only for listen'],
  ['names = "lb1"', '3: names: this is only for listen'],
  ['on_change = "notify"', '3: on_change: write the program with its whole path'],
])('%j: %s', (text, expected) => {
  const { problems } = read(text);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(`l4lb.toml:${expected}`);
});
