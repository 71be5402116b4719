// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';

import type { Run } from '../../../../src/system/run.js';
import { Neighbours } from '../../../../src/system/ip/neighbours.js';
import { fakeRun } from '../fake-run.js';

const SHOW = 'ip -j neigh show dev ens4';
const MAC = '02:00:0a:00:00:0f';
const OTHER_MAC = '02:00:0a:00:00:99';

interface Kernel {
  /** What each line of a batch prints; a line that is missing here prints nothing. */
  prints?: Record<string, object>;
  /** What `ip neigh` shows, one time after the other; the last for ever. */
  shows?: object[][];
  /** Of lines that begin with this word all fail. */
  refuses?: string;
}

/** Answers batches, whose file has a name of its own each time. */
function kernel({ prints = {}, shows = [[]], refuses }: Kernel): {
  neighbours: Neighbours;
  /** The lines of all batches, and SHOW. */
  asked: string[];
} {
  const asked: string[] = [];
  const { run: show } = fakeRun({ [SHOW]: shows.map((one) => JSON.stringify(one)) });
  const run: Run = async (command, args, options) => {
    if (args[2] !== '-batch') {
      asked.push(SHOW);
      return show(command, args, options);
    }
    expect(args.slice(0, 2)).toEqual(['-force', '-j']);
    const lines = readFileSync(args[3] ?? '', 'utf8')
      .trimEnd()
      .split('\n');
    asked.push(...lines);
    const isRefused =
      refuses !== undefined && lines.some((one) => one.startsWith(refuses));
    const stdout = lines
      .flatMap((line) => (prints[line] ? [`${JSON.stringify([prints[line]])}\n`] : []))
      .join('');
    return isRefused
      ? { exitCode: 1, stdout, stderr: 'RTNETLINK answers: Operation not permitted\n' }
      : { exitCode: 0, stdout, stderr: '' };
  };
  return { neighbours: new Neighbours(run), asked };
}

const route = (address: string): string => `route get ${address} oif ens4`;
const use = (address: string): string => `neigh replace ${address} dev ens4 use`;
const check = (address: string): string => `neigh change ${address} dev ens4 nud probe`;

function entry(dst: string, state: string, lladdr?: string): object {
  return { dst, lladdr, state: [state] };
}

describe('the next hops of routes', () => {
  test('a line that fails leaves the others', async () => {
    const addresses = ['10.0.1.1', '10.1.0.1', '10.0.0.1', '10.9.9.9'];
    const { neighbours, asked } = kernel({
      prints: {
        [route('10.0.1.1')]: { dst: '10.0.1.1', dev: 'ens4' },
        [route('10.1.0.1')]: { dst: '10.1.0.1', gateway: '10.0.0.254', dev: 'ens4' },
        [route('10.0.0.1')]: { type: 'local', dst: '10.0.0.1', dev: 'lo' },
      },
    });
    expect([...(await neighbours.hops('ens4', addresses))]).toEqual([
      ['10.0.1.1', { next: '10.0.1.1', isLocal: false }],
      ['10.1.0.1', { next: '10.0.0.254', isLocal: false }],
      ['10.0.0.1', { next: undefined, isLocal: true }],
      ['10.9.9.9', { next: undefined, isLocal: false }],
    ]);
    expect(asked).toEqual(addresses.map(route));
  });

  test('are found however an address is written', async () => {
    const { neighbours } = kernel({
      prints: { [route('2001:DB8:0::9')]: { dst: '2001:db8::9', dev: 'ens4' } },
    });
    expect([...(await neighbours.hops('ens4', ['2001:DB8:0::9']))]).toEqual([
      ['2001:DB8:0::9', { next: '2001:db8::9', isLocal: false }],
    ]);
  });
});

describe('a probe', () => {
  test('asks neighbours whether they are there, unless they were set by hand', async () => {
    const { neighbours, asked } = kernel({
      shows: [
        [
          entry('10.0.1.1', 'STALE', MAC),
          entry('10.0.1.2', 'PERMANENT', MAC),
          entry('10.0.1.3', 'FAILED'),
        ],
        [
          entry('10.0.1.1', 'PROBE', MAC),
          entry('10.0.1.2', 'PERMANENT', MAC),
          entry('10.0.1.3', 'INCOMPLETE'),
        ],
        [
          entry('10.0.1.1', 'REACHABLE', MAC),
          entry('10.0.1.2', 'PERMANENT', MAC),
          entry('10.0.1.3', 'FAILED'),
          entry('10.0.1.99', 'REACHABLE', MAC),
        ],
      ],
    });
    const addresses = ['10.0.1.1', '10.0.1.2', '10.0.1.3'];
    expect([...(await neighbours.probe('ens4', addresses))]).toEqual([
      ['10.0.1.1', { mac: MAC, states: ['REACHABLE'] }],
      ['10.0.1.2', { mac: MAC, states: ['PERMANENT'] }],
      ['10.0.1.3', { mac: undefined, states: ['FAILED'] }],
    ]);
    expect(asked).toEqual([SHOW, check('10.0.1.1'), use('10.0.1.3'), SHOW, SHOW]);
  });
});

