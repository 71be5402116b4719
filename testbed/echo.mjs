#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Answers every line of a TCP connection with a name and the line, so that the client
// sees who answered. Sends the name first, before any line comes. Ends when its stdin does.
// Usage: echo.mjs NAME [PORT [ADDRESS]]
import { createServer } from 'node:net';
import process from 'node:process';

const [name, port = '80', host = '0.0.0.0'] = process.argv.slice(2);
if (name === undefined) {
  process.stderr.write('Usage: echo.mjs NAME [PORT [ADDRESS]]\n');
  process.exit(2);
}

const server = createServer({ noDelay: true }, (socket) => {
  let rest = '';
  socket.setEncoding('latin1');
  socket.on('error', () => socket.destroy()); // a client that is gone is none of our faults
  socket.on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    if (lines.length > 0) socket.write(lines.map((line) => `${name} ${line}\n`).join(''));
  });
  socket.write(`${name}\n`);
});
server.listen({ port: Number(port), host, backlog: 4096 }, () => {
  process.stdout.write(`${name} answers on port ${port}\n`);
});

// The process that started this has died, or wants it to end.
process.stdin.on('end', () => process.exit(0)).resume();
