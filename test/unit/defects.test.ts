// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Defects that these tests found, so that none of them comes back. */
import { describe, expect, test } from '@jest/globals';

import { CELL_USED } from '../../src/abi/cell.js';
import { parseDestinations } from '../../src/config/destinations-csv.js';
import { applyWrites } from '../../src/plan/state.js';
import { formatWay } from '../../src/wire/way.js';
import {
  addressesBySlot,
  filled,
  lookUp,
  planFor,
  row,
  rows,
  untouched,
  ways,
  oneByOne,
} from './plan/states.js';

function problemsOf(text: string): string[] {
  return parseDestinations([{ name: 'web.csv', text }]).problems;
}

describe('destinations', () => {
  test.each([
    {
      file: 'LF first, CRLF later: the lines are counted twice',
      text: 'address\n10.0.1.15\r\n10.0.1.16\r\nweb-1\r\n',
      problems: ['web.csv:4: "web-1" is not an IP address'],
    },
    {
      file: 'CRLF first, LF later: rows flow into one',
      text: 'address\r\n10.0.1.15\nweb-1\n10.0.1.16\n',
      problems: ['web.csv:3: "web-1" is not an IP address'],
    },
    {
      file: 'a quote fault hides the bad rows before and behind it',
      text: 'web-1\n10.0.1.15,0"2\nweb-2\n',
      problems: [
        'web.csv:1: "web-1" is not an IP address',
        'web.csv:2: a quote stands inside a cell, or is never closed',
        'web.csv:3: "web-2" is not an IP address',
      ],
    },
    {
      file: 'an open quote is reported on the last line, not where it opens',
      text: '10.0.1.15\n10.0.1.16,"02:00\n10.0.1.17\n10.0.1.18\n',
      problems: ['web.csv:2: a quote stands inside a cell, or is never closed'],
    },
    {
      file: 'problems are not in the order of the lines: duplicates come last',
      text: '10.0.1.15\n10.0.1.15\nweb-1\n',
      problems: [
        'web.csv:2: 10.0.1.15 is already on web.csv:1',
        'web.csv:3: "web-1" is not an IP address',
      ],
    },
    {
      file: 'empty cells before the header make it a bad row',
      text: ',,\naddress, MAC\n10.0.1.15\n',
      problems: [],
    },
    {
      file: 'csv-parse speaks itself of what follows a closing quote',
      text: '10.0.1.15,"02:00"x\n',
      problems: ['web.csv:1: a quote stands inside a cell, or is never closed'],
    },
    {
      file: 'control characters of a binary file reach the terminal as they are',
      text: 'a\u001b[2Jb\n',
      problems: ['web.csv:1: "a\\u001b[2Jb" is not an IP address'],
    },
  ])('$file', ({ text, problems }) => {
    expect(problemsOf(text)).toEqual(problems);
  });
});

describe('plan', () => {
  test('a full table is never empty on the way, where some weigh 0', () => {
    const sizes = { slots: 8, destinations: 4, cells: 16 };
    const old = [
      row('10.0.1.1', 0),
      row('10.0.1.2', 0),
      row('10.0.1.3'),
      row('10.0.1.4'),
    ];
    const before = filled(untouched(sizes), old);
    const { writes } = planFor(before, rows(4, 9));
    let state = before;
    let empty = 0;
    for (const write of oneByOne(writes)) {
      state = applyWrites(state, [write]);
      const now = addressesBySlot(state, { firstSlot: 0, log2Slots: 3 });
      empty = Math.max(empty, now.filter((address) => address === 'none').length);
    }
    expect(empty).toBe(0);
  });

  test('slotsMoved counts every slot that goes to another address', () => {
    const before = filled(untouched(), rows(512));
    expect(planFor(before, rows(512, 100)).slotsMoved).toBe(512);
  });

  test('--take-ssh stays, though bpftool was killed behind a new seed', () => {
    const sizes = { slots: 64, destinations: 8, cells: 16 };
    const vip = Array.from({ length: 8 }, (_, i) => `192.0.2.${i + 1}/tcp`);
    const faults: string[] = [];
    for (let many = 1; many < vip.length; many++) {
      const before = filled(untouched(sizes), rows(2), { vip: vip.slice(0, many) });
      const { writes } = planFor(before, rows(2), {
        vip: vip.slice(0, many + 1),
        takeSsh: true,
      });
      const device = writes.findIndex(({ map }) => map === 'device');
      const killed = applyWrites(before, writes.slice(0, device + 1));
      const refilled = filled(killed, rows(2));
      for (const way of ways(...vip.slice(0, many + 1))) {
        if (lookUp(killed, way)?.flags !== CELL_USED)
          throw new Error('the case is wrong');
        const flags = lookUp(refilled, way)?.flags;
        if (flags !== CELL_USED)
          faults.push(`${formatWay(way)} of ${many + 1}: ${flags}`);
      }
    }
    expect(faults).toEqual([]);
  });
});