describe('the MAC addresses of destinations', () => {
  const HOST = '10.0.0.15';
  const DIRECT = { [route(HOST)]: { dst: HOST, dev: 'ens4', prefsrc: '10.0.0.1' } };

  test('one on the same network is asked for itself', async () => {
    const { neighbours, asked } = kernel({
      prints: DIRECT,
      shows: [[entry(HOST, 'REACHABLE', MAC)]],
    });
    expect(await neighbours.resolve('ens4', [HOST])).toEqual(
      new Map([[HOST, { mac: MAC, router: undefined }]]),
    );
    expect(asked).toEqual([route(HOST), SHOW]);
  });

  test('those behind a gateway have its MAC, and it is asked for once', async () => {
    const addresses = ['10.0.1.15', '10.0.1.16'];
    const { neighbours, asked } = kernel({
      prints: Object.fromEntries(
        addresses.map((dst) => [route(dst), { dst, gateway: '10.0.0.254', dev: 'ens4' }]),
      ),
      shows: [[], [entry('10.0.0.254', 'REACHABLE', MAC)]],
    });
    expect([...(await neighbours.resolve('ens4', addresses))]).toEqual([
      ['10.0.1.15', { mac: MAC, router: '10.0.0.254' }],
      ['10.0.1.16', { mac: MAC, router: '10.0.0.254' }],
    ]);
    expect(asked).toEqual([...addresses.map(route), SHOW, use('10.0.0.254'), SHOW]);
  });

  test('IPv6 neighbours are asked for as those of IPv4 are', async () => {
    const { neighbours, asked } = kernel({
      prints: {
        [route('2001:db8:1::15')]: { dst: '2001:db8:1::15', gateway: 'fe80::fe' },
        [route('10.0.2.15')]: {
          dst: '10.0.2.15',
          via: { family: 'inet6', host: 'fe80::fe' },
        },
        [route('2001:db8::9')]: { dst: '2001:db8::9', dev: 'ens4' },
      },
      shows: [
        [],
        [entry('fe80::fe', 'REACHABLE', MAC), entry('2001:db8::9', 'STALE', OTHER_MAC)],
      ],
    });
    const addresses = ['2001:db8:1::15', '10.0.2.15', '2001:db8::9'];
    expect([...(await neighbours.resolve('ens4', addresses))]).toEqual([
      ['2001:db8:1::15', { mac: MAC, router: 'fe80::fe' }],
      ['10.0.2.15', { mac: MAC, router: 'fe80::fe' }],
      ['2001:db8::9', { mac: OTHER_MAC, router: undefined }],
    ]);
    expect(asked.filter((line) => line.includes('fe80::fe'))).toHaveLength(1);
  });

  test('a neighbour that answers late is waited for', async () => {
    const { neighbours } = kernel({
      prints: DIRECT,
      shows: [[], [entry(HOST, 'INCOMPLETE')], [entry(HOST, 'REACHABLE', MAC)]],
    });
    expect((await neighbours.resolve('ens4', [HOST])).get(HOST)?.mac).toBe(MAC);
  });

  test.each<{ address: string; prints: Record<string, object> }>([
    { address: 'without a route', prints: {} },
    {
      address: "of the host's own",
      prints: { [route(HOST)]: { type: 'local', dst: HOST } },
    },
  ])('an address $address has none, and is not waited for', async ({ prints }) => {
    const { neighbours, asked } = kernel({ prints });
    expect((await neighbours.resolve('ens4', [HOST])).size).toBe(0);
    expect(asked).toEqual([route(HOST), SHOW]);
  });

  test('a neighbour that does not answer has none', async () => {
    const { neighbours } = kernel({
      prints: DIRECT,
      shows: [[entry(HOST, 'FAILED', MAC)]],
    });
    expect((await neighbours.resolve('ens4', [HOST])).size).toBe(0);
  });

  // The kernel's three tries take three seconds, and so does this test.
  test('a neighbour that is asked without end has none', async () => {
    const { neighbours } = kernel({
      prints: DIRECT,
      shows: [[entry(HOST, 'INCOMPLETE')]],
    });
    expect((await neighbours.resolve('ens4', [HOST])).size).toBe(0);
  });

  test('one not heard of lately is asked whether it is still there', async () => {
    const { neighbours, asked } = kernel({
      prints: DIRECT,
      shows: [
        [entry(HOST, 'STALE', MAC)],
        [entry(HOST, 'PROBE', MAC)],
        [entry(HOST, 'REACHABLE', MAC)],
      ],
    });
    expect(await neighbours.resolve('ens4', [HOST])).toEqual(
      new Map([[HOST, { mac: MAC, router: undefined }]]),
    );
    expect(asked).toEqual([route(HOST), SHOW, check(HOST), SHOW, SHOW]);
  });

  test('a dead one that the kernel remembers has none', async () => {
    const { neighbours, asked } = kernel({
      prints: DIRECT,
      shows: [[entry(HOST, 'STALE', MAC)], [entry(HOST, 'FAILED', MAC)]],
    });
    expect((await neighbours.resolve('ens4', [HOST])).size).toBe(0);
    expect(asked.filter((line) => line === use(HOST))).toHaveLength(1);
  });

  test('one that has another MAC by now is found by asking everybody', async () => {
    const { neighbours } = kernel({
      prints: DIRECT,
      shows: [
        [entry(HOST, 'STALE', MAC)],
        [entry(HOST, 'FAILED')],
        [entry(HOST, 'REACHABLE', OTHER_MAC)],
      ],
    });
    expect((await neighbours.resolve('ens4', [HOST])).get(HOST)?.mac).toBe(OTHER_MAC);
  });

  test('one that somebody set by hand is not asked', async () => {
    const { neighbours, asked } = kernel({
      prints: DIRECT,
      shows: [[entry(HOST, 'PERMANENT', MAC)]],
    });
    expect((await neighbours.resolve('ens4', [HOST])).size).toBe(1);
    expect(asked).toEqual([route(HOST), SHOW]);
  });

  test('an entry that goes before it is checked is no fault', async () => {
    const { neighbours } = kernel({
      prints: DIRECT,
      shows: [[entry(HOST, 'STALE', MAC)], [], [entry(HOST, 'REACHABLE', MAC)]],
      refuses: 'neigh change',
    });
    expect((await neighbours.resolve('ens4', [HOST])).get(HOST)?.mac).toBe(MAC);
  });

  test('that nobody may be asked is told in the words of ip', async () => {
    const { neighbours } = kernel({ prints: DIRECT, refuses: 'neigh replace' });
    await expect(neighbours.resolve('ens4', [HOST])).rejects.toThrow(
      'ip neigh replace: RTNETLINK answers: Operation not permitted',
    );
  });

  test('nothing to resolve asks for nothing but the neighbours', async () => {
    const { neighbours, asked } = kernel({});
    expect((await neighbours.resolve('ens4', [])).size).toBe(0);
    expect(asked).toEqual([SHOW]);
  });
});

