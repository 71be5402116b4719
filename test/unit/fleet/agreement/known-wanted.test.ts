// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import { KnownWanted } from '../../../../src/fleet/agreement/known-wanted.js';

const service = (name: string, port: number, weight = 1): string => `[[service]]
name = "${name}"
address = "198.51.100.10"
ports = ${port}
protocol = "tcp"
destinations = [{ address = "10.0.1.1", weight = ${weight} }]
`;
const WEB = service('web', 80);
const DNS = service('dns', 53);

test('what has not changed is not read again', () => {
  const known = new KnownWanted();
  const weights = known.weightsOf('', 'web', WEB);
  expect([...weights]).toEqual([['10.0.1.1', 1]]);
  expect(known.weightsOf('', 'web', WEB)).toBe(weights);
  const config = known.join({ common: '', services: new Map([['web', WEB]]) });
  expect(known.join({ common: '', services: new Map([['web', WEB]]) })).toBe(config);
  expect(known.weightsOf('', 'web', WEB)).toBe(weights);
});

test('what has changed is', () => {
  const known = new KnownWanted();
  const weights = known.weightsOf('', 'web', WEB);
  expect(known.weightsOf('', 'web', service('web', 80, 7)).get('10.0.1.1')).toBe(7);
  expect(known.weightsOf('echo = false', 'web', WEB)).not.toBe(weights);
  const join = (...texts: [string, string][]): string[] =>
    known.join({ common: '', services: new Map(texts) }).services.map(({ name }) => name);
  expect(join(['web', WEB], ['dns', DNS])).toEqual(['web', 'dns']);
  expect(join(['dns', DNS], ['web', WEB])).toEqual(['dns', 'web']);
  expect(join(['dns', DNS])).toEqual(['dns']);
});

test('what is none of a service is none each time', () => {
  const known = new KnownWanted();
  for (let time = 0; time < 2; time++) {
    expect(() => known.weightsOf('', 'web', DNS)).toThrow('another name than its key');
    expect(() => known.weightsOf('', 'web', '{')).toThrow('the store:');
  }
});
