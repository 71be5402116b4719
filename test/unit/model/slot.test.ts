// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The model of slots that remember: each rule by one packet. */
import { describe, expect, test } from '@jest/globals';

import type { FlowRecord } from '../../../src/abi/record.js';
import { NOBODY } from '../../../src/abi/slot.js';
import type { Slot } from '../../../src/abi/slot.js';
import { CELL_FRAGMENTS, CELL_UDP_STAYS, CELL_USED } from '../../../src/abi/cell.js';
import { NO_RECORD } from '../../../src/model/slot.js';
import type { Answer, ProgramState, Tables } from '../../../src/model/types.js';
import {
  CLIENT,
  ETHERNET,
  SERVICE,
  UDP_FRAME,
  ask,
  cell,
  destination,
  state,
} from './tables.js';

const [A, B] = [1, 2];
const OTHERS = 3;
/** Seconds, and in units of 4 seconds. */
const NOW = 40_000;
const SEEN = NOW / 4;
const SINCE = NOW - 400;

const tcp = (flags: string, fragment = '4000', sequence = '00000001'): string =>
  `${ETHERNET} 0800 45000028 0000${fragment} 40060000 ${CLIENT} ${SERVICE}
   1092 0050 ${sequence} 00000000 50${flags}0000 00000000`;
const SYN = tcp('02', '4000', '00000000');
/** As one of an older connection. */
const OTHER_ACK = tcp('10', '4000', '00000002');
const OTHER_SYN = tcp('02', '4000', '00000004');
const ACK = tcp('10');
const SYN_ACK = tcp('12');
const FIN = tcp('11');
const RST = tcp('04');
/** What the service sent to the client, quoted by a router. */
const ERROR = `${ETHERNET} 0800 45000038 00004000 40010000 c6336401 ${SERVICE} 0301 0000 00000000
  45000028 00004000 40060000 ${SERVICE} ${CLIENT} 0050 1092 00000000`;

function hot(fields: Partial<Slot> = {}, flags = CELL_USED): Partial<Tables> {
  return {
    cells: [cell({ flags }), cell({ protocol: 6, flags })],
    slots: new Map([[0, { current: B, previous: A, since: SINCE, ...fields }]]),
    destinations: new Map([
      [A, destination()],
      [B, destination()],
      [OTHERS, destination({ service: 2 })],
    ]),
  };
}

const FULL = 0x80000000;
const full = (word: number): number => ((word & 0x1fffffff) | FULL) >>> 0;
/** As datapath/signature.h works it out, in another language. */
const SIGNATURE = 0x99f66cee;
const LASTING = { established: true, lasting: true };
const promising = (sequence: number): number => full(SIGNATURE ^ sequence);

const mine = (fields: Partial<FlowRecord> = {}): FlowRecord => ({
  signature: fields.established ? SIGNATURE : promising(1),
  destination: B,
  established: false,
  lasting: false,
  ended: false,
  seen: SEEN,
  ...fields,
});
const at = (...records: FlowRecord[]): ProgramState => state(records, NOW);
const others = (fields: (place: number) => Partial<FlowRecord>): FlowRecord[] =>
  Array.from({ length: 8 }, (_, place) =>
    mine({ signature: FULL + place, ...fields(place) }),
  );

const told = ({ id, records = [], kept }: Answer): unknown => ({
  id,
  ...(records[0] && { record: records.flatMap(({ place, record }) => [place, record]) }),
  ...(kept && { kept: kept.seconds }),
});

