// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { printableLine } from '../../text/printable.js';
import type { NodeRecord } from './records.js';

/** Nodes that have the same document, and slots that lead elsewhere or remember something else. */
export function disagreements(nodes: ReadonlyMap<string, NodeRecord>): string[] {
  const sums = new Map<string, Map<string, string[]>>();
  for (const [name, { tables }] of nodes) {
    for (const [service, { revision, sum }] of tables) {
      const key = `${service} at revision ${revision}`;
      const of = sums.get(key) ?? new Map<string, string[]>();
      of.set(sum, [...(of.get(sum) ?? []), name]);
      sums.set(key, of);
    }
  }
  return [...sums].flatMap(([key, of]) => {
    if (of.size < 2) return [];
    const sides = [...of].map(([sum, names]) => `${names.join(', ')}: ${sum}`);
    return [printableLine(`NODES DISAGREE about ${key}: ${sides.join('; ')}`)];
  });
}
