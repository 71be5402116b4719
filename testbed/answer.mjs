#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Answers every HTTP request with a name, so that the client sees who answered.
// Usage: answer.mjs NAME [PORT [ADDRESS]]
import { createServer } from 'node:http';
import process from 'node:process';

const [name, port = '80', address] = process.argv.slice(2);
if (name === undefined) {
  process.stderr.write('Usage: answer.mjs NAME [PORT [ADDRESS]]\n');
  process.exit(2);
}

const server = createServer((_request, response) => {
  response.end(`${name}\n`);
});
// A client that is slow to ask again, on a busy machine, keeps its connection.
server.keepAliveTimeout = 60_000;
// Without an address over both families, where the kernel has both.
server.listen(Number(port), address, () => {
  process.stdout.write(`${name} answers on port ${port}\n`);
});
