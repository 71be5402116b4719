// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';

import { Fault } from '../../../src/text/fault.js';
import type { Config, WantedService } from '../../../src/config/read.js';
import { parseConfig } from '../../../src/config/read.js';
import { formatSource } from '../../../src/wire/outer-source.js';
import { nearestOf } from '../../../src/config/problems.js';
import { TomlLines } from '../../../src/config/toml-lines.js';
import { formatWay } from '../../../src/wire/way.js';
import { ip } from '../wire/names.js';

const FILES: Record<string, string> = {
  'web.csv': 'address, MAC, weight\n10.0.1.1, 02:00:0a:00:01:01, 3\n10.0.1.2\n',
  'bad.csv': '10.0.1.300\n10.0.1.1,,many\n',
};

function read(text: string): Config {
  return parseConfig({ name: 'l4lb.toml', text }, (name) => {
    const csv = FILES[name];
    if (csv !== undefined) return { name, text: csv };
    throw new Fault(`cannot read ${name}: there is no such file`);
  });
}

/** A service that is right, from line 1 on, and what is said in place of its lines. */
function service(lines: Record<string, string | undefined> = {}): string {
  const all: Record<string, string | undefined> = {
    name: '"web"',
    address: '"192.0.2.10"',
    destinations: '["10.0.1.1"]',
    ...lines,
  };
  const rows = Object.entries(all).filter(([, value]) => value !== undefined);
  return ['[[service]]', ...rows.map(([key, value]) => `${key} = ${value}`), ''].join(
    '\n',
  );
}

function only(lines: Record<string, string | undefined>): WantedService {
  const { services, problems } = read(service(lines));
  expect(problems).toEqual([]);
  const [first] = services;
  if (!first) throw new Error('there is no service');
  return first;
}

