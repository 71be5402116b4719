// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Names that every object of JavaScript has, wherever users may write a name of their
 * own: none of them is a protocol, a unit, a key or a choice.
 */
import { describe, expect, test } from '@jest/globals';
import { InvalidArgumentError } from 'commander';

import { Fault } from '../../src/text/fault.js';
import { noFile } from './plan/configs.js';
import { reduce } from '../../src/stats/screen/keys.js';
import { readDuration, readWhole } from '../../src/cli/values.js';
import { parseDestinations } from '../../src/config/destinations-csv.js';
import { parseConfig } from '../../src/config/read.js';
import { parseChange } from '../../src/disturb/changes.js';
import { parseEndpoint, parseTarget, parseTcpFlags } from '../../src/explain/question.js';
import { parseDestination, parsePrefix } from '../../src/flood/target.js';
import { initialState } from '../../src/stats/screen/state.js';
import { parseSource } from '../../src/wire/outer-source.js';
import { parseWays } from '../../src/wire/way.js';

const NAMES = [
  'constructor',
  '__proto__',
  'toString',
  'valueOf',
  'hasOwnProperty',
  'isPrototypeOf',
  '__defineGetter__',
];

const PARSERS: [string, (text: string) => unknown, (name: string) => string][] = [
  ['a way', parseWays, (name) => `10.0.0.9:80/${name}`],
  ['the address of a way', parseWays, (name) => `${name}:80/tcp`],
  ['the port of a way', parseWays, (name) => `10.0.0.9:${name}/tcp`],
  ['a target', parseTarget, (name) => `10.0.0.9:80/${name}`],
  ['an endpoint', parseEndpoint, (name) => `${name}:80`],
  ['flags of TCP', parseTcpFlags, (name) => name],
  ['the destination of a flood', parseDestination, (name) => `10.0.0.9:80/${name}`],
  ['a prefix', parsePrefix, (name) => `10.0.0.0/${name}`],
  ['an outer source', parseSource, (name) => `10.7.0.0/${name}`],
  ['a change', parseChange, (name) => `${name} 1`],
];

describe.each(NAMES)('%s', (name) => {
  test.each(PARSERS)('is not %s', (_, parse, textOf) => {
    expect(() => parse(textOf(name))).toThrow(Fault);
  });

  test('is no number or unit of an option', () => {
    expect(() => readDuration(10)(`30${name}`)).toThrow(InvalidArgumentError);
    expect(() => readDuration(10)(name)).toThrow(InvalidArgumentError);
    expect(() => readWhole(0, 10)(name)).toThrow(InvalidArgumentError);
  });

  test('is no key of the dashboard', () => {
    const state = initialState({ interface: 'eth0', interval: 1 });
    expect(reduce(state, name)).toEqual(state);
    const helped = { ...state, help: true };
    expect(reduce(helped, name)).toEqual(helped);
  });

  test('is no header and no cell of a CSV file', () => {
    const text = `${name}, MAC\n10.0.1.1, ${name}, ${name}\n`;
    const { rows, problems } = parseDestinations([{ name: 'a.csv', text }]);
    expect(rows).toEqual([]);
    expect(problems).toEqual([
      `a.csv:1: "${name}" is not an IP address; "MAC" is not a destination's MAC address: it is not six pairs of hex digits`,
      `a.csv:2: "${name}" is not a destination's MAC address: it is not six pairs of hex digits; "${name}" is not a weight from 0 to 65535`,
    ]);
  });

  const service = (...lines: string[]): string =>
    ['[[service]]', ...lines, ''].join('\n');
  const right = ['name = "web"', 'address = "192.0.2.1"', 'destinations = ["10.0.1.1"]'];

  test.each([
    ['a key of the file', `${name} = true\n${service(...right)}`, 1],
    ['a section', `${service(...right)}[${name}]\nx = 1\n`, 5],
    ['a list of sections', `${service(...right)}[[${name}]]\nx = 1\n`, 5],
    ['a key of a service', service(...right, `${name} = 1`), 5],
    ['a dotted key of a service', service(...right, `${name}.polluted = 1`), 5],
    ['a protocol', service(...right, `protocol = "${name}"`), 5],
    ['a hash', service(...right, `hash = "${name}"`), 5],
    ['a table', service(...right, `table = "${name}"`), 5],
    ['a UDP choice', service(...right, `udp = "${name}"`), 5],
    ['a unit of time', service(...right, `idle = "30${name}"`), 5],
    ['a source', service(...right, `source = "${name}"`), 5],
    ['an address', service(right[0] ?? '', `address = "${name}"`, right[2] ?? ''), 3],
    ['a way', service(right[0] ?? '', `ways = ["10.0.0.9/${name}"]`, right[2] ?? ''), 3],
    [
      'a key of a destination',
      service(
        ...right.slice(0, 2),
        `destinations = [{ address = "10.0.1.1", ${name} = 1 }]`,
      ),
      4,
    ],
  ])('is not %s in a config file', (_, text, line) => {
    const { problems } = parseConfig({ name: 'l4lb.toml', text }, noFile);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`l4lb.toml:${line}: `);
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  test('is a name of a service like any other, unless _ is in front', () => {
    const text = service(`name = "${name}"`, ...right.slice(1));
    const { services, problems } = parseConfig({ name: 'l4lb.toml', text }, noFile);
    if (name.startsWith('_')) expect(problems).toHaveLength(1);
    else expect(services.map((one) => one.name)).toEqual([name]);
  });
});
