#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Holds TCP connections within one host, so that its kernel has their sockets: from the
// ports from FROM on. Says when all are there, and ends when its stdin does.
// Usage: sockets.mjs SERVICE PORT CLIENT FROM COUNT
import { fork } from 'node:child_process';
import { connect, createServer } from 'node:net';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const [service, portText, client, fromText, countText] = process.argv.slice(2);
const [port, from, count] = [portText, fromText, countText].map(Number);
const AT_ONCE = 256;

// A process may not have as many files open as both ends of all need.
if (process.send === undefined) serve();
else open();

function serve() {
  let opened = 0;
  const held = [];
  const server = createServer((socket) => {
    held.push(socket);
    if (++opened === count) process.stdout.write(`${count} connections\n`);
  });
  server.listen({ host: service, port, backlog: AT_ONCE }, () => {
    const clients = fork(fileURLToPath(import.meta.url), process.argv.slice(2));
    clients.on('exit', () => process.exit(1));
    process.stdin.on('end', () => process.exit(0)).resume();
  });
}

function open() {
  let next = 0;
  const one = () => {
    if (next === count) return;
    const localPort = from + next++;
    connect({ host: service, port, localAddress: client, localPort }, one);
  };
  for (let i = 0; i < AT_ONCE; i++) one();
  process.on('disconnect', () => process.exit(0));
}