describe('a config file', () => {
  test('with the least in it gets these defaults', () => {
    expect(only({})).toMatchObject({
      name: 'web',
      place: 'l4lb.toml:1',
      hash: 'source+ports',
      udp: 'current',
      takeSsh: false,
      slots: undefined,
      sources: {},
      idle: undefined,
      drainDeadline: undefined,
      rows: [{ address: '10.0.1.1', mac: undefined, weight: 1, place: 'l4lb.toml:4' }],
    });
    expect(only({}).ways.map(formatWay)).toEqual(['192.0.2.10/tcp', '192.0.2.10/udp']);
  });

  test.each([
    {
      lines: { ports: '80', protocol: '"tcp"' },
      ways: ['192.0.2.10:80/tcp'],
    },
    {
      lines: { ports: '[80, 443]', protocol: '"tcp"' },
      ways: ['192.0.2.10:80/tcp', '192.0.2.10:443/tcp'],
    },
    {
      lines: { ports: '53' },
      ways: ['192.0.2.10:53/tcp', '192.0.2.10:53/udp'],
    },
    {
      lines: { ports: '"all"', protocol: '["udp"]' },
      ways: ['192.0.2.10/udp'],
    },
    {
      lines: { address: '["192.0.2.10", "192.0.2.20"]', ports: '80', protocol: '"tcp"' },
      ways: ['192.0.2.10:80/tcp', '192.0.2.20:80/tcp'],
    },
    { lines: { address: '"any"' }, ways: ['any/tcp', 'any/udp'] },
    {
      lines: { address: undefined, ways: '["192.0.2.10:80/tcp", "192.0.2.20:53"]' },
      ways: ['192.0.2.10:80/tcp', '192.0.2.20:53/tcp', '192.0.2.20:53/udp'],
    },
    {
      lines: { address: undefined, ways: '"192.0.2.10:80/tcp"' },
      ways: ['192.0.2.10:80/tcp'],
    },
  ])('$lines leads in by $ways', ({ lines, ways }) => {
    expect(only(lines).ways.map(formatWay)).toEqual(ways);
  });

  test.each([
    { line: { hash: '"source"' }, found: { hash: 'source' } },
    { line: { udp: '"previous"' }, found: { udp: 'previous' } },
    { line: { take_ssh: 'true' }, found: { takeSsh: true } },
    { line: { slots: '1024' }, found: { slots: 1024 } },
    { line: { slots: '1' }, found: { slots: 1 } },
    {
      line: { source: '"10.0.0.4"' },
      found: { sources: { ipv4: { address: ip('10.0.0.4'), spread: 0 } } },
    },
    {
      line: { source: '["10.7.0.0/24", "2001:DB8:0::4"]' },
      found: {
        sources: {
          ipv4: { address: ip('10.7.0.0'), spread: 0xff },
          ipv6: { address: ip('2001:db8::4'), spread: 0 },
        },
      },
    },
    { line: { idle: '300' }, found: { idle: 300 } },
    { line: { idle: '"300s"' }, found: { idle: 300 } },
    { line: { idle: '"5m"' }, found: { idle: 300 } },
    { line: { drain_deadline: '"2h"' }, found: { drainDeadline: 7200 } },
    { line: { drain_deadline: '604800' }, found: { drainDeadline: 604_800 } },
  ])('$line is understood', ({ line, found }) => {
    expect(only(line)).toMatchObject(found);
  });

  test('has destinations as tables, as addresses, and as tables of their own', () => {
    const inline = only({
      destinations:
        '[\n  { address = "10.0.1.1", mac = "02-00-0A-00-01-01", weight = 0 },\n  "10.0.1.2",\n]',
    });
    expect(inline.rows).toEqual([
      { address: '10.0.1.1', mac: '02:00:0a:00:01:01', weight: 0, place: 'l4lb.toml:5' },
      { address: '10.0.1.2', mac: undefined, weight: 1, place: 'l4lb.toml:6' },
    ]);
    const text = `${service({ destinations: undefined })}[[service.destinations]]\naddress = "10.0.1.1"\n`;
    expect(read(text)).toMatchObject({
      problems: [],
      services: [{ rows: [{ address: '10.0.1.1', place: 'l4lb.toml:4' }] }],
    });
  });

  test('has destinations in a file, with the places of that', () => {
    expect(only({ destinations: undefined, file: '"web.csv"' }).rows).toEqual([
      { address: '10.0.1.1', mac: '02:00:0a:00:01:01', weight: 3, place: 'web.csv:2' },
      { address: '10.0.1.2', mac: undefined, weight: 1, place: 'web.csv:3' },
    ]);
  });

  test('has one source for all, and others for some', () => {
    const other = service({
      name: '"dns"',
      address: '"192.0.2.53"',
      source: '"10.0.0.5"',
    });
    const { services } = read(`source = "10.0.0.4"\n${service()}${other}`);
    expect(services.map(({ sources: { ipv4 } }) => ipv4 && formatSource(ipv4))).toEqual([
      '10.0.0.4',
      '10.0.0.5',
    ]);
  });

  test('says with an empty list that there is to be no service', () => {
    expect(read('service = []')).toEqual({
      services: [],
      daemon: {},
      echo: true,
      answers: 'kernel',
      names: {},
      namesPlace: 'l4lb.toml:1',
      seed: undefined,
      problems: [],
    });
  });

  test('may have a seed of its own, which no message repeats', () => {
    expect(read('seed = "0x00000063"\nservice = []').seed).toBe(99);
    expect(read('seed = "random"\nservice = []').seed).toBe('random');
    const { problems } = read('seed = "short"\nservice = []');
    expect(problems).toEqual([
      expect.stringMatching(/^l4lb.toml:1: seed: the seed is neither "random", nor /),
    ]);
    expect(read('seed = 12345678\nservice = []').problems).toEqual([
      'l4lb.toml:1: seed: the seed is no text, such as "random"',
    ]);
  });

  test('of the example is right, and uses every key', () => {
    const root = new URL('../../../', import.meta.url);
    const text = readFileSync(new URL('l4lb.example.toml', root), 'utf8');
    const { services, problems } = parseConfig(
      { name: 'l4lb.example.toml', text },
      (name) => ({
        name,
        text: readFileSync(new URL(name, root), 'utf8'),
      }),
    );
    expect(problems).toEqual([]);
    expect(services.map(({ name, rows }) => `${name} ${rows.length}`)).toEqual([
      'web 3',
      'shop 2',
      'dns 32',
      'rest 1',
    ]);
    expect(services[0]).toMatchObject({ idle: 300, drainDeadline: 3600, slots: 4096 });
    const keys =
      'name address ports protocol ways hash udp take_ssh slots source echo idle drain_deadline destinations file table remember forward names';
    for (const key of keys.split(' '))
      expect(text).toMatch(new RegExp(`^${key} = `, 'm'));
  });
});

