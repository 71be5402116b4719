// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Whether somebody notices when a destination has another MAC. */
import { many } from '../../text/format.js';
import { at, must } from '../../text/must.js';
import type { Check } from '../facts.js';
import { known, remark, some, unseenOf } from '../findings.js';

/**
 * What XDP sends does not make the kernel ask for a neighbour, so its entry stays as it is
 * until the host there says something itself, unless the kernel manages the entry.
 */
export const checkNeighbours: Check = ({ device, balancer }) => {
  // What a file names stays as it is there, whatever the kernel knows.
  const found = (balancer?.destinations ?? []).filter(({ isFound }) => isFound);
  const watch = `l4lb watch -i ${device.name}`;
  if (found.length === 0) return undefined;
  if (balancer?.isWatched) {
    return `${watch} follows the MACs of ${many(found.length, 'destination')}`;
  }
  const unseen = unseenOf(found);
  if (unseen) return unseen;
  // One that does not answer is a finding of another check.
  const there = found.filter((one) => known(one)?.mac !== undefined);
  if (there.length === 0) return undefined;
  const left = there.filter((one) => {
    const { answers, isManaged } = must(known(one), one.address);
    return answers === 'yes' && !isManaged;
  });
  if (left.length === 0) {
    return `the kernel keeps the neighbours towards ${many(there.length, 'destination')} by itself, or they are permanent`;
  }
  const hops = [...new Set(left.map(({ hop, address }) => hop ?? address))];
  const by = [...new Set(left.map((one) => one.device ?? device.name))];
  const isOne = hops.length === 1;
  const others = isOne ? '' : ', and so for the others';
  return [
    remark({
      finding: `nobody notices when ${isOne ? '' : 'one of '}${some(hops)} gets another MAC`,
      evidence:
        `ip neigh show dev ${some(by)} lists ${isOne ? 'it' : 'them'} neither as managed nor as PERMANENT, and no ${watch} is seen here; ` +
        'XDP does not make the kernel ask again, so packets to a host that is replaced and does not announce itself get lost',
      fix: `${watch}; or ip neigh replace ${at(hops, 0)} dev ${at(by, 0)} managed${others}, and fill again when the check "mac" says so`,
    }),
  ];
};
