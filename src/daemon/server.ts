// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Answers by HTTP: on a socket that only root can reach, and on an address of the file, where
 * nothing can be changed without a token.
 */
import type {
  IncomingHttpHeaders,
  IncomingMessage,
  Server,
  ServerResponse,
} from 'node:http';
import { createServer } from 'node:http';
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { METRICS_TYPE, metricsOf, serves } from '../api/metrics.js';
import type { History } from '../api/history.js';
import type { ServiceHealthStatus, Status } from '../api/status.js';
import type { Listen } from '../config/daemon.js';
import { MAX_WEIGHT } from '../config/destinations-csv.js';
import { toJson } from '../system/output.js';
import { Failure } from '../text/failure.js';
import { nearestOf } from '../config/problems.js';
import type { Action } from './by-hand.js';
import { ACTIONS, Conflict, NotThere } from './by-hand.js';
import type { Control } from './control.js';
import type { By, Entry } from '../api/events.js';
import { isForeignHost, isForeignSite, isToken } from './guard.js';
import type { Journal } from './journal.js';
import { PAGE_HEADERS, pageFile } from './page.js';
import type { Seen } from './sampler.js';

/** What is asked. */
interface Asked {
  method: string;
  /** The parts of the path, decoded. */
  path: string[];
  query: URLSearchParams;
  body: unknown;
  headers: IncomingHttpHeaders;
}

/** What those who ask at the address of the file may do. */
export interface Access {
  /** Names of this host, beside its addresses, that a browser may know it by. */
  names: readonly string[];
  /** Whoever has it may act; undefined: nobody may. */
  token: string | undefined;
}

/** A question that is none. */
class BadQuestion extends Failure {
  readonly status: number;

  constructor(status: number, what: string, next?: string) {
    super(what, { next });
    this.status = status;
  }
}

/** Somebody else's plan is being made, or was just made. */
class TooSoon extends BadQuestion {
  /** In whole seconds, as the header has them. */
  readonly after: number;

  constructor(wait: number) {
    super(
      429,
      'another plan is being made, or was just made',
      'ask again a little later',
    );
    this.after = Math.max(1, Math.ceil(Math.min(wait, LONGEST_REQUEST) / 1000));
  }
}

interface Reply {
  status: number;
  type: string;
  text: string;
  headers?: Record<string, string>;
}

const JSON_TYPE = 'application/json; charset=utf-8';
const TEXT_TYPE = 'text/plain; charset=utf-8';
/** Bytes. */
const LONGEST_BODY = 65_536;
const MOST_FOLLOWERS = 32;
/** A follower that has this much unread is too slow. */
const MOST_UNREAD = 1 << 20;
/** Milliseconds that a wrong token waits for its answer. */
const SLOW_DOWN = 500;
/** A plan costs a part of a second of CPU, and who may only look has this part of it. */
const PART_OF_PLANS = 1 / 4;
/** Milliseconds for a request to come in: nobody may hold a connection by saying nothing. */
const LONGEST_REQUEST = 5000;

interface Open extends Listen {
  server: Server;
}

/** Of the control process. */
export type Asks = Pick<Control, 'status' | 'isReady' | 'reload' | 'act'>;

export class ApiServer {
  readonly #control: Asks;
  readonly #journal: Journal;
  readonly #see: () => Promise<Seen>;
  readonly #history: () => History;
  readonly #followers = new Set<ServerResponse>();
  #socket: { path: string; server: Server } | undefined;
  /** Where all may ask. */
  #open: Open | undefined;
  #access: Access = { names: [], token: undefined };
  /** When those who may only look may have the next plan; Infinity: one is being made. */
  #nextPlan = 0;

  /** `see` reads what was counted, `history` has what was seen in the last minutes. */
  constructor(
    control: Asks,
    journal: Journal,
    see: () => Promise<Seen>,
    history: () => History,
  ) {
    this.#history = history;
    this.#control = control;
    this.#journal = journal;
    this.#see = see;
  }

  /** The lock of l4lbd is held, so whoever left a socket there has ended. */
  async listenOnSocket(path: string): Promise<void> {
    rmSync(path, { force: true });
    const server = this.#newServer(false);
    await listening(server, () => server.listen({ path, readableAll: false }), path);
    this.#socket = { path, server };
  }

