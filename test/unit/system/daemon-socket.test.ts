// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';

import { sweepSockets } from '../../../src/system/daemon-socket.js';

const folder = mkdtempSync(join(tmpdir(), 'l4lb-socket-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What a process leaves that is killed. */
function abandon(path: string): void {
  const code = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  try {
    execFileSync(process.execPath, ['-e', code]);
  } catch (error) {
    expect(error).toMatchObject({ signal: 'SIGKILL' });
  }
}

test('only old sockets that nobody listens on are removed', async () => {
  const at = (name: string): string => join(folder, name);
  abandon(at('1-eth0.sock'));
  abandon(at('2-young.sock'));
  const server = createServer().listen(at('3-live.sock'));
  await once(server, 'listening');
  writeFileSync(at('4-file.sock'), '');
  for (const name of ['1-eth0.sock', '3-live.sock', '4-file.sock'])
    utimesSync(at(name), 1000, 1000);
  await sweepSockets(folder);
  expect(readdirSync(folder)).toEqual(['2-young.sock', '3-live.sock', '4-file.sock']);
  server.close();
});
