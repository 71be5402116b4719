// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The table `check` of a service. */
import { describe, expect, test } from '@jest/globals';

import type { WantedCheck } from '../../../src/config/check.js';
import { checkedPort } from '../../../src/config/check.js';
import type { Config } from '../../../src/config/read.js';
import { parseConfig } from '../../../src/config/read.js';
import { Fault } from '../../../src/text/fault.js';

function read(check: string, more = 'ports = 80'): Config {
  const text = `[[service]]
name = "web"
address = "192.0.2.10"
${more}
destinations = ["10.0.1.1"]
${check}
`;
  return parseConfig({ name: 'l4lb.toml', text }, (name) => {
    throw new Fault(`cannot read ${name}`);
  });
}

function right(check: string, more?: string): WantedCheck | undefined {
  const { problems, services } = read(check, more);
  expect(problems).toEqual([]);
  return services[0]?.check;
}

const wrong = (check: string, more?: string): string[] => read(check, more).problems;

test('a service without a check has none', () => {
  expect(right('')).toBeUndefined();
});

test('a kind alone gets these defaults', () => {
  expect(right('check = "tcp"')).toEqual({
    ...{ question: { kind: 'tcp' }, port: undefined },
    ...{ via: undefined, isViaWanted: false, viaPlace: 'l4lb.toml:6' },
    ...{ interval: 1000, timeout: 500, fast: 250, rise: 2, fall: 3 },
    ...{
      deadAfter: 30_000,
      slowStart: 0,
      onPanic: 'keep',
      allDown: 'serve',
      mostMoves: 20,
    },
  });
});

test('a table has what its kind needs, and times with a unit', () => {
  const text = `[service.check]
kind = "http"
port = 8080
path = "/health?full=1"
host = "www.example.org"
status = [204, "300-302"]
interval = "2s"
timeout = "1500ms"
fast = 0.5
dead_after = "2m"
slow_start = "1m"
on_panic = "all"
most_moves = 50`;
  expect(right(text)).toMatchObject({
    question: {
      ...{ kind: 'http', path: '/health?full=1', host: 'www.example.org' },
      status: [
        [204, 204],
        [300, 302],
      ],
    },
    ...{ port: 8080, interval: 2000, timeout: 1500, fast: 500, rise: 2, fall: 3 },
    ...{
      deadAfter: 120_000,
      slowStart: 60_000,
      onPanic: 'all',
      allDown: 'serve',
      mostMoves: 50,
    },
  });
});

test('a fast interval takes timeout and fast along', () => {
  const check = right('check = { kind = "tcp", interval = "200ms" }');
  expect(check).toMatchObject({ interval: 200, timeout: 200, fast: 200 });
});

describe('the port that is asked', () => {
  const WAY = { address: Buffer.alloc(16), port: 80, protocol: 6 };

  test('is named, or of the destination, or of the service', () => {
    const named = { port: 8080 };
    expect(checkedPort(named, [WAY], { port: 90 })).toBe(8080);
    expect(checkedPort({ port: undefined }, [WAY], { port: 90 })).toBe(90);
    expect(checkedPort({ port: undefined }, [WAY], {})).toBe(80);
  });

  test.each([
    ['ports = [80, 443]', 'several'],
    ['', 'all'],
  ])('has to be named: %j', (ports, which) => {
    expect(wrong('check = "tcp"', ports)).toEqual([
      expect.stringContaining(
        `check: the service has ${which} ports; say which one is asked, such as port = 80`,
      ),
    ]);
    expect(right('check = { kind = "tcp", port = 22 }', ports)?.port).toBe(22);
  });
});

test.each([
  ['check = "htpp"', 'kind: "htpp" is not "tcp" or "http"'],
  ['check = 7', 'check: 7 is not a check, such as { kind = "http", path = "/" }'],
  ['check = { path = "/" }', 'kind: it is missing; write kind = "tcp"'],
  [
    'check = { kind = "tcp", intervall = 1 }',
    'intervall: there is no such key; did you mean `interval`?',
  ],
  [
    'check = { kind = "tcp", path = "/" }',
    'path: only http, https can have it, and this is tcp',
  ],
  [
    'check = { kind = "http", path = "health" }',
    'path: "health" is not a path, such as "/health"',
  ],
  ['check = { kind = "http", path = "/\\r\\nX: y" }', 'is not a path'],
  ['check = { kind = "http", host = "a\\r\\nb" }', 'is not the name of a host'],
  [
    'check = { kind = "http", status = 600 }',
    'status: 600 is not a status, such as 200 or "200-399"',
  ],
  ['check = { kind = "http", status = "400-200" }', 'status: "400-200" is not a status'],
  [
    'check = { kind = "tcp", interval = "10ms" }',
    'interval: "10ms" is not a time from 100 ms to 86400 s, such as "500ms", 2 or "5m"',
  ],
  ['check = { kind = "tcp", timeout = "2s" }', 'timeout: it is longer than the interval'],
  ['check = { kind = "tcp", fast = "2s" }', 'fast: it is longer than the interval'],
  ['check = { kind = "tcp", rise = 0 }', 'rise: 0 is not a number from 1 to 100'],
  [
    'check = { kind = "tcp", on_panic = "al" }',
    'on_panic: "al" is not "keep" or "all" or "off"; did you mean "all"?',
  ],
  [
    'check = { kind = "tcp", port = "all" }',
    'port: a check goes to one port, not to "all"',
  ],
  [
    'check = { kind = "exec" }',
    'command: it is missing; write command = ["/usr/local/bin/check"]',
  ],
  [
    'check = { kind = "exec", command = ["check"] }',
    'command: write the program with its whole path, not "check"',
  ],
  ['check = { kind = "tcp", send = "" }', 'send: "" is not text of 1 to 512 bytes'],
  [
    'check = { kind = "dns", name = "a..b" }',
    'name: "a..b" is not a name, such as "www.example.org"',
  ],
])('%s', (text, problem) => {
  expect(wrong(text).join('\n')).toContain(problem);
});
