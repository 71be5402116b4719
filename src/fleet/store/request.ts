// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** One request to one endpoint of etcd's gateway, with limits of time and size. */
import type { ClientRequest, IncomingMessage } from 'node:http';
import http from 'node:http';
import https from 'node:https';

import type { Connections } from './access.js';
import type { Fields } from './json.js';
import { Strange, parse } from './json.js';
import { MOST_ANSWER } from './store.js';
import { Unanswered, connectionFault, isOfTls, notEtcd, refusalIn } from './trouble.js';

/** Milliseconds. */
export interface Patience {
  /** Until an answer begins, and between two parts of it. */
  answer: number;
  /** Until it has ended. */
  whole: number;
  /** A watch in which nothing was heard for so long is looked after. */
  silence: number;
}

export interface How {
  token?: string | undefined;
  signal?: AbortSignal | undefined;
  patience: Patience;
}

/** An answer that goes on until one side ends it. */
export interface Following {
  endpoint: URL;
  answer: IncomingMessage;
  end: () => void;
}

interface Sent {
  request: ClientRequest;
  answer: IncomingMessage;
}

/** Errors are shorter. */
const MOST_ERROR = 4096;

/** Returns a whole answer. Throws Refused or Unanswered. */
export async function fetch(
  connections: Connections,
  url: URL,
  body: object,
  how: How,
): Promise<Fields> {
  const sent = await send(connections, url, body, how, false);
  if (sent.answer.statusCode !== 200) throw await refused(sent, how.patience);
  const said = await readAll(sent, MOST_ANSWER, how.patience);
  const answer = parsed(said);
  if (answer === undefined) throw notEtcd(200, said);
  const refusal = refusalIn(answer);
  if (refusal) throw refusal;
  return answer;
}

function parsed(said: string): Fields | undefined {
  try {
    return parse(said);
  } catch (error) {
    if (error instanceof Strange) return undefined;
    throw error;
  }
}

/** Returns an answer that has begun. */
export async function follow(
  connections: Connections,
  url: URL,
  body: object,
  how: How,
): Promise<Following> {
  const sent = await send(connections, url, body, how, true);
  const { request, answer } = sent;
  if (answer.statusCode !== 200) throw await refused(sent, how.patience);
  return { endpoint: url, answer, end: () => request.destroy() };
}

function send(
  connections: Connections,
  url: URL,
  body: object,
  { token, signal, patience }: How,
  isWatch: boolean,
): Promise<Sent> {
  const content = Buffer.from(JSON.stringify(body));
  const request = (url.protocol === 'https:' ? https : http).request(url, {
    method: 'POST',
    agent: connections.agent(url, isWatch),
    headers: {
      'content-type': 'application/json',
      'content-length': content.length,
      // A member that is cut off from the others says so, and does not wait for them.
      'grpc-metadata-hasleader': 'true',
      ...(token !== undefined && { authorization: token }),
    },
    ...(signal && { signal }),
  });
  request.end(content);
  return new Promise((resolve, reject) => {
    let isSent = false;
    const timer = setTimeout(() => {
      request.destroy(
        new Unanswered(`no answer for ${patience.answer / 1000} s`, isSent),
      );
    }, patience.answer);
    request.on('socket', (socket) => {
      isSent = request.reusedSocket;
      if (isSent) return;
      const ready = url.protocol === 'https:' ? 'secureConnect' : 'connect';
      socket.once(ready, () => (isSent = true));
    });
    request.on('response', (answer) => {
      clearTimeout(timer);
      // A dead host is found out even if nothing is asked of it.
      answer.socket.setKeepAlive(true, patience.silence);
      resolve({ request, answer });
    });
    // After the answer has begun, the answer's own error says the same.
    request.on('error', (error) => {
      clearTimeout(timer);
      if (isOfTls(error)) connections.renew();
      reject(unanswered(error, isSent, request.reusedSocket));
    });
  });
}

/** What an error of a connection means for the request. */
export function unanswered(
  error: Error,
  mayBeDone: boolean,
  isReused = false,
): Unanswered {
  if (error instanceof Unanswered) return error;
  const { code = '' } = error as NodeJS.ErrnoException;
  const isStale = isReused && (code === 'ECONNRESET' || code === 'EPIPE');
  return new Unanswered(connectionFault(error), mayBeDone, isStale);
}

/** Reads a body up to a size, as long as it goes on. */
function readAll(
  { request, answer }: Sent,
  most: number,
  patience: Patience,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    const fail = (error: Error): void => {
      clearTimeout(whole);
      clearTimeout(silent);
      request.destroy();
      reject(unanswered(error, true));
    };
    const failAfter = (milliseconds: number, what: string): NodeJS.Timeout =>
      setTimeout(() => {
        fail(new Unanswered(`${what} for ${milliseconds / 1000} s`, true));
      }, milliseconds);
    const whole = failAfter(patience.whole, 'its answer went on');
    const silent = failAfter(patience.answer, 'its answer stopped');
    answer.on('data', (part: Buffer) => {
      silent.refresh();
      size += part.length;
      if (size <= most) parts.push(part);
      else fail(new Unanswered(`its answer has more than ${most} bytes`, true));
    });
    answer.on('end', () => {
      clearTimeout(whole);
      clearTimeout(silent);
      resolve(Buffer.concat(parts).toString());
    });
    answer.on('error', fail);
  });
}

/** The error in an answer whose status is not 200. */
async function refused(sent: Sent, patience: Patience): Promise<Error> {
  const body = await readAll(sent, MOST_ERROR, patience);
  return refusalIn(parsed(body)) ?? notEtcd(sent.answer.statusCode ?? 0, body);
}
