// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Answers by HTTP: on a socket that only root can reach, where destinations can be drained,
 * and read-only on an address of the file.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { rmSync } from 'node:fs';

import { METRICS_TYPE, metricsOf, serves } from '../api/metrics.js';
import type { ServiceHealthStatus, Status } from '../api/status.js';
import type { Listen } from '../config/daemon.js';
import { MAX_WEIGHT } from '../config/destinations-csv.js';
import { toJson } from '../system/output.js';
import { Failure } from '../text/failure.js';
import { nearestOf } from '../config/problems.js';
import type { Action } from './by-hand.js';
import { ACTIONS, Conflict, NotThere } from './by-hand.js';
import type { Control } from './control.js';
import type { Entry } from '../api/events.js';
import type { Journal } from './journal.js';
import type { Seen } from './sampler.js';

/** What is asked, and who may. */
interface Asked {
  method: string;
  /** The parts of the path, decoded. */
  path: string[];
  query: URLSearchParams;
  body: unknown;
  canChange: boolean;
}

/** A question that is none. */
class BadQuestion extends Failure {
  readonly status: number;

  constructor(status: number, what: string, next?: string) {
    super(what, { next });
    this.status = status;
  }
}

interface Reply {
  status: number;
  type: string;
  text: string;
}

const JSON_TYPE = 'application/json; charset=utf-8';
const TEXT_TYPE = 'text/plain; charset=utf-8';
/** Bytes. */
const LONGEST_BODY = 65_536;
const MOST_FOLLOWERS = 32;
/** A follower that has this much unread is too slow. */
const MOST_UNREAD = 1 << 20;
/** Milliseconds for a request to come in: nobody may hold a connection by saying nothing. */
const LONGEST_REQUEST = 5000;

interface Open extends Listen {
  server: Server;
}

export class ApiServer {
  readonly #control: Control;
  readonly #journal: Journal;
  readonly #see: () => Promise<Seen>;
  readonly #followers = new Set<ServerResponse>();
  #socket: { path: string; server: Server } | undefined;
  /** Where all may ask. */
  #open: Open | undefined;

  /** `see` reads what was counted. */
  constructor(control: Control, journal: Journal, see: () => Promise<Seen>) {
    this.#control = control;
    this.#journal = journal;
    this.#see = see;
  }

  /** The lock of l4lbd is held, so whoever left a socket there has ended. */
  async listenOnSocket(path: string): Promise<void> {
    rmSync(path, { force: true });
    const server = this.#newServer(true);
    await listening(server, () => server.listen({ path, readableAll: false }), path);
    this.#socket = { path, server };
  }

  /** Listens there, and no longer where it did before; nowhere if there is no such place. */
  async listenOn(listen: Listen | undefined): Promise<void> {
    const { host, port } = listen ?? {};
    if (host === this.#open?.host && port === this.#open?.port) return;
    const before = this.#open;
    this.#open = undefined;
    if (before) await closed(before.server);
    try {
      if (listen) this.#open = await this.#opened(listen);
    } catch (error) {
      // The file is refused, so all stays as it was.
      if (before) this.#open = await this.#opened(before);
      throw error;
    }
  }

  async #opened({ host, port }: Listen): Promise<Open> {
    const server = this.#newServer(false);
    await listening(server, () => server.listen({ host, port }), `${host} port ${port}`);
    return { host, port, server };
  }

