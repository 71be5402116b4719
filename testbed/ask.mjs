#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Asks for a page again and again, each time by a connection of its own, and prints a line for
// each request: when it began and ended, in milliseconds since 1970, and who answered, or "-"
// and why nobody did. SIGUSR2 ends it once all are answered.
// Usage: ask.mjs URL [REQUESTS_A_SECOND]
import { get } from 'node:http';
import process from 'node:process';
import { clearInterval, setInterval } from 'node:timers';

const [url, rate = '50'] = process.argv.slice(2);
if (url === undefined) {
  process.stderr.write('Usage: ask.mjs URL [REQUESTS_A_SECOND]\n');
  process.exit(2);
}

/** Milliseconds. The kernel sends a SYN again after 1, 3 and 7 seconds. */
const LONGEST = 10_000;

function ask() {
  const begun = Date.now();
  let text = '';
  let reason = '';
  // "close" comes last, and comes always.
  const request = get(url, { agent: false, timeout: LONGEST }, (answer) => {
    answer.setEncoding('utf8');
    answer.on('data', (part) => (text += part));
    answer.on('error', (error) => (reason = error.message));
    if (answer.statusCode !== 200) reason = `status ${answer.statusCode}`;
  });
  request.on('timeout', () => request.destroy(new Error('timeout')));
  request.on('error', (error) => (reason = error.message));
  request.on('close', () => {
    const outcome = reason === '' && text !== '' ? text.trim() : `- ${reason}`;
    process.stdout.write(`${begun} ${Date.now()} ${outcome}\n`);
  });
}

const timer = setInterval(ask, 1000 / Number(rate));
process.on('SIGUSR2', () => clearInterval(timer));
