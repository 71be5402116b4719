#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Sends data over TCP, gets it back, and compares it byte by byte.
// Usage: transfer.mjs answer PORT
//        transfer.mjs ask ADDRESS PORT BYTES
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import process from 'node:process';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

const [what, ...rest] = process.argv.slice(2);
const PATIENCE_MS = 20_000;

function fail(status, message) {
  process.stderr.write(`transfer.mjs: ${message}\n`);
  process.exit(status);
}

function answer(port) {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {}); // a client that gave up
    socket.pipe(socket);
  });
  server.listen(port, () => process.stdout.write(`answers on port ${port}\n`));
}

/** Tries again as long as nobody answers on the port. */
async function open(host, port) {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const socket = connect({ host, port, allowHalfOpen: true });
    socket.setTimeout(PATIENCE_MS, () =>
      socket.destroy(
        new Error(`nothing came from ${host} port ${port} for ${PATIENCE_MS / 1000} s`),
      ),
    );
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      if (error.code !== 'ECONNREFUSED' || Date.now() > until) throw error;
      await sleep(100);
    }
  }
}

async function ask(host, port, bytes) {
  const sent = randomBytes(bytes);
  const socket = await open(host, port);
  socket.end(sent);
  const received = await buffer(socket);
  if (!received.equals(sent)) {
    throw new Error(
      `what came back is not what was sent: ${received.length} of ${bytes} bytes`,
    );
  }
  process.stdout.write(`${received.length} bytes came back as they were sent\n`);
}

if (what === 'answer' && rest.length === 1) answer(Number(rest[0]));
else if (what === 'ask' && rest.length === 3) {
  const [host, port, bytes] = rest;
  ask(host, Number(port), Number(bytes)).catch((error) => fail(1, error.message));
} else fail(2, 'Usage: transfer.mjs answer PORT, or transfer.mjs ask ADDRESS PORT BYTES');
