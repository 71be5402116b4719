// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Finds hosts that use an address which full-nat sends from, as far as the kernel knows. */
import type { State } from '../plan/state.js';
import { overlap, usedPools } from '../plan/pools.js';
import type { Run } from '../system/run.js';
import { knownNeighbours } from '../system/ip/neighbours.js';
import { parseAddress } from '../wire/address.js';
import { formatSource } from '../wire/outer-source.js';

/** What a fill says of them. */
export async function poolWarnings(
  run: Run,
  { destinations }: Pick<State, 'destinations'>,
): Promise<string[]> {
  const pools = usedPools(destinations.values());
  if (pools.length === 0) return [];
  return (await knownNeighbours(run)).flatMap(({ address: text, mac, device }) => {
    const address = parseAddress(text);
    const pool = address && pools.find((one) => overlap(one, { address, spread: 0 }));
    if (!pool) return [];
    return [
      `${text}, which full-nat sends from (${formatSource(pool)}), is known on ${device} with the MAC ${mac}: a host that has it gets the answers; name other addresses with --source, or if it is gone: ip neigh del ${text} dev ${device}`,
    ];
  });
}
