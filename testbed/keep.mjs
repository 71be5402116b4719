#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Keeps connections to answer.mjs open, and asks twice a second by each. Prints a line for each
// answer: when, in milliseconds since 1970, by which connection, and who answered. A connection
// that is lost has a last line, which also says why.
// Usage: keep.mjs ADDRESS [CONNECTIONS]
import { Agent, get } from 'node:http';
import process from 'node:process';
import { setTimeout } from 'node:timers';

const [host, count = '40'] = process.argv.slice(2);
if (host === undefined) {
  process.stderr.write('Usage: keep.mjs ADDRESS [CONNECTIONS]\n');
  process.exit(2);
}

/** Milliseconds. */
const EVERY = 500;
/**
 * Below those that the kernel gives to others. A destination that was away still has these
 * connections when it is back, and then nobody should begin one from the same port.
 */
const FIRST_PORT = 20_000;

class Kept {
  constructor(id) {
    this.id = id;
    this.agent = new Agent({ keepAlive: true, maxSockets: 1 });
    this.name = undefined; // who answers
    this.isLost = false;
  }

  tell(what) {
    process.stdout.write(`${Date.now()} ${this.id} ${this.name ?? '-'}${what}\n`);
  }

  lose(reason) {
    if (this.isLost) return;
    this.isLost = true;
    this.tell(` lost: ${reason}`);
    this.agent.destroy();
  }

  ask() {
    let text = '';
    const lose = ({ code, message }) => this.lose(code ?? message);
    const localPort = FIRST_PORT + this.id;
    const request = get({ host, agent: this.agent, localPort }, (answer) => {
      // The agent makes a new connection if this one has gone.
      if (this.name !== undefined && !request.reusedSocket) this.lose('closed');
      answer.setEncoding('utf8');
      answer.on('error', lose);
      answer.on('data', (part) => (text += part));
      answer.on('end', () => this.read(text.trim()));
    });
    request.on('error', lose);
  }

  read(name) {
    this.name ??= name;
    if (name !== this.name) this.lose(`${name} has it`);
    if (this.isLost) return;
    this.tell('');
    setTimeout(() => this.ask(), EVERY);
  }
}

for (let id = 0; id < Number(count); id++) {
  setTimeout(() => new Kept(id).ask(), id * 10);
}
