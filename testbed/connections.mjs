#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Holds many TCP connections to echo.mjs open and sends numbered messages on all of them.
// Prints lines of JSON: which connection opened and who answers it, which was lost and
// why, and ten times a second how many there are and what took longest.
// Usage: connections.mjs SETTINGS, as JSON; see src/disturb/protocol.ts
// "finish" on stdin: sends no more, waits for what is on its way, and ends. Times are in
// milliseconds, by the clock that all processes share and nobody sets.
import { connect } from 'node:net';
import process from 'node:process';
import { setInterval, setTimeout } from 'node:timers';

const settings = JSON.parse(process.argv[2]);
const { host, port, sources, connections, openPerSecond, freshPerSecond } = settings;
const { every, bound, limit } = settings;

const now = () => Number(process.hrtime.bigint() / 1000n) / 1000;
const tell = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

const held = new Set();
const totals = { opened: 0, connecting: 0, active: 0, sent: 0, received: 0, dropped: 0 };
let finishing = false;
const reopenAt = []; // as clients do, once for each that had been open and was lost

class Connection {
  constructor() {
    this.id = totals.opened++;
    this.began = now();
    this.name = undefined; // who answers
    this.rest = '';
    this.next = 0; // number of the next message
    this.awaited = []; // messages without an echo: [number, when it was sent]
    this.due = this.began + Math.random() * every;
    const localAddress = sources[this.id % sources.length];
    this.socket = connect({ host, port, localAddress, noDelay: true });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text) => this.read(text));
    this.socket.on('end', () => this.lose('closed'));
    this.socket.on('close', () => this.lose('closed'));
    this.socket.on('error', ({ code }) => this.lose(reason(code)));
    totals.connecting++;
    held.add(this);
  }

  read(text) {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop();
    for (const line of lines) this.readLine(line);
  }

  readLine(line) {
    if (!held.has(this)) return;
    if (this.name === undefined) {
      this.name = line;
      totals.connecting--;
      totals.active++;
      noteSlow('open', this.began);
      const { id, began, socket } = this;
      const end = { from: socket.localAddress, port: socket.localPort };
      tell({ event: 'open', at: now(), id, began, name: line, ...end });
      return;
    }
    const oldest = this.awaited[0]?.[0];
    if (line !== `${this.name} ${oldest}`) {
      this.lose(line.startsWith(`${this.name} `) ? 'wrong echo' : 'jumped');
      return;
    }
    noteSlow('echo', this.awaited.shift()[1]);
    totals.received++;
  }

  // Runs once in each interval.
  turn(time) {
    const since = this.name === undefined ? this.began : this.awaited[0]?.[1];
    if (since !== undefined && time - since > bound) {
      this.lose('silent');
    } else if (this.name !== undefined && !finishing && time >= this.due) {
      this.due = Math.max(this.due + every, time);
      this.awaited.push([this.next, time]);
      this.socket.write(`${this.next++}\n`);
      totals.sent++;
    }
  }

  lose(why) {
    if (!held.delete(this)) return;
    if (this.name === undefined) totals.connecting--;
    else {
      totals.active--;
      reopenAt.push(now() + 1000);
    }
    totals.dropped += this.awaited.length;
    const at = now();
    const since = this.awaited[0]?.[1] ?? (this.name === undefined ? this.began : at);
    tell({ event: 'lost', at, id: this.id, began: this.began, since, why });
    this.socket.destroy();
  }
}

// Keeps what took longest since tellSlowest() told it.
const slowest = new Map();

function noteSlow(what, since) {
  const at = now();
  const before = slowest.get(what);
  if (!before || at - since > before.at - before.since) slowest.set(what, { at, since });
}

function tellSlowest() {
  for (const [what, one] of slowest) tell({ event: 'slowest', what, ...one });
  slowest.clear();
}

function reason(code) {
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'reset';
  return code === 'ECONNREFUSED' ? 'refused' : 'unreachable';
}

// Returns what is due at a steady pace, however late the timer is.
function pacer(perSecond, most = Infinity) {
  const start = now();
  let made = 0;
  return () => {
    const due = Math.min(most, Math.floor(((now() - start) / 1000) * perSecond));
    const count = due - made;
    made = due;
    return count;
  };
}

function end() {
  tellSlowest();
  tell({ event: 'count', at: now(), ...totals });
  for (const one of held) one.socket.destroy();
  process.stdout.write(`${JSON.stringify({ event: 'end', at: now() })}\n`, () =>
    process.exit(0),
  );
}

const first = pacer(openPerSecond, connections);
let fresh; // once the first are open

setInterval(() => {
  const time = now();
  for (const one of held) one.turn(time);
  if (finishing) {
    const quiet = [...held].every((one) => one.name && one.awaited.length === 0);
    if (quiet) end();
    return;
  }
  for (let count = first(); count > 0; count--) new Connection();
  if (!fresh && totals.opened >= connections && totals.connecting === 0) {
    fresh = pacer(freshPerSecond);
    tell({ event: 'ready', at: time });
  }
  for (let count = fresh?.() ?? 0; count > 0; count--) new Connection();
  for (let most = 10; reopenAt[0] < time && most > 0; most--) {
    reopenAt.shift();
    new Connection();
  }
}, 10);
setInterval(() => {
  tell({ event: 'count', at: now(), ...totals });
  tellSlowest();
}, 100);

// The traffic ends in any case.
setTimeout(() => process.exit(1), limit);
process.stdin.on('data', () => (finishing = true));
process.stdin.on('end', () => process.exit(0));