describe('a hot slot', () => {
  const recorded = mine();
  const followed = mine({ established: true });
  const lasting = mine(LASTING);
  const ended = mine({ ...LASTING, ended: true });
  test.each<[string, string, ProgramState, unknown]>([
    ['a SYN is recorded on the current', SYN, at(), { id: B, record: [0, recorded] }],
    [
      'a SYN of too many in a second is not',
      SYN,
      { ...at(), mayRecord: false },
      { id: A, kept: NOW },
    ],
    [
      'others follow their records all the same',
      ACK,
      { ...at(mine()), mayRecord: false },
      { id: B, record: [0, followed] },
    ],
    ['SYN and ACK is no beginning', SYN_ACK, at(), { id: A, kept: NOW }],
    ['without a record, to the previous', ACK, at(), { id: A, kept: NOW }],
    ['after a record', ACK, at(mine()), { id: B, record: [0, followed] }],
    [
      'the third packet makes it last',
      ACK,
      at(followed),
      { id: B, record: [0, lasting] },
    ],
    ['after a lasting one, unwritten', ACK, at(lasting), { id: B }],
    [
      'after an older one, which is seen again',
      ACK,
      at(NO_RECORD, { ...lasting, seen: SEEN - 1 }),
      { id: B, record: [1, lasting] },
    ],
    [
      'a record as old as the slot is hot stands',
      ACK,
      at(mine({ seen: SEEN - 100 })),
      { id: B, record: [0, followed] },
    ],
    ['an older one does not', ACK, at(mine({ seen: SEEN - 101 })), { id: A, kept: NOW }],
    [
      "nor one of another service's destination",
      ACK,
      at(mine({ destination: OTHERS })),
      { id: A, kept: NOW },
    ],
    ['nor one beyond the table', ACK, at(mine({ destination: 9 })), { id: A, kept: NOW }],
    [
      'a SYN again, within 64 seconds',
      SYN,
      at(mine({ destination: A, seen: SEEN - 16 })),
      { id: A, kept: NOW },
    ],
    [
      'a SYN later begins anew in its place',
      SYN,
      at(NO_RECORD, mine({ destination: A, seen: SEEN - 17 })),
      { id: B, record: [1, recorded] },
    ],
    [
      'a SYN takes the first empty place',
      SYN,
      at(mine({ signature: FULL + 5 }), NO_RECORD),
      { id: B, record: [1, recorded] },
    ],
    [
      'else the oldest that is not established, the first of equals',
      SYN,
      at(...others((place) => ({ seen: SEEN - (place % 3), established: place === 2 }))),
      { id: B, record: [5, recorded] },
    ],
    [
      'a lasting one only after an hour',
      SYN,
      at(...others((place) => ({ seen: SEEN - 898 - place, ...LASTING }))),
      { id: B, record: [7, recorded] },
    ],
    [
      'without a place, to the previous and unrecorded',
      SYN,
      at(...others(() => ({ seen: SEEN - 900, ...LASTING }))),
      { id: A, kept: NOW },
    ],
    [
      'an established one that does not last after 64 seconds',
      SYN,
      at(...others((place) => ({ seen: SEEN - 14 - (place % 4), established: true }))),
      { id: B, record: [3, recorded] },
    ],
    [
      'and not before',
      SYN,
      at(...others(() => ({ seen: SEEN - 16, established: true }))),
      { id: A, kept: NOW },
    ],
    ['a packet with another number', OTHER_ACK, at(mine()), { id: A, kept: NOW }],
    [
      'the packet after a new SYN removes the older record',
      ACK,
      at({ ...followed, destination: A }, mine()),
      { id: B, record: [1, followed, 0, NO_RECORD] },
    ],
    [
      'another SYN follows an established record',
      OTHER_SYN,
      at({ ...followed, destination: A, seen: SEEN - 16 }),
      { id: A, kept: NOW },
    ],
    [
      'or begins beside it after 64 seconds',
      OTHER_SYN,
      at({ ...followed, destination: A, seen: SEEN - 17 }),
      { id: B, record: [1, mine({ signature: promising(5) })] },
    ],
    [
      'or in its place if it does not count',
      OTHER_SYN,
      at({ ...followed, destination: OTHERS }),
      { id: B, record: [0, mine({ signature: promising(5) })] },
    ],
    [
      'or follows it if there is no other room',
      OTHER_SYN,
      at(
        { ...lasting, destination: A, seen: SEEN - 17 },
        ...others(() => LASTING).slice(1),
      ),
      { id: A, kept: NOW },
    ],
    ['a FIN ends a record', FIN, at(lasting), { id: B, record: [0, ended] }],
    ['so does an RST', RST, at(lasting), { id: B, record: [0, ended] }],
    [
      'one that is the second packet, too',
      RST,
      at(mine()),
      { id: B, record: [0, { ...followed, ended: true }] },
    ],
    ['after an ended record, unwritten', ACK, at(ended), { id: B }],
    [
      'after an older ended record, which stays ended',
      ACK,
      at({ ...ended, seen: SEEN - 1 }),
      { id: B, record: [0, ended] },
    ],
    [
      'a SYN begins anew beside an ended record',
      SYN,
      at({ ...ended, destination: A }),
      { id: B, record: [1, recorded] },
    ],
    [
      'a SYN takes the place of an ended record among established ones',
      SYN,
      at(...others((place) => ({ established: true, ended: place === 3 }))),
      { id: B, record: [3, recorded] },
    ],
    [
      'an ended record goes before one that began up to 16 seconds earlier',
      SYN,
      at(
        ...others((place) =>
          place === 5 ? { ...LASTING, ended: true } : { seen: SEEN - 3 },
        ),
      ),
      { id: B, record: [5, recorded] },
    ],
    [
      'and after one that began earlier than that',
      SYN,
      at(
        ...others((place) =>
          place === 5 ? { ...LASTING, ended: true } : { seen: SEEN - 5 },
        ),
      ),
      { id: B, record: [0, recorded] },
    ],
    ['an error without a record', ERROR, at(), { id: A }],
    ['an error about a connection that begins', ERROR, at(mine()), { id: A }],
    ['an error writes nothing', ERROR, at({ ...followed, seen: SEEN - 1 }), { id: B }],
  ])('%s', (_, frame, when, expected) => {
    expect(told(ask(frame, hot(), when))).toEqual(expected);
  });

  test('a drained destination is not begun on again', () => {
    const drained = hot();
    const destinations = new Map(drained.destinations).set(A, destination({ weight: 0 }));
    const answer = ask(SYN, { ...drained, destinations }, at(mine({ destination: A })));
    expect(told(answer)).toEqual({ id: B, record: [0, recorded] });
  });

  test('a record of a forgotten destination does not count', () => {
    const tables = hot({ previous: NOBODY });
    const forgotten = destination({ weight: 0, isForgotten: true });
    const destinations = new Map(tables.destinations).set(A, forgotten);
    const on = { ...tables, destinations };
    const record = mine({ ...LASTING, destination: A });
    expect(told(ask(ACK, on, at(record)))).toEqual({ id: B });
    expect(told(ask(ERROR, on, at(record)))).toEqual({ id: B });
    expect(told(ask(SYN, on, at(record)))).toEqual({ id: B, record: [0, recorded] });
  });

  test('with nobody to remember, older connections go to the current', () => {
    expect(told(ask(ACK, hot({ previous: NOBODY }), at()))).toEqual({ id: B });
  });

  test('UDP moves, unless it is to stay', () => {
    expect(told(ask(UDP_FRAME, hot(), at()))).toEqual({ id: B });
    const stays = hot({}, CELL_USED | CELL_UDP_STAYS);
    expect(told(ask(UDP_FRAME, stays, at()))).toEqual({ id: A, kept: NOW });
  });

  test('pieces of TCP go to the previous', () => {
    const on = hot({}, CELL_USED | CELL_FRAGMENTS);
    expect(told(ask(tcp('02', '0001'), on, at()))).toEqual({ id: A, kept: NOW });
  });

  test('the portable build remembers nothing', () => {
    expect(told(ask(ACK, { ...hot(), build: 'portable' }, at()))).toEqual({ id: B });
  });

  test('seen wraps after 65,536 units', () => {
    const seconds = (65536 + 3) * 4;
    const on = hot({ since: seconds - 40 });
    const when = state([mine({ seen: 65534, ...LASTING })], seconds);
    expect(told(ask(ACK, on, when))).toEqual({
      id: B,
      record: [0, mine({ seen: 3, ...LASTING })],
    });
  });
});
