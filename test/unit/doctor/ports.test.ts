// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the doctor makes of the ports of full-nat. */
import { expect, test } from '@jest/globals';

import { examine } from '../../../src/doctor/examine.js';
import { Unseen } from '../../../src/text/unseen.js';
import { VIP, ip } from '../wire/names.js';
import { balancer, facts, traffic } from './facts.js';

const POOL = {
  ...{ address: ip('10.0.9.0'), spread: 3, firstBlock: 0, services: [1] },
  ...{ seen: 2048, taken: 1024, established: 512 },
};
const FULL = { ...POOL, taken: 2000, established: 1638 };

const look = (more: Parameters<typeof facts>[0]) => {
  const { findings, well, unseen } = examine(facts(more));
  return [...findings, ...well, ...unseen].filter(({ check }) => check === 'ports');
};

test('there are ports, and the fullest pool says how many', () => {
  expect(look({ ports: { blocks: 8, pools: [POOL] } })).toEqual([
    {
      check: 'ports',
      text: 'there are ports for new connections: 25.00% of those of 10.0.9.0/30 are of established ones',
    },
  ]);
});

test('ports that run out are a finding, with a larger pool that helps', () => {
  expect(look({ ports: { blocks: 8, pools: [FULL] } })).toEqual([
    {
      check: 'ports',
      severity: 'finding',
      finding: 'the ports of 10.0.9.0/30 run out: 79.98% are of established connections',
      evidence:
        'so it is with 1638 of 2,048 ports that were looked at, and from three quarters on new connections are dropped as "no port"',
      fix: 'l4lb-map -i ens4 -f FILE --source ADDRESS/29',
    },
  ]);
});

test('where the program has no blocks for it, they come first', () => {
  const other = { ...POOL, address: ip('10.0.8.0'), spread: 0, firstBlock: 4 };
  expect(look({ ports: { blocks: 8, pools: [FULL, other] } })).toMatchObject([
    {
      fix: 'l4lb-load -i ens4 --off && l4lb-load -i ens4 -f FILE --source ADDRESS/29 --blocks 9, which ends connections',
    },
  ]);
  const largest = { ...FULL, spread: 1023 };
  expect(look({ ports: { blocks: 1024, pools: [largest] } })).toMatchObject([
    { fix: expect.stringContaining('one of its own for each service') },
  ]);
});

test('connections that found no port are a finding of their own', () => {
  const ports = { blocks: 16, pools: [{ ...POOL, address: ip('2001:db8::900') }, POOL] };
  expect(look({ ports, traffic: traffic({ balanced: 9, 'no port': 3 }) })).toEqual([
    {
      check: 'ports',
      severity: 'finding',
      finding: 'new connections are dropped, because no port is left for them',
      evidence:
        '3 packets counted as "no port" during the check; of the ports of 2001:db8::900/126, 25.00% are of established connections',
      fix: 'l4lb-map -i ens4 -f FILE --source ADDRESS/125',
    },
  ]);
});

test('two services that share a pool are a remark', () => {
  const ways = [{ address: VIP, port: 81, protocol: 6 }];
  const both = balancer();
  both.services.push(...both.services.map((one) => ({ ...one, id: 2, ways })));
  const ports = { blocks: 8, pools: [{ ...POOL, services: [1, 2] }] };
  expect(look({ ports, balancer: both })).toEqual([
    {
      check: 'ports',
      severity: 'remark',
      finding:
        '2 services share the ports of 10.0.9.0/30: a flood on one takes those of the others',
      evidence: '192.0.2.10:80/tcp, 192.0.2.10:81/tcp have the same source',
      fix: 'l4lb-map -i ens4 -f FILE --vip 192.0.2.10:81/tcp --source PREFIX, one of its own for each',
    },
  ]);
});

test('ports that cannot be read are not seen, and where nobody needs any nothing is said', () => {
  const why = 'the ports could not be read: no such map';
  expect(look({ ports: new Unseen(why) })).toEqual([{ check: 'ports', text: why }]);
  expect(look({ ports: undefined })).toEqual([]);
});