  setAccess(access: Access): void {
    this.#access = access;
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
    const server = this.#newServer(true);
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

  #newServer(isOpen: boolean): Server {
    const server = createServer(
      { requestTimeout: LONGEST_REQUEST },
      (request, response) => {
        void this.#answer(request, response, isOpen);
      },
    );
    server.maxConnections = 256;
    return server;
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    isOpen: boolean,
  ): Promise<void> {
    response.on('error', () => {}); // whoever asked has gone
    try {
      const asked = await read(request);
      const [first = ''] = asked.path;
      if (isOpen && !FOR_ALL_NAMES.has(first)) this.#checkHost(asked);
      if (first === 'events' && asked.path.length === 1) {
        this.#follow(request, response, asked);
      } else {
        send(response, await this.#reply(asked, isOpen));
      }
    } catch (error) {
      send(response, faultOf(error));
    }
  }

  #checkHost({ headers: { host } }: Asked): void {
    if (!isForeignHost(host, this.#access.names)) return;
    throw new BadQuestion(
      403,
      `${host ?? 'nothing'} is no name of this host that l4lbd knows`,
      'ask by its address, or add the name to names of [daemon]',
    );
  }

  async #reply(asked: Asked, isOpen: boolean): Promise<Reply> {
    const { method, path, body } = asked;
    const [first = '', ...rest] = path;
    const file =
      rest.length === 0 ? pageFile(first, this.#access.token !== undefined) : undefined;
    if (file && isOpen) {
      checkMethod(first, 'GET', method);
      return { status: 200, ...file, headers: PAGE_HEADERS };
    }
    const route = ROUTES.get(`${first} ${rest.length}`);
    if (!route) throw unknownPath(path);
    checkMethod(first, route.method, method);
    const answer = (): Promise<Reply> | Reply =>
      route.answer({
        ...{ control: this.#control, rest, body, history: this.#history },
        by: isOpen ? 'page' : 'socket',
        status: async () => this.#control.status(await this.#see()),
      });
    if (route.method === 'GET' || !isOpen) return answer();
    return (await this.#mayAct(asked)) ? answer() : this.#planned(asked, answer);
  }

  /** Whether the right token is there. One that is wrong is refused. */
  async #mayAct({ headers }: Asked): Promise<boolean> {
    if (isForeignSite(headers)) throw new BadQuestion(403, "another site's page asks");
    const { authorization } = headers;
    const { token } = this.#access;
    if (authorization === undefined) return false;
    if (token !== undefined && isToken(authorization, token)) return true;
    await sleep(SLOW_DOWN);
    throw new BadQuestion(401, 'this is not the token', 'token_file of [daemon] has it');
  }

  /** Answers what only would be done, one after the other and not again and again. */
  async #planned(
    { path, body }: Asked,
    answer: () => Promise<Reply> | Reply,
  ): Promise<Reply> {
    const isDry =
      path[0] === 'services' && (body as { dry_run?: unknown } | null)?.dry_run === true;
    if (!isDry) {
      throw this.#access.token === undefined
        ? new BadQuestion(
            403,
            'nothing can be changed here, only planned, with "dry_run": true',
            'use l4lb ctl, as root',
          )
        : new BadQuestion(401, 'whoever changes something needs the token');
    }
    const begun = performance.now();
    if (begun < this.#nextPlan) throw new TooSoon(this.#nextPlan - begun);
    this.#nextPlan = Infinity;
    try {
      return await answer();
    } finally {
      const now = performance.now();
      this.#nextPlan = begun + (now - begun) / PART_OF_PLANS;
    }
  }

  /** Sends what happens, as server-sent events, from a number on if one is given. */
  #follow(request: IncomingMessage, response: ServerResponse, asked: Asked): void {
    if (asked.method !== 'GET') throw new BadQuestion(405, 'events are asked by GET');
    if (this.#followers.size >= MOST_FOLLOWERS && !asked.query.has('once'))
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
  control: Asks;
  /** The path behind its first part. */
  rest: string[];
  body: unknown;
  by: By;
  status: () => Promise<Status>;
  history: () => History;
}

interface Route {
  method: 'GET' | 'POST';
  answer: (question: Question) => Promise<Reply> | Reply;
}

/** Programs ask for these by any name, and a page of another site has nothing from them. */
const FOR_ALL_NAMES: ReadonlySet<string> = new Set([
  ...['metrics', 'healthz', 'readyz', 'services'],
]);

function checkMethod(first: string, wanted: string, method: string): void {
  if (wanted === method || (wanted === 'GET' && method === 'HEAD')) return;
  throw new BadQuestion(405, `${first} is asked by ${wanted}, not ${method}`);
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
  ['history 0', { method: 'GET', answer: ({ history }) => json(history()) }],
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
async function act({ control, rest, body, by }: Question): Promise<Reply> {
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
  const asked = { ...wishes(action, body), by };
  return json(await control.act(service, destination, action, asked));
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

async function read(request: IncomingMessage): Promise<Asked> {
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
  const { headers } = request;
  return { method, path: parts, query: new URLSearchParams(query), body, headers };
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
    'ask for /status, /metrics, /events, /history, /services/NAME, /healthz or /readyz',
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
  const headers =
    error instanceof TooSoon ? { 'retry-after': String(error.after) } : undefined;
  const reply = json({ error: error.message, cause, next }, statusOf(error));
  return headers ? { ...reply, headers } : reply;
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

function send(response: ServerResponse, { status, type, text, headers }: Reply): void {
  if (response.headersSent) return;
  response.writeHead(status, { ...HEADERS, ...headers, 'content-type': type });
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
