// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checks over a TCP connection: tcp itself, http and https. */
import type { Socket } from 'node:net';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';

import type { Probe } from '../health/check.js';
import type { Ask, Done } from './attempt.js';
import { fail, once } from './attempt.js';

/** The longest answer that is looked at: a status line, or a greeting. */
const MOST_BYTES = 4096;

export const askTcp: Ask = (probe, done) => {
  const { send, expect } = probe;
  const answer = expect === undefined ? undefined : startsWith(expect);
  return talk(open(probe), { send, answer }, done);
};

export const askHttp: Ask = (probe, done) =>
  talk(open(probe), { send: request(probe), answer: status(probe) }, done);

/** The handshake has to succeed, too. What the certificate says counts only with `verify`. */
export const askHttps: Ask = (probe, done) => {
  const { host, verify = false } = probe;
  const under = open(probe);
  const socket = connectTls({
    ...{ socket: under, rejectUnauthorized: verify },
    // An address is no name for TLS.
    ...(host !== undefined && { servername: host }),
  });
  const talked = {
    send: request(probe),
    answer: status(probe),
    ready: 'secureConnect',
    under,
  };
  return talk(socket, talked, done);
};

export function open({ address, port, localAddress, localPort }: Probe): Socket {
  return connectTcp({
    ...{ host: address, port, noDelay: true },
    ...(localAddress !== undefined && { localAddress }),
    ...(localPort !== undefined && { localPort }),
  });
}

/** Ends by a RST, since a FIN would leave the port in TIME_WAIT, where the next check wants it. */
export function reset(socket: Socket): void {
  if (socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}

/** What an answer means so far; undefined: more has to come. */
type Read = (text: string) => { passed: boolean; reason: string } | undefined;

interface Talk {
  send: string | undefined;
  /** Undefined: it is enough to be connected. */
  answer: Read | undefined;
  ready?: string;
  /** The connection itself, where TLS is on top of it. */
  under?: Socket;
}

function talk(
  socket: Socket,
  { send, answer, ready = 'connect', under = socket }: Talk,
  done: Done,
): () => void {
  let text = '';
  const { end, giveUp } = once(() => {
    reset(under);
    if (under !== socket) socket.destroy();
  }, done);
  socket.on('error', (error) => {
    fail(end, error);
  });
  socket.on(ready, () => {
    if (send !== undefined) socket.write(send, 'latin1');
    if (!answer) end(true, 'connected');
  });
  if (answer) {
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      const read = answer(text);
      if (read) end(read.passed, read.reason);
      else if (text.length > MOST_BYTES) end(false, 'the answer is too long');
    });
    socket.on('end', () => {
      end(
        false,
        text === '' ? 'closed without an answer' : 'closed in the middle of its answer',
      );
    });
  }
  return giveUp;
}

export function startsWith(expected: string): Read {
  return (text) => {
    if (text.startsWith(expected)) return { passed: true, reason: 'answered' };
    if (expected.startsWith(text)) return undefined;
    return { passed: false, reason: `another answer: ${shown(text)}` };
  };
}

function request({ path = '/', host, address, port }: Probe): string {
  const name = host ?? (address.includes(':') ? `[${address}]` : address);
  const usual = port === 80 || port === 443 || host !== undefined;
  return (
    `GET ${path} HTTP/1.1\r\nHost: ${name}${usual ? '' : `:${port}`}\r\n` +
    'User-Agent: l4lbd\r\nConnection: close\r\nAccept: */*\r\n\r\n'
  );
}

const USUAL_STATUS: readonly (readonly [number, number])[] = [[200, 399]];

function status({ status: right = USUAL_STATUS }: Probe): Read {
  return (text) => {
    if (!text.includes('\n')) return undefined;
    const [, digits] = /^HTTP\/1\.[01] (\d{3})[ \r\n]/.exec(text) ?? [];
    if (digits === undefined) return { passed: false, reason: `no HTTP: ${shown(text)}` };
    const code = Number(digits);
    const passed = right.some(([first, last]) => first <= code && code <= last);
    return { passed, reason: `HTTP ${digits}` };
  };
}

/** The beginning of what somebody else sent, in one short line. */
export function shown(text: string): string {
  const line = JSON.stringify(text.slice(0, 40));
  return text.length > 40 ? `${line} ...` : line;
}
