// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { CELL_HASH_SOURCE, CELL_UDP_STAYS, CELL_USED } from '../../../src/abi/cell.js';
import { MAX_SECONDS } from '../../../src/config/values.js';
import { parseConfig } from '../../../src/config/read.js';
import { exportConfig } from '../../../src/plan/export.js';
import type { State } from '../../../src/plan/state.js';
import { applyWrites } from '../../../src/plan/state.js';
import { SlotTable } from '../../../src/plan/slots.js';
import { applyConfig, noFile, planText } from './configs.js';
import { randomNumbers } from '../wire/names.js';
import { filled, rows, untouched } from './states.js';

const HOST: State['sizes'] = { slots: 8192, destinations: 512, cells: 1024 };

const CONFIG = `
source = "10.0.0.4"

[[service]]
name = "web"
address = "192.0.2.10"
ports = [80, 443]
protocol = "tcp"
hash = "source"
slots = 64
idle = 60
drain_deadline = "12h"
table = "minimal"
destinations = [
  { address = "10.0.1.2", mac = "02:00:0a:00:01:02", weight = 0 },
  { address = "10.0.1.1", mac = "02:00:0a:00:01:01", weight = 7 },
]

[[service]]
name = "rest"
ways = ["192.0.2.20/tcp", "192.0.2.21:53/udp"]
udp = "previous"
take_ssh = true
slots = 16
destinations = [{ address = "10.0.1.1", mac = "02:00:0a:00:01:01" }]
`;

const HEAD = `# The services of this device as they were, written by l4lb-map --export.
# Their names are not in the maps: put them in again.
`;

describe('an export', () => {
  const live = applyConfig(untouched(HOST), CONFIG);

  test('is this file', () => {
    expect(exportConfig(live)).toBe(`${HEAD}source = "10.0.0.4"

[[service]]
name = "192.0.2.10:80"
address = "192.0.2.10"
ports = [80, 443]
protocol = "tcp"
hash = "source"
table = "minimal"
slots = 64
idle = 60
drain_deadline = 43200
destinations = [
  { address = "10.0.1.1", mac = "02:00:0a:00:01:01", weight = 7 },
  { address = "10.0.1.2", mac = "02:00:0a:00:01:02", weight = 0 },
]

[[service]]
name = "192.0.2.20"
ways = ["192.0.2.20/tcp", "192.0.2.21:53/udp"]
udp = "previous"
take_ssh = true
slots = 16
destinations = [
  { address = "10.0.1.1", mac = "02:00:0a:00:01:01" },
]
`);
  });

  test('has the source with each service where they differ', () => {
    const other = applyConfig(
      untouched(HOST),
      CONFIG.replace('udp = ', 'source = "10.0.0.5"\nudp = '),
    );
    const text = exportConfig(other);
    expect(text).toContain('drain_deadline = 43200\nsource = "10.0.0.4"\n');
    expect(text).toContain('slots = 16\nsource = "10.0.0.5"\n');
    expect(planText(other, text).writes).toEqual([]);
  });

  test('of a service for everything says so', () => {
    const text = exportConfig(filled(untouched(HOST), rows(2), { slots: 16 }));
    expect(text).toContain(
      'name = "any"\naddress = "any"\nports = "all"\nprotocol = ["tcp", "udp"]\nslots = 16\n',
    );
  });

  test('tells services on one address and port apart by their protocol', () => {
    const fill = (live: State, vip: string): State =>
      filled(live, rows(2), { vip: [vip], slots: 16 });
    const both = fill(fill(untouched(HOST), '192.0.2.9:53/tcp'), '192.0.2.9:53/udp');
    const text = exportConfig(both);
    expect(text).toContain('name = "192.0.2.9:53/tcp"');
    expect(text).toContain('name = "192.0.2.9:53/udp"');
  });

  test('of no service is a file that wants none, and changes nothing', () => {
    const live = untouched(HOST);
    const text = exportConfig(live);
    expect(text).toBe(`${HEAD}\nservice = []\n`);
    expect(planText(live, text)).toEqual({
      writes: [],
      after: { ...live, slots: new SlotTable() },
      services: [],
      removed: [],
      removesFirst: false,
    });
  });

  test('keeps the flags of the cells', () => {
    const flags = [...live.cells.values()].map((cell) => cell.flags);
    const ways = flags.filter((one) => one & CELL_USED);
    expect(ways.filter((one) => one & CELL_HASH_SOURCE)).toHaveLength(2);
    expect(flags.filter((one) => one & CELL_UDP_STAYS)).toHaveLength(2);
  });
});

