// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The rules that lead checks to their routes. */
import { expect, test } from '@jest/globals';

import { checkRules, freePorts } from '../../../../src/system/ip/check-routes.js';
import { fakeRun } from '../fake-run.js';

const own = { family: 4, ifindex: 2, firstPort: 16384 } as const;
const other = { ...own, ifindex: 3 };

test.each([
  ['nobody has any', [], 16384],
  ['a device keeps its own', [own], 16384],
  ['another device has the first', [other], 24576],
  ['others have all', [other, { ...other, ifindex: 4, firstPort: 24576 }], undefined],
])('ports: %s', (_, rules, first) => {
  expect(freePorts(rules, 2)).toBe(first);
});

test('only our own rules count, and IPv6 need not be in the kernel', async () => {
  const rules = [
    { priority: 0, src: 'all', table: 'local' },
    { priority: 90, src: 'all', sport_start: 1, sport_end: 2, table: '7' },
    {
      ...{ priority: 100, src: 'all', iif: 'lo' },
      ...{ sport_start: 16384, sport_end: 24575, table: '1811939330' },
    },
  ];
  const { run } = fakeRun({
    'ip -4 -j rule show': JSON.stringify(rules),
    'ip -6 -j rule show': { exitCode: 2, stderr: 'RTNETLINK answers: not supported' },
  });
  expect(await checkRules(run)).toEqual([own]);
});
