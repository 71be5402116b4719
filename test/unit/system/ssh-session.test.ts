// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { portOf } from '../../../src/system/ssh-session.js';

/** An environment as /proc shows it. */
function environment(...variables: string[]): string {
  return variables.map((variable) => `${variable}\0`).join('');
}

describe('session', () => {
  test.each([
    {
      session: 'on the usual port',
      text: environment('HOME=/root', 'SSH_CONNECTION=198.51.100.7 51234 10.0.0.1 22'),
      port: 22,
    },
    {
      session: 'on another port',
      text: environment('SSH_CONNECTION=198.51.100.7 51234 10.0.0.1 2222', 'A=b'),
      port: 2222,
    },
    {
      session: 'over IPv6',
      text: environment('SSH_CONNECTION=2001:db8::7 51234 2001:db8::1 2222'),
      port: 2222,
    },
    { session: 'that is none', text: environment('HOME=/root', 'TERM=xterm'), port: 0 },
    { session: 'of a process that tells nothing', text: '', port: 0 },
    {
      session: 'that another variable speaks of',
      text: environment('OLD_SSH_CONNECTION=198.51.100.7 51234 10.0.0.1 2222'),
      port: 0,
    },
    {
      session: 'that is told in the middle of another variable',
      text: environment('NOTE=x SSH_CONNECTION=198.51.100.7 51234 10.0.0.1 2222'),
      port: 0,
    },
    { session: 'that is empty', text: environment('SSH_CONNECTION='), port: 0 },
    {
      session: 'that is cut short',
      text: environment('SSH_CONNECTION=198.51.100.7 51234'),
      port: 0,
    },
  ])('a session $session has the port $port', ({ text, port }) => {
    expect(portOf(text)).toBe(port);
  });
});