describe('an export of both families', () => {
  const BOTH = `
source = ["10.0.0.4", "2001:db8::7:0/112"]
echo = false

[[service]]
name = "web"
address = ["192.0.2.10", "2001:db8:9::10"]
ports = 443
protocol = "tcp"
slots = 64
destinations = [
  { address = "2001:db8:1::15", mac = "02:00:00:00:00:06" },
  { address = "10.0.1.15", mac = "02:00:00:00:00:04" },
]

[[service]]
name = "dns"
address = "2001:db8:9::53"
ports = 53
slots = 16
source = "2001:db8::9"
destinations = [{ address = "2001:db8:1::9", mac = "02:00:00:00:00:06" }]
`;
  const text = exportConfig(applyConfig(untouched(HOST), BOTH));

  test('has what services have in common once, and the rest with each', () => {
    expect(text).toBe(`${HEAD}source = "10.0.0.4"
echo = false

[[service]]
name = "192.0.2.10:443"
address = ["192.0.2.10", "2001:db8:9::10"]
ports = 443
protocol = "tcp"
slots = 64
source = "2001:db8::7:0/112"
destinations = [
  { address = "10.0.1.15", mac = "02:00:00:00:00:04" },
  { address = "2001:db8:1::15", mac = "02:00:00:00:00:06" },
]

[[service]]
name = "[2001:db8:9::53]:53"
address = "2001:db8:9::53"
ports = 53
protocol = ["tcp", "udp"]
slots = 16
source = "2001:db8::9"
destinations = [
  { address = "2001:db8:1::9", mac = "02:00:00:00:00:06" },
]
`);
  });

  test('changes nothing when it is applied again', () => {
    const live = applyConfig(untouched(HOST), BOTH);
    expect(planText(live, text).writes).toEqual([]);
  });

  test('leaves the switch of echo out where it is on', () => {
    const live = applyConfig(untouched(HOST), BOTH.replace('echo = false', ''));
    expect(live.device.flags).toBe(0);
    expect(exportConfig(live)).not.toContain('echo');
  });
});

/** A config file by chance: some services, of all kinds, with ways that never clash. */
function randomConfig(random: () => number): string {
  const below = (limit: number): number => Math.floor(random() * limit);
  const oneOf = (...values: string[]): string => values[below(values.length)] ?? '';
  const numbers = [1, 2, 3, 4, 5, 6].filter(() => random() < 0.6);
  const services = numbers.map((number) => {
    const address = oneOf(`192.0.2.${number}`, `2001:db8:9::${number}`);
    const at = address.includes(':') ? `[${address}]` : address;
    const more = random() < 0.3 ? `, "192.0.2.${number + 100}"` : '';
    const destinations = Array.from({ length: 1 + below(12) }, (_, index) =>
      oneOf(
        `{ address = "10.0.${below(3)}.${10 * number + index + 1}", mac = "02:00:00:00:00:01" }`,
        `{ address = "2001:db8:${below(3)}::${10 * number + index + 1}", mac = "02:00:00:00:00:03" }`,
        `{ address = "10.0.9.${10 * number + index + 1}", mac = "02:00:00:00:00:02", weight = ${below(4)} }`,
      ),
    );
    return [
      '[[service]]',
      `name = "service${number}"`,
      oneOf(
        `address = ["${address}"${more}]\nports = ${oneOf('80', '[80, 443]', '[8080, 80]')}`,
        `address = "${address}"`,
        `ways = ["${at}:${1 + below(4)}", "192.0.2.${number + 100}:80/udp"]`,
        `ways = ["${at}:80/tcp", "${address}/udp"]\ntake_ssh = ${oneOf('true', 'false')}`,
      ),
      oneOf('', `hash = ${oneOf('"source"', '"source+ports"')}`),
      oneOf('', `udp = ${oneOf('"previous"', '"current"')}`),
      oneOf('', 'table = "minimal"', 'table = "consistent"'),
      oneOf('', `idle = ${1 + below(MAX_SECONDS)}`),
      oneOf('', `drain_deadline = ${1 + below(MAX_SECONDS)}`),
      oneOf(
        '',
        `source = "10.0.0.${1 + below(9)}"`,
        `source = ["2001:db8::${1 + below(9)}", "10.${below(9)}.0.0/16"]`,
        `source = "2001:db8::${1 + below(9)}:0/1${oneOf('12', '20')}"`,
      ),
      'slots = 64',
      `destinations = [${destinations.join(', ')}]`,
    ].join('\n');
  });
  const top = oneOf('', 'echo = false\n', 'source = "10.0.0.77"\n', 'echo = true\n');
  return top + (services.length === 0 ? 'service = []' : services.join('\n\n'));
}

describe('by chance', () => {
  test.each([1, 2, 3, 4, 5])(
    'an export can always be read, and changes nothing (seed %i)',
    (seed) => {
      const random = randomNumbers(seed);
      let live = untouched(HOST);
      for (let round = 0; round < 12; round++) {
        live = applyConfig(live, randomConfig(random));
        const text = exportConfig(live);
        const { problems } = parseConfig({ name: 'export', text }, noFile);
        expect(problems).toEqual([]);
        const again = planText(live, text);
        expect(again.writes).toEqual([]);
        expect(again.removed).toEqual([]);

        // In an empty program it makes the same services, whatever their ids.
        const fresh = applyWrites(
          untouched(HOST),
          planText(untouched(HOST), text).writes,
        );
        expect(servicesOf(exportConfig(fresh))).toEqual(servicesOf(text));
      }
    },
  );

  test('counters only ever move to id 0, and sums stay', () => {
    const random = randomNumbers(99);
    let live = untouched(HOST);
    let total = 0n;
    for (let round = 0; round < 20; round++) {
      live = applyConfig(live, randomConfig(random));
      const counters = new Map(live.counters);
      for (const [id, { service }] of live.destinations) {
        if (service === 0) continue;
        const { packets, bytes } = counters.get(id) ?? { packets: 0n, bytes: 0n };
        counters.set(id, { packets: packets + 10n, bytes: bytes + 100n });
        total += 10n;
      }
      live = { ...live, counters };
      const sum = [...counters.values()].reduce((all, { packets }) => all + packets, 0n);
      expect(sum).toBe(total);
    }
  });
});

/** The blocks of a file, in any order. */
function servicesOf(text: string): string[] {
  return text
    .split('\n[[service]]')
    .slice(1)
    .map((block) => block.trim())
    .sort();
}
