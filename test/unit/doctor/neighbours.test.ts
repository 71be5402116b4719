// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { examine, isHealthy } from '../../../src/doctor/examine.js';
import type { DestinationFacts } from '../../../src/doctor/facts.js';
import { lookTowards } from '../../../src/doctor/towards.js';
import { watches } from '../../../src/doctor/watches.js';
import type { Run } from '../../../src/system/run.js';
import { Unseen } from '../../../src/text/unseen.js';
import { WEB_1_MAC, balancer, destination, device, facts } from './facts.js';

type Neighbour = DestinationFacts['neighbour'];

function said(neighbours: readonly Neighbour[], isFound = true, isWatched = false) {
  const destinations = neighbours.map((neighbour, index) => {
    const address = `10.0.1.${15 + index}`;
    return destination({ id: index + 1, address, hop: address, neighbour, isFound });
  });
  const diagnosis = examine(facts({ balancer: balancer({ destinations, isWatched }) }));
  const own = <T extends { check: string }>(all: readonly T[]): T[] =>
    all.filter(({ check }) => check === 'neighbours');
  const { findings, well, unseen } = diagnosis;
  return {
    isHealthy: isHealthy(diagnosis),
    findings: own(findings),
    well: own(well),
    unseen: own(unseen),
  };
}

const ASKED = { mac: WEB_1_MAC, answers: 'yes' } as const;
const MANAGED = { ...ASKED, isManaged: true } as const;
const BY_HAND = { mac: WEB_1_MAC, answers: 'not asked' } as const;
const SILENT = { mac: undefined, answers: 'no' } as const;

describe('whether a new MAC is noticed', () => {
  test('a neighbour that nobody keeps is a remark', () => {
    const { findings, isHealthy } = said([MANAGED, ASKED]);
    expect(isHealthy).toBe(true);
    expect(findings).toEqual([
      {
        check: 'neighbours',
        severity: 'remark',
        finding: 'nobody notices when 10.0.1.16 gets another MAC',
        evidence:
          'ip neigh show dev ens4 lists it neither as managed nor as PERMANENT, and no l4lb watch -i ens4 is seen here; ' +
          'XDP does not make the kernel ask again, so packets to a host that is replaced and does not announce itself get lost',
        fix: 'l4lb watch -i ens4; or ip neigh replace 10.0.1.16 dev ens4 managed, and fill again when the check "mac" says so',
      },
    ]);
  });

  test('several are one remark', () => {
    const { findings } = said([ASKED, ASKED, ASKED, ASKED]);
    expect(findings).toMatchObject([
      {
        finding:
          'nobody notices when one of 10.0.1.15, 10.0.1.16, 10.0.1.17 and 1 more gets another MAC',
        fix: expect.stringContaining('dev ens4 managed, and so for the others,'),
      },
    ]);
  });

  test.each<{
    what: string;
    neighbours: Neighbour[];
    isFound?: false;
    isWatched?: true;
    text?: string;
  }>([
    {
      what: 'managed and permanent ones are well',
      neighbours: [MANAGED, BY_HAND],
      text: 'the kernel keeps the neighbours towards 2 destinations by itself, or they are permanent',
    },
    {
      what: 'so are those that l4lb watch follows',
      neighbours: [ASKED],
      isWatched: true,
      text: 'l4lb watch -i ens4 follows the MACs of 1 destination',
    },
    {
      what: 'a MAC that a file names stays as it is',
      neighbours: [ASKED],
      isFound: false,
    },
    { what: 'one that does not answer is for another check', neighbours: [SILENT] },
    { what: 'and so is one without a route', neighbours: [undefined] },
  ])('$what', ({ neighbours, isFound, isWatched, text }) => {
    const { findings, well, unseen } = said(neighbours, isFound, isWatched);
    expect([findings, unseen]).toEqual([[], []]);
    expect(well.map((one) => one.text)).toEqual(text === undefined ? [] : [text]);
  });
});

test('a neighbour table that cannot be read makes no check well', async () => {
  const run: Run = (_, args) =>
    Promise.resolve(
      args.includes('neigh')
        ? { exitCode: 1, stdout: '', stderr: 'RTNETLINK answers: No' }
        : { exitCode: 0, stdout: '[{"dst":"10.0.1.15","dev":"ens4"}]\n', stderr: '' },
    );
  const towards = await lookTowards(run, device(), ['10.0.1.15']);
  const { neighbour } = towards('10.0.1.15');
  expect(neighbour).toBeInstanceOf(Unseen);
  const one = destination({ neighbour, isFound: true });
  const { well, unseen } = examine(
    facts({ balancer: balancer({ destinations: [one] }) }),
  );
  const checks = ['answers', 'mac', 'neighbours'];
  expect(well.filter(({ check }) => checks.includes(check))).toEqual([]);
  expect(unseen.map(({ check }) => check)).toEqual(checks);
  expect(unseen[0]?.text).toContain('neigh show dev ens4');
});

test.each([
  ['node /usr/bin/l4lb watch -i eth0', true],
  ['node bin/l4lb.js watch --json --interface eth0', true],
  ['node bin/l4lb.js watch --interface=eth0', true],
  ['node bin/l4lb.js watch -ieth0', true],
  ['node bin/l4lb.js watch -i eth1', false],
  ['node bin/l4lb.js stats -i eth0', false],
  ['watch l4lb stats -i eth0', false],
  ['', false],
])('%j watches eth0: %p', (line, isIt) => {
  expect(watches(line.split(' '), 'eth0')).toBe(isIt);
});
