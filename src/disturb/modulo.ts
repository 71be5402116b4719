// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Writes the table of the original demo, for comparison: slot i belongs to row i of the
 * file, modulo the number of rows. l4lb-map never makes such a table, so this overwrites
 * one that l4lb-map made.
 */
import { changesOf } from '../program/write.js';
import { must } from '../text/must.js';
import { findAttached } from '../program/find.js';
import { Bpftool } from '../system/bpftool.js';
import { Iproute } from '../system/ip/links.js';
import { coldSlot } from '../plan/hot-slots.js';
import { SlotTable } from '../plan/slots.js';
import { deviceLock, withLock } from '../system/lock.js';
import type { Run } from '../system/run.js';
import type { Row } from './changes.js';
import { addressOf } from './changes.js';

/** As many as in the original. The only service has the first slots of the table. */
export const MODULO_SLOTS = 512;

/** Returns each slot's row. The original has no weights; here they repeat rows. */
export function moduloTable(rows: readonly Row[], slots: number): Row[] {
  const unit = rows.map(({ weight }) => weight).reduce(greatestDivisor, 0);
  const turn = rows.flatMap((row) => Array<Row>(row.weight / unit).fill(row));
  return Array.from({ length: slots }, (_, slot) => turn[slot % turn.length]).filter(
    (row) => row !== undefined,
  );
}

function greatestDivisor(one: number, other: number): number {
  return other === 0 ? one : greatestDivisor(other, one % other);
}

/**
 * Writes the table. `inside` runs commands in the balancer's namespace; `ids` has the ids
 * of its destinations by address.
 */
export async function writeModulo(
  run: Run,
  inside: Run,
  namespace: string,
  rows: readonly Row[],
  ids: ReadonlyMap<string, number>,
): Promise<void> {
  const bpftool = new Bpftool(run);
  const tools = { ip: new Iproute(inside), bpftool };
  const { link, maps } = await findAttached(tools, 'eth0');
  const slots = new SlotTable();
  moduloTable(rows, MODULO_SLOTS).forEach((row, key) => {
    slots.set(key, coldSlot(must(ids.get(addressOf(row)), addressOf(row))));
  });
  await withLock(run, deviceLock(link, namespace), (lock) =>
    bpftool.write(changesOf(maps, [{ map: 'slots', slots }], new Map()), lock),
  );
}
