// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { placeCells, withNotes } from '../../../src/plan/cells.js';
import { CELL_BY_PORT, CELL_USED } from '../../../src/abi/cell.js';
import type { Cell } from '../../../src/abi/cell.js';
import { Failure } from '../../../src/text/failure.js';
import { chooseService, servicesIn } from '../../../src/plan/services.js';
import { formatWay, versionOf } from '../../../src/wire/way.js';
import { ways } from './states.js';

interface There {
  id: number;
  firstSlot: number;
  log2Slots: number;
  ways: string[];
}

/** The cells of some services, with their notes for fragments. */
function cellsOf(...services: There[]): Map<number, Cell> {
  const cells = services.flatMap(({ id, firstSlot, log2Slots, ways: texts }) =>
    ways(...texts).map((way) => ({
      ...way,
      idle: 0,
      drainDeadline: 0,
      version: versionOf(way.address),
      firstSlot,
      service: id,
      log2Slots,
      flags: CELL_USED,
    })),
  );
  return placeCells(withNotes(cells), new Map(), 0, 1024).cells;
}

const NO_CELLS = cellsOf();
const EVERYTHING: There = { id: 1, firstSlot: 0, log2Slots: 9, ways: ['any'] };
const WEB: There = {
  id: 1,
  firstSlot: 0,
  log2Slots: 9,
  ways: ['192.0.2.10:80/tcp', '192.0.2.10:443/tcp'],
};
const DNS: There = { id: 2, firstSlot: 512, log2Slots: 8, ways: ['192.0.2.20:53/udp'] };
const HOST = { slots: 1 << 20 };
const PORTABLE = { slots: 512 };

/** What chooseService chooses, as text. */
function choose(
  cells: ReadonlyMap<number, Cell>,
  vip: string[] | undefined,
  sizes: { slots: number },
  slots?: number,
): string {
  const { service, isNew } = chooseService(cells, vip && ways(...vip), sizes, slots);
  const to = service.firstSlot + (1 << service.log2Slots) - 1;
  const all = service.ways.map(formatWay).sort().join(' ');
  return `${isNew ? 'new' : 'old'} ${service.id}, slots ${service.firstSlot} to ${to}: ${all}`;
}

