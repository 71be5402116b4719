// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What holds for all services of a device, and cannot change under them. */
import { describe, expect, test } from '@jest/globals';

import { exportConfig } from '../../../src/plan/export.js';
import type { State } from '../../../src/plan/state.js';
import { SLOT_SEED } from '../../../src/wire/hash.js';
import { checkConfigNames } from '../../../src/fill/from-config.js';
import { checkNamesUsed } from '../../../src/plan/check-names.js';
import { checkDevice } from '../../../src/plan/device.js';
import { CELL_NAMES } from '../../../src/abi/cell.js';
import { parseConfig } from '../../../src/config/read.js';
import { joinNames, parseNames } from '../../../src/wire/names.js';
import { DRAWN, applyConfig, noFile, planText } from './configs.js';
import { untouched } from './states.js';

const HOST: State['sizes'] = { slots: 8192, destinations: 512, cells: 1024 };
const NOW = 1000;

/** Two services of which the second one's destinations decide. */
function config(top: string, weights = [1, 1]): string {
  const service = (name: string, port: number, more: string): string => `
[[service]]
name = "${name}"
ways = ["192.0.2.10:${port}/tcp"]
slots = 16
${more}`;
  const rows = weights.map(
    (weight, index) => `{ address = "10.0.1.${index + 1}", weight = ${weight} }`,
  );
  return [
    top,
    service('first', 80, 'destinations = ["10.0.2.1"]'),
    service(
      'second',
      81,
      `remember = "destinations"\ndestinations = [${rows.join(', ')}]`,
    ),
  ].join('\n');
}

const NAMES = 'names = "10.7.0.0/16"';
const filled = (text: string): State => applyConfig(untouched(HOST), text, NOW);

describe('the seed of slots', () => {
  test('is the public one unless another is asked for', () => {
    expect(filled(config(NAMES)).device.slotSeed).toBe(SLOT_SEED);
    expect(filled(config(`${NAMES}\nseed = "0x00000063"`)).device.slotSeed).toBe(99);
  });

  test('stays without being named again, and if it is named the same', () => {
    const state = filled(config(`${NAMES}\nseed = "0x00000063"`));
    for (const top of [NAMES, `${NAMES}\nseed = "0x00000063"`]) {
      expect(applyConfig(state, config(top, [0, 1]), NOW).device.slotSeed).toBe(99);
    }
  });

  test('that is drawn is drawn once', () => {
    const random = config(`${NAMES}\nseed = "random"`);
    expect(filled(random).device.slotSeed).toBe(DRAWN);
    const other = filled(config(`${NAMES}\nseed = "0x00000063"`));
    expect(applyConfig(other, random, NOW).device.slotSeed).toBe(99);
  });

  test('cannot change under services, but after they are gone', () => {
    const state = filled(config(NAMES));
    const other = config(`${NAMES}\nseed = "0x00000063"`);
    expect(() => planText(state, other, NOW)).toThrow(
      'the seed of slots cannot change while there are services',
    );
    const none = applyConfig(state, 'service = []', NOW);
    expect(applyConfig(none, other, NOW).device.slotSeed).toBe(99);
  });

  test('is kept by loading anew on this very device, as the error says', () => {
    const slotSeed = { value: 99, isDrawn: false };
    const next = 'leave the seed out, or load the program anew: l4lb-load -i ens4 --off';
    expect(() =>
      checkDevice(filled(config(NAMES)), { slotSeed, deviceName: 'ens4' }),
    ).toThrow(expect.objectContaining({ advice: expect.objectContaining({ next }) }));
  });

  test('is exported unless it is public', () => {
    expect(exportConfig(filled(config(NAMES)))).not.toContain('seed');
    const own = filled(config(`${NAMES}\nseed = "0x00000063"`));
    expect(exportConfig(own)).toContain('\nseed = "0x00000063"\n');
    expect(planText(own, exportConfig(own), NOW).writes).toEqual([]);
  });
});

describe('the prefix of names', () => {
  const hot = applyConfig(filled(config(NAMES)), config(NAMES, [0, 1]), NOW);

  test('cannot change while slots of any service are hot', () => {
    expect(() => planText(hot, config('names = "10.8.0.0/16"', [0, 1]), NOW)).toThrow(
      'the prefix of names cannot change while slots are hot',
    );
  });

  test('can change otherwise', () => {
    const cold = filled(config(NAMES));
    const other = applyConfig(cold, config('names = "10.8.0.0/16"'), NOW);
    expect(other.device.names.ipv4?.address.subarray(12)).toEqual(
      Buffer.from([10, 8, 0, 0]),
    );
  });

  test('is told if it changes, and if it is the first', () => {
    const settings = (before: string, after: string): string[] =>
      planText(filled(before), after, NOW).services.flatMap(({ plan }) => plan.settings);
    expect(settings(config(NAMES), config(NAMES))).toEqual([]);
    expect(settings(config(NAMES), config('names = "10.8.0.0/16"'))).toEqual([
      'names 10.8.0.0/16',
    ]);
    const both = 'names = ["10.7.0.0/16", "fd00:7::/112"]';
    expect(settings(config(NAMES), config(both))).toEqual(['IPv6 names fd00:7::/112']);
    const forgetful = config('').replace('remember = "destinations"', '');
    expect(settings(forgetful, config(NAMES))).toEqual([
      'names 10.7.0.0/16',
      'remember destinations',
      'idle 3600 s',
    ]);
  });

  test('is refused where no service would use it', () => {
    const names = joinNames([parseNames('10.7.0.0/16')]);
    expect(() => checkNamesUsed({ names }, [{ flags: 0 }])).toThrow(
      '--names is for services whose destinations remember',
    );
    checkNamesUsed({ names }, [{ flags: 0 }, { flags: CELL_NAMES }]);
    checkNamesUsed({ names: {} }, [{ flags: 0 }]);
  });

  test('is refused in a config file by its line', () => {
    const read = (text: string) => parseConfig({ name: 'l4lb.toml', text }, noFile);
    const forgetful = config(NAMES).replace('remember = "destinations"', '');
    expect(() => checkConfigNames(read(forgetful))).toThrow(
      'l4lb.toml:1: names: there is no service whose destinations remember',
    );
    checkConfigNames(read(config(NAMES)));
    checkConfigNames(read('service = []'));
  });

  test('is exported where a service uses it', () => {
    const live = filled(config(NAMES));
    expect(exportConfig(live)).toContain('names = "10.7.0.0/16"');
    const none = applyConfig(live, 'service = []', NOW);
    expect(none.device.names).toHaveProperty('ipv4');
    expect(exportConfig(none)).not.toContain('names =');
  });
});
