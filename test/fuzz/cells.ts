// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Ways by chance: which addresses, ports and protocols lead to which slots. */
import {
  CELL_BY_PORT,
  CELL_FRAGMENTS,
  CELL_HASH_SOURCE,
  CELL_KEEPS_SSH,
  CELL_NAMES,
  CELL_UDP_STAYS,
  CELL_USED,
} from '../../src/abi/cell.js';
import type { ModelCell } from '../../src/model/types.js';
import { ANY, PORTS, SERVICES, SERVICE_ADDRESSES, TCP, UDP } from './choices.js';
import type { Random } from './random.js';

/** Of the portable build's 16, so that a seed is found soon. */
const MOST_CELLS = 10;

export function makeCells(random: Random): ModelCell[] {
  const cells = new Map<string, ModelCell>();
  const put = (cell: ModelCell): void => {
    const key = `${cell.address.toString('hex')} ${cell.port} ${cell.protocol}`;
    if (!cells.has(key)) cells.set(key, cell);
  };
  let firstSlot = 0;
  for (let service = 1; service <= SERVICES; service++) {
    const log2Slots = random.below(5);
    const target = { service, firstSlot, log2Slots };
    firstSlot += 2 ** log2Slots;
    const byService =
      (random.chance(40) ? CELL_HASH_SOURCE : 0) |
      (random.chance(30) ? CELL_UDP_STAYS : 0) |
      (random.chance(40) ? CELL_NAMES : 0);
    for (
      let ways = random.between(0, 2);
      ways > 0 && cells.size < MOST_CELLS - 1;
      ways--
    ) {
      const isAny = random.chance(20);
      const address = isAny ? ANY : random.pick(SERVICE_ADDRESSES);
      const port = isAny || random.chance(40) ? 0 : random.pick(PORTS.slice(1));
      const protocol = random.pick([TCP, UDP]);
      const flags =
        CELL_USED |
        byService |
        (random.chance(50) ? CELL_KEEPS_SSH : 0) |
        (port === 0 && random.chance(50) ? CELL_FRAGMENTS : 0);
      put({ ...target, address, port, protocol, flags });
      if (port === 0) continue;
      const notes = random.chance(50) ? byService | CELL_FRAGMENTS : 0;
      const none = { service: 0, firstSlot: 0, log2Slots: 0 };
      const led = notes === 0 ? none : target;
      put({ ...led, address, port: 0, protocol, flags: CELL_BY_PORT | notes });
    }
  }
  // A way on all ports needs no note, and one by port is never without.
  return [...cells.values()].filter(
    (cell) =>
      cell.port !== 0 ||
      (cell.flags & CELL_BY_PORT) === 0 ||
      [...cells.values()].some(
        (other) =>
          other.port !== 0 &&
          other.protocol === cell.protocol &&
          other.address.equals(cell.address),
      ),
  );
}