describe('neighbours that the kernel keeps', () => {
  const managed = (address: string): string =>
    `neigh replace ${address} dev ens4 managed`;
  const prints = {
    [route('10.0.1.1')]: { dst: '10.0.1.1', dev: 'ens4' },
    [route('10.1.0.1')]: { dst: '10.1.0.1', gateway: '10.0.0.254', dev: 'ens4' },
  };
  const addresses = ['10.0.1.1', '10.1.0.1'];
  const kept = (dst: string): object => ({
    ...entry(dst, 'REACHABLE', MAC),
    managed: null,
  });

  test('are the next hops, unless it does so already', async () => {
    const { neighbours, asked } = kernel({
      prints,
      shows: [
        [entry('10.0.1.1', 'STALE', MAC), kept('10.0.0.254')],
        [kept('10.0.1.1'), kept('10.0.0.254')],
      ],
    });
    expect(await neighbours.manage('ens4', addresses, '6.1.0-44-amd64')).toEqual([]);
    expect(asked).toEqual([...addresses.map(route), SHOW, managed('10.0.1.1'), SHOW]);
  });

  test('are not those that somebody set by hand', async () => {
    const shows = [addresses.map(() => entry('10.0.1.1', 'PERMANENT', MAC))];
    const { neighbours, asked } = kernel({ prints, shows });
    expect(await neighbours.manage('ens4', ['10.0.1.1'], '6.1.0')).toEqual([]);
    expect(asked).not.toContain(managed('10.0.1.1'));
  });

  test('are none on an older kernel, which is not even asked', async () => {
    const { neighbours, asked } = kernel({ prints });
    expect(await neighbours.manage('ens4', addresses, '5.15.0-91-generic')).toEqual([
      '10.0.1.1',
      '10.0.0.254',
    ]);
    expect(asked).not.toContain(managed('10.0.1.1'));
  });

  test('are told if an older ip does not know the word', async () => {
    const shows = [[entry('10.0.1.1', 'STALE', MAC)]];
    const { neighbours } = kernel({ prints, shows });
    expect(await neighbours.manage('ens4', ['10.0.1.1'], '5.16.1')).toEqual(['10.0.1.1']);
  });
});

test('what the kernel knows now is read without a question to a neighbour', async () => {
  const { neighbours, asked } = kernel({
    prints: { [route('10.1.0.1')]: { dst: '10.1.0.1', gateway: '10.0.0.254' } },
    shows: [[entry('10.0.0.254', 'STALE', MAC), entry('10.0.1.1', 'FAILED')]],
  });
  expect([...(await neighbours.known('ens4', ['10.1.0.1', '10.0.1.1']))]).toEqual([
    ['10.1.0.1', MAC],
  ]);
  expect(asked).toEqual([route('10.1.0.1'), route('10.0.1.1'), SHOW]);
  expect(await neighbours.known('ens4', [])).toEqual(new Map());
});
