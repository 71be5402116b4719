// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The doctor at a destination that sends on what is a sibling's. */
import { describe, expect, test } from '@jest/globals';

import { examine, isHealthy } from '../../../src/doctor/examine.js';
import type { Facts, Sending, SiblingFacts } from '../../../src/doctor/facts.js';
import { parseNames } from '../../../src/wire/names.js';
import { device, facts } from './facts.js';

const PROGRAM = { mode: 'xdpdrv', id: 7, name: 'l4lb_decap_1' } as const;
const MAC = '02:00:0a:00:01:02';

function sibling(more: Partial<SiblingFacts> = {}): SiblingFacts {
  return {
    address: '10.0.1.2',
    mac: MAC,
    hop: '10.0.1.2',
    isLocal: false,
    neighbour: { mac: MAC, answers: 'yes' },
    ...more,
  };
}

function destination(sending: Partial<Sending> = {}, more: Partial<Facts> = {}): Facts {
  return facts({
    program: PROGRAM,
    device: device({ programs: [PROGRAM] }),
    balancer: undefined,
    traffic: undefined,
    addresses: ['127.0.0.1', '10.0.1.1'],
    sending: {
      names: { ipv4: parseNames('10.7.0.0/16') },
      self: ['10.0.1.1'],
      siblings: [sibling()],
      ...sending,
    },
    ...more,
  });
}

const RELOAD = 'l4lb-load -i ens4 --decap --replace --names 10.7.0.0/16 --siblings FILE';

test('all is well: the program is the one that belongs there', () => {
  const diagnosis = examine(destination());
  expect(diagnosis.findings).toEqual([]);
  expect(diagnosis.well).toEqual(
    expect.arrayContaining([
      {
        check: 'program',
        text: 'l4lb_decap_1 in mode Driver, the decapsulation program of a destination (program 7)',
      },
      {
        check: 'siblings',
        text: 'it is 10.0.1.1, and sends on to 1 sibling, whose MACs are right',
      },
    ]),
  );
});

describe.each([
  {
    what: 'a sibling with another MAC',
    facts: destination({
      siblings: [sibling({ neighbour: { mac: '02:00:0a:00:01:99', answers: 'yes' } })],
    }),
    finding: 'packets sent on to 10.0.1.2 go to a wrong MAC',
    evidence: `the program has ${MAC}; ip neigh show dev ens4 has 10.0.1.2 at 02:00:0a:00:01:99`,
    fix: `${RELOAD}, with the row 10.0.1.2, or 10.0.1.2, 02:00:0a:00:01:99`,
  },
  {
    what: 'a sibling without a MAC',
    facts: destination({ siblings: [sibling({ mac: '00:00:00:00:00:00' })] }),
    finding: 'packets sent on to 10.0.1.2 go to a wrong MAC',
    evidence: `the program has 00:00:00:00:00:00; ip neigh show dev ens4 has 10.0.1.2 at ${MAC}`,
    fix: `${RELOAD}, with the row 10.0.1.2, or 10.0.1.2, ${MAC}`,
  },
  {
    what: 'a sibling that is down',
    facts: destination({
      siblings: [sibling({ neighbour: { mac: undefined, answers: 'no' } })],
    }),
    finding: 'the sibling 10.0.1.2 does not answer',
    evidence:
      'the kernel asked for its MAC on ens4, and nobody answered; what is sent on to 10.0.1.2 is lost',
    fix: 'start 10.0.1.2',
  },
  {
    what: 'a router that is down',
    facts: destination({
      siblings: [
        sibling({ hop: '10.0.1.254', neighbour: { mac: undefined, answers: 'no' } }),
      ],
    }),
    finding: '10.0.1.254, the router towards the sibling 10.0.1.2, does not answer',
    evidence:
      'the kernel asked for its MAC on ens4, and nobody answered; what is sent on to 10.0.1.2 is lost',
    fix: 'ip route get 10.0.1.2 oif ens4, and check 10.0.1.254',
  },
  {
    what: 'a sibling whose address this host got',
    facts: destination({
      siblings: [sibling({ hop: undefined, isLocal: true, neighbour: undefined })],
    }),
    finding: 'the sibling 10.0.1.2 is this host itself',
    evidence:
      'ip route get 10.0.1.2 says local; the host got the address after the program was loaded',
    fix: RELOAD,
  },
  {
    what: 'an own address in the prefix of the names',
    facts: destination({}, { addresses: ['10.0.1.1', '10.7.3.3'] }),
    finding: 'the names 10.7.0.0/16 overlap with an address of this host',
    evidence: '10.7.3.3 lies in the prefix, in which nobody may have an address',
    fix: 'give balancers and destinations another prefix with --names, or the host another address',
  },
  {
    what: 'a host that nobody can name',
    facts: destination({ self: [] }),
    finding: 'no name means this host, so siblings cannot tell who sent a packet on',
    evidence:
      'none of its addresses was in the files of --siblings when the program was loaded',
    fix: RELOAD,
  },
  {
    what: 'a host that lost the address by which it is named',
    facts: destination({}, { addresses: ['127.0.0.1'] }),
    finding: 'this host no longer has 10.0.1.1, by which it can be named',
    evidence: 'ip addr show does not list 10.0.1.1',
    fix: RELOAD,
  },
])('$what', ({ facts: broken, finding, evidence, fix }) => {
  test('is found', () => {
    expect(examine(broken).findings).toEqual([
      { check: 'siblings', severity: 'finding', finding, evidence, fix },
    ]);
  });
});

test('a sibling without a route is a remark, since its MAC may be right', () => {
  const diagnosis = examine(
    destination({ siblings: [sibling({ hop: undefined, neighbour: undefined })] }),
  );
  expect(isHealthy(diagnosis)).toBe(true);
  expect(diagnosis.findings).toMatchObject([
    {
      check: 'siblings',
      severity: 'remark',
      finding: 'no route to the sibling 10.0.1.2 over ens4',
    },
  ]);
});

test('on a device that is down no sibling is blamed', () => {
  const down = { device: device({ up: false, carrier: false, programs: [PROGRAM] }) };
  const lost = sibling({ hop: undefined, neighbour: undefined });
  const checks = examine(destination({ siblings: [lost] }, down)).findings;
  expect(checks.map(({ check }) => check)).toEqual(['device']);
});
