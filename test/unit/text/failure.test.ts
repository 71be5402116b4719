// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { Failure, UsageFailure } from '../../../src/text/failure.js';

describe('failure', () => {
  test.each([
    {
      what: 'no more than what failed',
      advice: {},
      lines: ['l4lb-map: no device ens5'],
    },
    {
      what: 'the likely cause',
      advice: { cause: 'the name is mistyped' },
      lines: ['l4lb-map: no device ens5', '  likely cause: the name is mistyped'],
    },
    {
      what: 'what to run next',
      advice: { next: 'ip link' },
      lines: ['l4lb-map: no device ens5', '  next: ip link'],
    },
    {
      what: 'all of it',
      advice: { cause: 'the name is mistyped', next: 'ip link' },
      lines: [
        'l4lb-map: no device ens5',
        '  likely cause: the name is mistyped',
        '  next: ip link',
      ],
    },
    {
      what: 'no cause that is undefined',
      advice: { cause: undefined, next: undefined },
      lines: ['l4lb-map: no device ens5'],
    },
  ])('is printed behind the name of the command: $what', ({ advice, lines }) => {
    expect(new Failure('no device ens5', advice).format('l4lb-map')).toBe(
      lines.join('\n'),
    );
  });

  test('ends a command with 1, and wrong usage with 2', () => {
    expect(new Failure('no device').exitCode).toBe(1);
    expect(new UsageFailure('what?').exitCode).toBe(2);
    expect(new UsageFailure('what?')).toBeInstanceOf(Failure);
  });
});
