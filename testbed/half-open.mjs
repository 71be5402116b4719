#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Opens TCP connections to echo.mjs while hold.o drops all that follows their SYNs, so that
// they stay half open at the destination. Sends one line on each: TCP repeats it until it
// comes through. Prints lines of JSON: which are held, and how each ended.
// Usage: half-open.mjs SETTINGS, as JSON: host, port, from, count, bound
// A line on stdin: what was held goes on, so each completes within `bound` ms or is lost.
import { connect } from 'node:net';
import process from 'node:process';
import { setTimeout } from 'node:timers';

const { host, port, from, count, bound } = JSON.parse(process.argv[2]);
const tell = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const open = new Map();

function end(id, event) {
  const socket = open.get(id);
  if (!socket) return;
  open.delete(id);
  socket.destroy();
  tell({ ...event, id });
  if (open.size === 0) process.stdout.write('', () => process.exit(0));
}

function begin(id) {
  const socket = connect({ host, port, localAddress: from, noDelay: true });
  let text = '';
  open.set(id, socket);
  socket.setEncoding('latin1');
  socket.on('connect', () => {
    tell({ event: 'held', id, port: socket.localPort });
    socket.write('0\n');
  });
  socket.on('data', (more) => {
    text += more;
    const [name, echo, rest] = text.split('\n');
    if (rest === undefined) return;
    if (echo === `${name} 0`) end(id, { event: 'complete', name });
    else end(id, { event: 'failed', why: 'jumped' });
  });
  socket.on('error', ({ code }) => {
    end(id, { event: 'failed', why: code === 'ECONNRESET' ? 'reset' : 'unreachable' });
  });
  socket.on('close', () => end(id, { event: 'failed', why: 'closed' }));
}

tell({ event: 'begun' });
for (let id = 0; id < count; id++) begin(id);

process.stdin.once('data', () => {
  setTimeout(() => {
    for (const id of [...open.keys()]) end(id, { event: 'failed', why: 'silent' });
  }, bound);
});
process.stdin.on('end', () => process.exit(0));