describe('a config file with a fault', () => {
  test.each([
    { lines: { name: undefined }, problem: '1: name: it is missing; write name = "web"' },
    {
      lines: { name: '"my web"' },
      problem: /^2: name: "my web" is not a name: at most 63/,
    },
    { lines: { name: '5' }, problem: /^2: name: 5 is not a name/ },
    {
      lines: { address: undefined },
      problem: '1: address: it is missing; write one, a list, or "any"',
    },
    {
      lines: { address: '"web-1"' },
      problem: '3: address: "web-1" is not an IP address',
    },
    { lines: { address: '80' }, problem: '3: address: 80 is not an IP address' },
    { lines: { address: '[]' }, problem: '3: address: the list is empty' },
    {
      lines: { address: '"127.0.0.1"' },
      problem:
        "3: address: 127.0.0.1 cannot be a service's address: it is a loopback address",
    },
    {
      lines: { address: '[\n"192.0.2.1",\n"192.0.2"\n]' },
      problem: '5: address: "192.0.2" is not an IP address',
    },
    {
      lines: { address: '["192.0.2.10", "192.0.2.10"]' },
      problem: '3: address: 192.0.2.10/tcp is listed twice',
    },
    {
      lines: { ports: '0' },
      problem: '5: ports: 0 is not a port from 1 to 65535, nor "all"',
    },
    {
      lines: { ports: '"80"' },
      problem: '5: ports: "80" is not a port from 1 to 65535, nor "all"',
    },
    {
      lines: { ports: '[80,\n70000]' },
      problem: '6: ports: 70000 is not a port from 1 to 65535, nor "all"',
    },
    {
      lines: { ports: '[80, 80]' },
      problem: '3: address: 192.0.2.10:80/tcp is listed twice',
    },
    {
      lines: { address: '"any"', ports: '80' },
      problem: '5: ports: a port needs an address of its own, not "any"',
    },
    {
      lines: { protocol: '"udb"' },
      problem: '5: protocol: "udb" is not "tcp" or "udp"; did you mean "udp"?',
    },
    { lines: { protocol: '6' }, problem: '5: protocol: 6 is not "tcp" or "udp"' },
    {
      lines: { ways: '"192.0.2.20:80"' },
      problem: '3: address: leave it out, since `ways` says it',
    },
    {
      lines: { address: undefined, ways: '["web:80"]' },
      problem: '4: ways: "web:80" is not a way: "web" is not an IP address',
    },
    {
      lines: { address: undefined, ways: '["192.0.2.1:80", "192.0.2.1:80/udp"]' },
      problem: '4: ways: 192.0.2.1:80/udp is listed twice',
    },
    {
      lines: { hash: '"sources"' },
      problem:
        '5: hash: "sources" is not "source+ports" or "source"; did you mean "source"?',
    },
    { lines: { udp: 'true' }, problem: '5: udp: true is not "current" or "previous"' },
    { lines: { take_ssh: '1' }, problem: '5: take_ssh: 1 is neither true nor false' },
    {
      lines: { ports: '80', take_ssh: 'true' },
      problem: '6: take_ssh: only a service on all ports leaves ssh to the host at all',
    },
    {
      lines: { slots: '1000' },
      problem: '5: slots: 1000 is not a power of two, such as 65536',
    },
    {
      lines: { slots: '0.5' },
      problem: '5: slots: 0.5 is not a power of two, such as 65536',
    },
    {
      lines: { slots: '1', destinations: '["10.0.1.1", "10.0.1.2"]' },
      problem: '5: slots: 2 destinations do not fit 1 slot',
    },
    {
      lines: { source: '["10.0.0.4", "10.0.0.5"]' },
      problem: '5: source: each family has one source, and two of one family are given',
    },
    {
      lines: { source: '"10.0.0.4/24"' },
      problem:
        '5: source: "10.0.0.4/24" has bits set after its length; write 10.0.0.0/24',
    },
    {
      lines: { source: '4' },
      problem: '5: source: 4 is not an IP address',
    },
    {
      lines: { address: '"fe80::1"' },
      problem:
        /: fe80::1 cannot be a service's address: it is a link-local address, which/,
    },
    {
      lines: { source: '"224.0.0.1"' },
      problem: '5: source: "224.0.0.1" cannot be a source: it is a multicast address',
    },
    {
      lines: { idle: '0' },
      problem: /^5: idle: 0 is not a time from 1 to 604800 seconds/,
    },
    { lines: { idle: '"5 min"' }, problem: /^5: idle: "5 min" is not a time/ },
    { lines: { idle: '"9999999h"' }, problem: /^5: idle: "9999999h" is not a time/ },
    { lines: { idle: '[300]' }, problem: /^5: idle: \[300\] is not a time/ },
    {
      lines: { drain_deadline: '2026-01-01' },
      problem: /^5: drain_deadline: 2026-01-01\S* is not a time/,
    },
    {
      lines: { destinations: undefined },
      problem: '1: destinations: there are none; name them, or a file with them',
    },
    { lines: { destinations: '[]' }, problem: '4: destinations: there are none' },
    {
      lines: { destinations: '"10.0.1.1"' },
      problem: '4: destinations: "10.0.1.1" is not a list of destinations',
    },
    {
      lines: { destinations: '[\n"10.0.1.1",\n{ mac = "02:00:00:00:00:01" } ]' },
      problem: '6: address: it is missing',
    },
    {
      lines: { destinations: '[\n"10.0.1.1",\n"10.0.1.1" ]' },
      problem: '6: destinations: 10.0.1.1 is already on l4lb.toml:5',
    },
    {
      lines: { destinations: '[{ address = "10.0.1.1", wieght = 3 }]' },
      problem: '4: wieght: there is no such key; did you mean `weight`?',
    },
    {
      lines: { destinations: '[{ address = "10.0.1.1", weight = -1 }]' },
      problem: '4: weight: -1 is not a weight from 0 to 65535',
    },
    {
      lines: { destinations: '[{ address = "10.0.1.1", mac = "01:00:5e:00:00:01" }]' },
      problem:
        '4: mac: "01:00:5e:00:00:01" is not a destination\'s MAC address: it is a group address',
    },
    {
      lines: { destinations: '[{ address = "10.0.1.1", mac = 5 }]' },
      problem:
        "4: mac: 5 is not a destination's MAC address: it is not six pairs of hex digits",
    },
    {
      lines: { destinations: '["224.0.0.1"]' },
      problem: '4: address: 224.0.0.1 cannot be a destination: it is a multicast address',
    },
    {
      lines: { file: '"web.csv"' },
      problem: '5: file: there are `destinations` as well; take one of the two',
    },
    {
      lines: { destinations: undefined, file: '"none.csv"' },
      problem: '4: file: cannot read none.csv: there is no such file',
    },
    {
      lines: { destinations: undefined, file: '5' },
      problem: '4: file: 5 is not the name of a file',
    },
    {
      lines: { port: '80' },
      problem: '5: port: there is no such key; did you mean `ports`?',
    },
    {
      lines: { 'drain-deadline': '80' },
      problem: '5: drain-deadline: there is no such key; did you mean `drain_deadline`?',
    },
    {
      lines: { xyzzy: '80' },
      problem: /^5: xyzzy: there is no such key; there are `name`, `address`, /,
    },
    {
      lines: { '"a\\nb"': '80' },
      problem: /^5: "a\\nb": there is no such key; /,
    },
  ] as { lines: Record<string, string | undefined>; problem: string | RegExp }[])(
    '$problem',
    ({ lines, problem }) => {
      const { problems } = read(service(lines));
      expect(problems).toHaveLength(1);
      const [first = ''] = problems;
      expect(first.startsWith('l4lb.toml:')).toBe(true);
      const rest = first.slice('l4lb.toml:'.length);
      if (typeof problem === 'string') expect(rest).toBe(problem);
      else expect(rest).toMatch(problem);
    },
  );

  test.each([
    {
      text: '',
      problem: '1: service: there is none; write [[service]], or service = []',
    },
    {
      text: '# nothing\n\nsource = "10.0.0.4"\n',
      problem: '1: service: there is none; write [[service]], or service = []',
    },
    {
      text: '[service]\nname = "web"\n',
      problem: '1: service: {"name":"web"} is not a list of services; write [[service]]',
    },
    {
      text: 'service = [5]\n',
      problem: '1: service: 5 is not a service; write [[service]]',
    },
    {
      text: 'service = []\nsuorce = "10.0.0.4"\n',
      problem: '2: suorce: there is no such key; did you mean `source`?',
    },
    {
      text: 'slots = 512\nservice = []\n',
      problem: '1: slots: it belongs after a line [[service]]',
    },
    {
      text: '# one\n[[service]\nname = "web"\n',
      problem: /^2: not TOML: ./,
    },
    { text: 'service = []\nservice = []\n', problem: /^2: not TOML: ./ },
    { text: '[[service]]\nname = "web\n', problem: /^2: not TOML: ./ },
  ] as { text: string; problem: string | RegExp }[])('$problem', ({ text, problem }) => {
    const { problems } = read(text);
    expect(problems).toHaveLength(1);
    const rest = problems[0]?.slice('l4lb.toml:'.length) ?? '';
    if (typeof problem === 'string') expect(rest).toBe(problem);
    else expect(rest).toMatch(problem);
  });

  test('names both places of a name that two services have', () => {
    const other = service({ address: '"192.0.2.20"' });
    expect(read(service() + other).problems).toEqual([
      'l4lb.toml:6: name: "web" is also the name at l4lb.toml:1',
    ]);
  });

  test('names the ways that two services have, once for each pair', () => {
    const other = service({ name: '"dns"' });
    const third = service({
      name: '"ftp"',
      address: undefined,
      ways: '["192.0.2.9", "192.0.2.10/udp"]',
    });
    expect(read(service() + other + third).problems).toEqual([
      'l4lb.toml:7: address: 192.0.2.10/tcp already leads to the service at l4lb.toml:1',
      'l4lb.toml:12: ways: 192.0.2.10/udp already leads to the service at l4lb.toml:1',
    ]);
  });

  test('tells all of them at once, in the order of the lines, those of CSV files too', () => {
    const first = service({
      ports: '"http"',
      slots: '7',
      destinations: undefined,
      file: '"bad.csv"',
    });
    const second = service({ name: '"dns"', address: '"192.0.2.53"', hsah: '"source"' });
    expect(read(`${first}${second}`).problems).toEqual([
      'l4lb.toml:4: ports: "http" is not a port from 1 to 65535, nor "all"',
      'l4lb.toml:5: slots: 7 is not a power of two, such as 65536',
      'bad.csv:1: "10.0.1.300" is not an IP address',
      'bad.csv:2: "many" is not a weight from 0 to 65535',
      'l4lb.toml:11: hsah: there is no such key; did you mean `hash`?',
    ]);
  });
});