function failureOf(attempt: () => unknown): Failure {
  try {
    attempt();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

describe('services', () => {
  test('are told from their ways, and notes for fragments are none', () => {
    const services = servicesIn(cellsOf(WEB, DNS));
    expect([...services.keys()].sort()).toEqual([1, 2]);
    expect(services.get(1)?.ways.map(formatWay).sort()).toEqual([
      '192.0.2.10:443/tcp',
      '192.0.2.10:80/tcp',
    ]);
    expect(services.get(2)).toMatchObject({ firstSlot: 512, log2Slots: 8 });
  });

  test('a way that lies in two cells is one way still', () => {
    const cells = cellsOf(EVERYTHING);
    const [first] = [...cells.values()];
    if (!first) throw new Error('no cell');
    cells.set(1023, first);
    expect(servicesIn(cells).get(1)?.ways).toHaveLength(2);
  });

  test('there is none where all cells are empty, or notes', () => {
    const [note] = withNotes([...cellsOf(DNS).values()]).filter(
      ({ flags }) => flags === CELL_BY_PORT,
    );
    expect(servicesIn(NO_CELLS).size).toBe(0);
    expect(note && servicesIn(new Map([[0, note]])).size).toBe(0);
  });
});

describe('the service of a fill', () => {
  test.each([
    {
      situation: 'no service and no --vip: a new one for everything',
      there: [],
      vip: undefined,
      sizes: HOST,
      chosen: 'new 1, slots 0 to 65535: any/tcp any/udp',
    },
    {
      situation: 'no service, in a small build: it gets all slots',
      there: [],
      vip: undefined,
      sizes: PORTABLE,
      chosen: 'new 1, slots 0 to 511: any/tcp any/udp',
    },
    {
      situation: 'no service, --slots',
      there: [],
      vip: undefined,
      sizes: HOST,
      slots: 1024,
      chosen: 'new 1, slots 0 to 1023: any/tcp any/udp',
    },
    {
      situation: 'beside a service of two slots, which has four for itself',
      there: [{ ...DNS, firstSlot: 0, log2Slots: 1 }],
      vip: ['192.0.2.10:80/tcp'],
      sizes: HOST,
      slots: 1,
      chosen: 'new 1, slots 4 to 4: 192.0.2.10:80/tcp',
    },
    {
      situation: 'no service, --vip',
      there: [],
      vip: ['192.0.2.10:80/tcp'],
      sizes: HOST,
      chosen: 'new 1, slots 0 to 65535: 192.0.2.10:80/tcp',
    },
    {
      situation: 'one service and no --vip: that is refilled, and keeps its ways',
      there: [WEB],
      vip: undefined,
      sizes: HOST,
      chosen: 'old 1, slots 0 to 511: 192.0.2.10:443/tcp 192.0.2.10:80/tcp',
    },
    {
      situation: 'one service, --vip with one of its ways: it has only that from now on',
      there: [WEB],
      vip: ['192.0.2.10:80/tcp'],
      sizes: HOST,
      chosen: 'old 1, slots 0 to 511: 192.0.2.10:80/tcp',
    },
    {
      situation: 'one service, --vip with one of its ways and a new one',
      there: [WEB],
      vip: ['192.0.2.10:80/tcp', '192.0.2.11:80/tcp'],
      sizes: HOST,
      chosen: 'old 1, slots 0 to 511: 192.0.2.10:80/tcp 192.0.2.11:80/tcp',
    },
    {
      situation: 'one service, --vip with other ways: a second service behind it',
      there: [WEB],
      vip: ['192.0.2.20:53/udp'],
      sizes: { slots: 1024 },
      slots: 512,
      chosen: 'new 2, slots 512 to 1023: 192.0.2.20:53/udp',
    },
    {
      situation: 'two services, --vip of the second',
      there: [WEB, DNS],
      vip: ['192.0.2.20:53/udp'],
      sizes: HOST,
      chosen: 'old 2, slots 512 to 767: 192.0.2.20:53/udp',
    },
    {
      situation: 'a service for everything, and --vip of an address: another service',
      there: [EVERYTHING],
      vip: ['192.0.2.10'],
      sizes: HOST,
      slots: 512,
      chosen: 'new 2, slots 512 to 1023: 192.0.2.10/tcp 192.0.2.10/udp',
    },
    {
      situation: 'the lowest id that is free is given',
      there: [{ ...WEB, id: 2 }],
      vip: ['192.0.2.20:53/udp'],
      sizes: HOST,
      slots: 512,
      chosen: 'new 1, slots 512 to 1023: 192.0.2.20:53/udp',
    },
    {
      situation: 'slots lie at a multiple of their number, behind those that are taken',
      there: [{ ...DNS, firstSlot: 0 }],
      vip: ['192.0.2.10'],
      sizes: HOST,
      slots: 1024,
      chosen: 'new 1, slots 1024 to 2047: 192.0.2.10/tcp 192.0.2.10/udp',
    },
    {
      situation: 'slots fill a gap that is large enough',
      there: [
        { ...WEB, id: 1, firstSlot: 0 },
        { ...DNS, id: 2, firstSlot: 1024 },
      ],
      vip: ['192.0.2.30'],
      sizes: HOST,
      slots: 512,
      chosen: 'new 3, slots 512 to 1023: 192.0.2.30/tcp 192.0.2.30/udp',
    },
    {
      situation: 'the number of slots that the service has may be named again',
      there: [WEB],
      vip: undefined,
      sizes: HOST,
      slots: 512,
      chosen: 'old 1, slots 0 to 511: 192.0.2.10:443/tcp 192.0.2.10:80/tcp',
    },
  ] as {
    situation: string;
    there: There[];
    vip: string[] | undefined;
    sizes: { slots: number };
    slots?: number;
    chosen: string;
  }[])('$situation', ({ there, vip, sizes, slots, chosen }) => {
    expect(choose(cellsOf(...there), vip, sizes, slots)).toBe(chosen);
  });

  test.each([
    {
      situation: 'two services and no --vip',
      there: [WEB, DNS],
      vip: undefined,
      sizes: HOST,
      message:
        /^there are 2 services: .*192\.0\.2\.10:80\/tcp.* and 192\.0\.2\.20:53\/udp$/,
      next: 'name the one to fill with --vip',
    },
    {
      situation: '--vip with ways of two services',
      there: [WEB, DNS],
      vip: ['192.0.2.10:80/tcp', '192.0.2.20:53/udp'],
      sizes: HOST,
      message: /^these ways lead to 2 services: /,
      next: 'name the ways of one service',
    },
    {
      situation: '--slots with another number than the service has',
      there: [WEB],
      vip: undefined,
      sizes: HOST,
      slots: 1024,
      message: /^this service has 512 slots, and keeps them for life$/,
      next: 'leave --slots out, or load the program anew',
    },
    {
      situation: 'no slots left for a second service',
      there: [WEB],
      vip: ['192.0.2.20'],
      sizes: PORTABLE,
      message: /^no 512 slots are free, of 512 in all$/,
      next: 'ask for fewer with --slots, or begin anew with l4lb-load --off and l4lb-load',
    },
    {
      situation: 'more slots asked for than there are',
      there: [],
      vip: undefined,
      sizes: PORTABLE,
      slots: 1024,
      message: /^no 1024 slots are free, of 512 in all$/,
      next: 'ask for fewer with --slots, or begin anew with l4lb-load --off and l4lb-load',
    },
  ] as {
    situation: string;
    there: There[];
    vip: string[] | undefined;
    sizes: { slots: number };
    slots?: number;
    message: RegExp;
    next: string;
  }[])(
    '$situation: fails, and says what to do',
    ({ there, vip, sizes, slots, message, next }) => {
      const failure = failureOf(() => choose(cellsOf(...there), vip, sizes, slots));
      expect(failure.message).toMatch(message);
      expect(failure.advice.next).toBe(next);
      expect(failure.exitCode).toBe(1);
    },
  );
});
