// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import {
  announce,
  announced,
  checkAnnounceTable,
  planRoutes,
} from '../../../../src/fleet/announce/routes.js';
import type { Answer } from '../../system/fake-run.js';
import { fakeRun } from '../../system/fake-run.js';

const V4 = '198.51.100.10';
const V6 = '2001:db8:100::10';
const served = (address: string): { address: string; isDrained: boolean } => ({
  address,
  isDrained: false,
});
const drained = (address: string): { address: string; isDrained: boolean } => ({
  address,
  isDrained: true,
});

describe('the plan', () => {
  test.each([
    { what: 'what is new is added', there: [], want: [served(V4)], plan: [`+${V4} 100`] },
    {
      what: 'what is there is left alone, however it is written',
      there: [`${V4} 100`, `${V6} 100`],
      want: [served(V4), served('2001:DB8:100:0::10')],
      plan: [],
    },
    {
      what: 'a drain replaces the route',
      there: [`${V4} 100`],
      want: [drained(V4)],
      plan: [`+${V4} 1000`, `-${V4} 100`],
    },
    {
      what: 'a drain that was cut short is finished',
      there: [`${V4} 100`, `${V4} 1000`],
      want: [drained(V4)],
      plan: [`-${V4} 100`],
    },
    {
      what: 'what nobody wants goes, whoever wrote it',
      there: [`${V4} 100`, `${V6} 1024`],
      want: [],
      plan: [`-${V4} 100`, `-${V6} 1024`],
    },
  ])('$what', ({ there, want, plan }) => {
    const routes = there.map((text) => {
      const [address = '', metric] = text.split(' ');
      return { address, metric: Number(metric) };
    });
    const { add, remove } = planRoutes(routes, want);
    expect([
      ...add.map(({ address, metric }) => `+${address} ${metric}`),
      ...remove.map(({ address, metric }) => `-${address} ${metric}`),
    ]).toEqual(plan);
  });

  test.each(['127.0.0.1', '224.0.0.1', 'fe80::1', 'lo', ''])(
    '"%s" is refused',
    (text) => {
      expect(() => planRoutes([], [served(text)])).toThrow();
    },
  );
});

const SHOW_4 = 'ip -4 -json route show table 196';
const SHOW_6 = 'ip -6 -json route show table 196';
const NONE: Answer = {
  exitCode: 2,
  stdout: '[',
  stderr: 'Error: ipv4: FIB table does not exist.\nDump terminated\n',
};
/** As iproute2 6.1 prints them. */
const BOTH = {
  [SHOW_4]: `[{"type":"blackhole","dst":"${V4}","metric":100,"flags":[]},
    {"type":"blackhole","dst":"default","flags":[]},{"dst":"10.0.0.0/8","dev":"eth0"}]`,
  [SHOW_6]: `[{"type":"blackhole","dst":"${V6}","dev":"lo","metric":1000,"flags":[],"pref":"medium"},
    {"type":"blackhole","dst":"2001:db8::/32","dev":"lo","metric":1024}]`,
};

describe('announcing', () => {
  test('reads the table, and writes what is missing in one process', async () => {
    const batch = `ip -batch - < route replace blackhole ${V4}/32 table 196 metric 100; route replace blackhole ${V6}/128 table 196 metric 1000`;
    const { run, lines } = fakeRun({ [SHOW_4]: NONE, [SHOW_6]: NONE, [batch]: '' });
    expect(await announce({ run }, 196, [served(V4), drained(V6)])).toBe(true);
    expect(lines).toEqual([SHOW_4, SHOW_6, batch]);
  });

  test('writes nothing where nothing differs', async () => {
    const { run, lines } = fakeRun(BOTH);
    expect(await announce({ run }, 196, [served(V4), drained(V6)])).toBe(false);
    expect(lines).toHaveLength(2);
  });

  test('adds before it removes, and bears that others removed it', async () => {
    const add = `ip -batch - < route replace blackhole ${V6}/128 table 196 metric 100`;
    const remove = `ip -force -batch - < route delete blackhole ${V4}/32 table 196 metric 100; route delete blackhole ${V6}/128 table 196 metric 1000`;
    const gone = 'RTNETLINK answers: No such process\nCommand failed -:1\n';
    const { run, lines } = fakeRun({
      ...BOTH,
      [add]: '',
      [remove]: { exitCode: 1, stderr: gone },
    });
    expect(await announce({ run }, 196, [served(V6)])).toBe(true);
    expect(lines.slice(2)).toEqual([add, remove]);
  });

  test('removes nothing if something cannot be added', async () => {
    const add = `ip -batch - < route replace blackhole 198.51.100.11/32 table 196 metric 100`;
    const stderr = 'RTNETLINK answers: Operation not permitted\nCommand failed -:1\n';
    const { run, lines } = fakeRun({ ...BOTH, [add]: { exitCode: 2, stderr } });
    await expect(announce({ run }, 196, [served('198.51.100.11')])).rejects.toThrow(
      'could not replace routes in table 196: RTNETLINK answers: Operation not permitted',
    );
    expect(lines.at(-1)).toBe(add);
  });

  test('needs no IPv6, but a table that can be read', async () => {
    const stderr = 'RTNETLINK answers: Operation not supported\n';
    const without = fakeRun({ [SHOW_4]: NONE, [SHOW_6]: { exitCode: 2, stderr } });
    expect(await announce(without, 196, [])).toBe(false);
    const unread = fakeRun({ [SHOW_4]: { exitCode: 1, stderr: 'no memory' } });
    await expect(announce(unread, 196, [])).rejects.toThrow('no memory');
  });

  test('tells what is announced, and which of it is drained', async () => {
    expect(await announced(fakeRun(BOTH), 196)).toEqual([served(V4), drained(V6)]);
  });

  test.each([0, 253, 254, 255, -1, 1.5, 2 ** 32])('table %d is refused', (table) => {
    expect(() => checkAnnounceTable(table)).toThrow('table');
  });
});