  close(): void {
    for (const one of this.#followers) one.destroy();
    if (this.#open) void closed(this.#open.server);
    if (!this.#socket) return;
    void closed(this.#socket.server);
    rmSync(this.#socket.path, { force: true });
  }

  #newServer(canChange: boolean): Server {
    const server = createServer(
      { requestTimeout: LONGEST_REQUEST },
      (request, response) => {
        void this.#answer(request, response, canChange);
      },
    );
    server.maxConnections = 256;
    return server;
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    canChange: boolean,
  ): Promise<void> {
    response.on('error', () => {}); // whoever asked has gone
    try {
      const asked = await read(request, canChange);
      if (asked.path[0] === 'events' && asked.path.length === 1) {
        this.#follow(request, response, asked);
      } else {
        send(response, await this.#reply(asked));
      }
    } catch (error) {
      send(response, faultOf(error));
    }
  }

  async #reply({ method, path, body, canChange }: Asked): Promise<Reply> {
    const [first = '', ...rest] = path;
    const route = ROUTES.get(`${first} ${rest.length}`);
    if (!route) throw unknownPath(path);
    if (route.method !== method && !(route.method === 'GET' && method === 'HEAD')) {
      throw new BadQuestion(405, `${first} is asked by ${route.method}, not ${method}`);
    }
    if (route.method === 'POST' && !canChange) {
      throw new BadQuestion(403, 'nothing can be changed here', 'use l4lb ctl, as root');
    }
    return route.answer({
      ...{ control: this.#control, rest, body },
      status: async () => this.#control.status(await this.#see()),
    });
  }

  /** Sends what happens, as server-sent events, from a number on if one is given. */
  #follow(request: IncomingMessage, response: ServerResponse, asked: Asked): void {
    if (asked.method !== 'GET') throw new BadQuestion(405, 'events are asked by GET');
    if (this.#followers.size >= MOST_FOLLOWERS)
      throw new BadQuestion(503, `${MOST_FOLLOWERS} follow the events already`);
    const from = request.headers['last-event-id'] ?? asked.query.get('since') ?? '0';
    const since = Number(from);
    if (!/^\d{1,15}$/.test(String(from)))
      throw new BadQuestion(400, 'since is no number of an event');
    response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream' });
    const say = (entry: Entry): void => {
      response.write(`id: ${entry.id}\ndata: ${toJson(entry)}\n\n`);
      if (response.writableLength > MOST_UNREAD) response.destroy();
    };
    this.#journal.since(since).forEach(say);
    if (asked.query.has('once')) {
      response.end();
      return;
    }
    const leave = this.#journal.follow(say);
    this.#followers.add(response);
    response.on('close', () => {
      leave();
      this.#followers.delete(response);
    });
  }
}

interface Question {
  control: Control;
  /** The path behind its first part. */
  rest: string[];
  body: unknown;
  status: () => Promise<Status>;
}

interface Route {
  method: 'GET' | 'POST';
  answer: (question: Question) => Promise<Reply> | Reply;
}

/** By the first part of the path, and how many follow. */
const ROUTES = new Map<string, Route>([
  ['status 0', { method: 'GET', answer: async ({ status }) => json(await status()) }],
  [
    'metrics 0',
    {
      method: 'GET',
      answer: async ({ status }) => {
        const text = metricsOf(await status());
        return { status: 200, type: METRICS_TYPE, text };
      },
    },
  ],
  ['healthz 0', { method: 'GET', answer: () => plain(200, 'ok') }],
  [
    'readyz 0',
    {
      method: 'GET',
      answer: ({ control }) =>
        control.isReady ? plain(200, 'ok') : plain(503, 'the tables are not filled yet'),
    },
  ],
  ['services 1', { method: 'GET', answer: serviceHealth }],
  [
    'reload 0',
    {
      method: 'POST',
      answer: async ({ control }) => {
        await control.reload();
        return json({ reloaded: true });
      },
    },
  ],
  ['services 4', { method: 'POST', answer: act }],
]);

async function serviceHealth({ rest, status }: Question): Promise<Reply> {
  const [name = ''] = rest;
  const one = (await status()).services.find((each) => each.name === name);
  if (!one) throw new NotThere(`there is no service ${name}`);
  const gets = serves(one);
  const health: ServiceHealthStatus = {
    ...{ service: name, serves: gets, healthy: one.healthy, weight: one.weight },
    ...{ panic: one.panic, on_backup: one.on_backup },
  };
  return json(health, gets ? 200 : 503);
}

/** POST /services/NAME/destinations/NAME/ACTION */
async function act({ control, rest, body }: Question): Promise<Reply> {
  const [service = '', middle, destination = '', word = ''] = rest;
  const action = ACTIONS.find((one) => one === word);
  if (middle !== 'destinations' || !action) {
    const meant = nearestOf(word, ACTIONS);
    throw new BadQuestion(
      404,
      `${word} is nothing to do with a destination`,
      `one of ${ACTIONS.join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
    );
  }
  return json(await control.act(service, destination, action, wishes(action, body)));
}

function wishes(
  action: Action,
  body: unknown,
): { weight: number | undefined; dryRun: boolean } {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new BadQuestion(400, 'the body is no JSON object');
  const given = new Map<string, unknown>(Object.entries(body));
  const known = ['dry_run', ...(action === 'weight' ? ['weight'] : [])];
  const unknown = [...given.keys()].find((key) => !known.includes(key));
  if (unknown !== undefined)
    throw new BadQuestion(
      400,
      `${action} has no ${unknown}`,
      `it has ${known.join(', ')}`,
    );
  const dryRun = given.get('dry_run') ?? false;
  if (typeof dryRun !== 'boolean')
    throw new BadQuestion(400, 'dry_run is neither true nor false');
  const weight = given.get('weight');
  if (action !== 'weight') return { weight: undefined, dryRun };
  const isWeight =
    typeof weight === 'number' &&
    Number.isInteger(weight) &&
    weight >= 0 &&
    weight <= MAX_WEIGHT;
  if (!isWeight)
    throw new BadQuestion(400, `weight is no number from 0 to ${MAX_WEIGHT}`);
  return { weight, dryRun };
}

async function read(request: IncomingMessage, canChange: boolean): Promise<Asked> {
  const { method = 'GET', url = '/' } = request;
  const [path = '', query = ''] = url.split('?', 2);
  let parts: string[];
  try {
    parts = path.split('/').slice(1).map(decodeURIComponent);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    throw new BadQuestion(400, 'the path is not encoded as one');
  }
  const body = await bodyOf(request);
  return { method, path: parts, query: new URLSearchParams(query), body, canChange };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request) {
    parts.push(part as Buffer);
    length += (part as Buffer).length;
    if (length > LONGEST_BODY) throw new BadQuestion(413, 'the body is too long');
  }
  const text = Buffer.concat(parts).toString('utf8');
  if (text === '') return {};
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new BadQuestion(400, 'the body is no JSON');
  }
}

function unknownPath(path: readonly string[]): BadQuestion {
  return new BadQuestion(
    404,
    `there is nothing at /${path.join('/')}`,
    'ask for /status, /metrics, /events, /services/NAME, /healthz or /readyz',
  );
}

function faultOf(error: unknown): Reply {
  if (!(error instanceof Failure)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return json(
      { error: 'this is a fault of l4lbd itself, please report it', cause: text },
      500,
    );
  }
  const { cause = null, next = null } = error.advice;
  return json({ error: error.message, cause, next }, statusOf(error));
}

function statusOf(error: Failure): number {
  if (error instanceof BadQuestion) return error.status;
  if (error instanceof NotThere) return 404;
  return error instanceof Conflict ? 409 : 503;
}

/** What it says is of this moment, and no page of another site may read it. */
const HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
};

function send(response: ServerResponse, { status, type, text }: Reply): void {
  if (response.headersSent) return;
  response.writeHead(status, { ...HEADERS, 'content-type': type });
  response.end(text);
}

function json(value: unknown, status = 200): Reply {
  return { status, type: JSON_TYPE, text: `${toJson(value)}\n` };
}

function plain(status: number, text: string): Reply {
  return { status, type: TEXT_TYPE, text: `${text}\n` };
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
    server.closeAllConnections();
  });
}

function listening(server: Server, listen: () => void, where: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        new Failure(`cannot listen on ${where}`, {
          cause:
            error.code === 'EADDRINUSE'
              ? 'another program listens there'
              : error.code === 'EADDRNOTAVAIL'
                ? 'this host has no such address'
                : error.message,
          next: `ss -ltnp shows who listens where`,
        }),
      );
    });
    server.once('listening', resolve);
    listen();
  });
}
