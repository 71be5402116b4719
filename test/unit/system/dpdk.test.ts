// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { expect, test } from '@jest/globals';

import { TRAFFIC, parseRegistration } from '../../../src/system/dpdk.js';

const COUNTS = TRAFFIC.map((key, i) => `${key} ${i}`).join('\n');
const WHOLE = `program 17
name l4lb_2
holder 41 1000 4026531836
process 40 999 4026531836
port net_tap0
exception yes
${COUNTS}
`;

test('what l4lb-dpdk writes is read', () => {
  expect(parseRegistration(WHOLE)).toEqual({
    program: 17,
    name: 'l4lb_2',
    holder: { pid: 41, started: 1000, namespace: 4026531836 },
    process: { pid: 40, started: 999, namespace: 4026531836 },
    port: 'net_tap0',
    isException: true,
    traffic: Object.fromEntries(TRAFFIC.map((key, i) => [key, BigInt(i)])),
  });
});

test('counts beyond 2^53 stay exact, and what is none counts nothing', () => {
  const text = WHOLE.replace('received 0', 'received 18446744073709551615').replace(
    /^sent .*/m,
    'sent many',
  );
  expect(parseRegistration(text)?.traffic).toMatchObject({
    received: 18_446_744_073_709_551_615n,
    sent: 0n,
  });
});

test.each([
  ['nothing', ''],
  ['its end', WHOLE.slice(WHOLE.indexOf('holder'))],
  ['its beginning', WHOLE.slice(0, WHOLE.indexOf('process'))],
  ['words for numbers', WHOLE.replace('41', 'x')],
  ['a name that is none of a program', WHOLE.replace('l4lb_2', 'l4lb\u001b[31m')],
  ['a number too large to be one', WHOLE.replace('1000', '1e400')],
])('%s is no registration', (_what, text) => {
  expect(parseRegistration(text)).toBeUndefined();
});