describe('lines of keys', () => {
  const TEXT = [
    '# a = 1', // 1
    'a = 1 # b = 2', // 2
    '"b c" = "x = \\"y\\" # z"', // 3
    "c.d = 'it''' ".replace("''' ", "' "), // 4
    'text = """', // 5
    'e = 1', // 6
    '[f]', // 7
    'a \\""" still', // 8
    '"""', // 9
    "raw = '''", // 10
    "[[g]]''''' # with two quotes of its own", // 11
    'list = [ # a comment, ] and more', // 12
    '  1, [2,', // 13
    '  3], { x = 1, "y]" = [', // 14
    '  4 ] },', // 15
    ']', // 16
    '[table . sub]', // 17
    'h = 1979-05-27 07:32:00', // 18
    '[[array]]', // 19
    'k = 1', // 20
    '[[array]]', // 21
    'k = 2', // 22
    '[[array.inner]]', // 23
    'm = true', // 24
    '[array.other]', // 25
    'n = { a.b = 1 }', // 26
  ].join('\n');

  test.each([
    { path: ['a'], line: 2 },
    { path: ['b c'], line: 3 },
    { path: ['c', 'd'], line: 4 },
    { path: ['text'], line: 5 },
    { path: ['raw'], line: 10 },
    { path: ['list'], line: 12 },
    { path: ['list', 0], line: 13 },
    { path: ['list', 1], line: 13 },
    { path: ['list', 1, 1], line: 14 },
    { path: ['list', 2, 'x'], line: 14 },
    { path: ['list', 2, 'y]', 0], line: 15 },
    { path: ['table', 'sub', 'h'], line: 18 },
    { path: ['array', 0], line: 19 },
    { path: ['array', 0, 'k'], line: 20 },
    { path: ['array', 1], line: 21 },
    { path: ['array', 1, 'k'], line: 22 },
    { path: ['array', 1, 'inner', 0, 'm'], line: 24 },
    { path: ['array', 1, 'other', 'n', 'a', 'b'], line: 26 },
    { path: ['array', 1, 'nothing'], line: 21 },
    { path: ['nothing'], line: 1 },
  ])('$path is on $line', ({ path, line }) => {
    expect(new TomlLines(TEXT).of(path)).toBe(line);
    expect(new TomlLines(TEXT.replaceAll('\n', '\r\n')).of(path)).toBe(line);
  });

  test('of a key that is a hundred thousand deep are found as well', () => {
    const deep = Array.from({ length: 100_000 }, () => 'a').join('.');
    const { problems } = read(`${service()}${deep} = 1\n`);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain('l4lb.toml:5: a: there is no such key');
  });

  test('end with any text, whatever is cut off', () => {
    for (let length = 0; length < TEXT.length; length++) {
      expect(new TomlLines(TEXT.slice(0, length)).of(['nothing'])).toBe(1);
    }
  });
});

describe('the nearest name', () => {
  const KNOWN = ['name', 'address', 'ports', 'protocol', 'slots', 'drain_deadline'];
  test.each([
    { name: 'port', nearest: 'ports' },
    { name: 'Ports', nearest: 'ports' },
    { name: 'adress', nearest: 'address' },
    { name: 'addresses', nearest: 'address' },
    { name: 'protocols', nearest: 'protocol' },
    { name: 'solts', nearest: 'slots' },
    { name: 'deadline', nearest: 'drain_deadline' },
    { name: 'xyzzy', nearest: undefined },
    { name: 'q', nearest: undefined },
  ])('to $name is $nearest', ({ name, nearest }) => {
    expect(nearestOf(name, KNOWN)).toBe(nearest);
  });
});
