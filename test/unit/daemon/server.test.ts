// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What l4lbd answers at the address of its file: to whom, and what it refuses. */
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import type { By } from '../../../src/api/events.js';
import type { ByHandResult } from '../../../src/api/status.js';
import { isForeignHost, isForeignSite, readToken } from '../../../src/daemon/guard.js';
import { Journal } from '../../../src/daemon/journal.js';
import { ApiServer } from '../../../src/daemon/server.js';
import { Failure } from '../../../src/text/failure.js';
import { NOTHING_SEEN, freePort } from '../../page/pretended.js';
import { status } from '../api/status.js';

const TOKEN = '0123456789abcdef';
const DRAIN = '/services/web/destinations/10.0.0.1/drain';
const folder = mkdtempSync(join(tmpdir(), 'l4lb-server-'));
const socket = join(folder, 'l4lb.sock');
let port = 0;
/** What was asked of the control process. */
let acts: { destination: string; dryRun: boolean; by: By }[] = [];
/** Lets a plan that is being made end. */
let plan: Promise<void> = Promise.resolve();

const control = {
  isReady: true,
  status: () => status(),
  reload: () => Promise.resolve(),
  async act(
    service: string,
    destination: string,
    _action: string,
    { dryRun, by }: { dryRun: boolean; by: By },
  ): Promise<ByHandResult> {
    acts.push({ destination, dryRun, by });
    await plan;
    return {
      ...{ service, destination, by_hand: 'drained', weight: 1, weight_by_hand: null },
      ...{ dry_run: dryRun, slots_moved: 512, slots_ideal: 512, weights: [] },
    };
  },
};
const server = new ApiServer(
  control,
  new Journal('eth0'),
  () => Promise.resolve(NOTHING_SEEN),
  () => ({ times: [], services: [], dropped: [] }),
);

interface Answer {
  status: number | undefined;
  headers: IncomingMessage['headers'];
  text: string;
}

interface Asking {
  method?: string;
  headers?: Record<string, string>;
  body?: unknown;
  /** Of the socket of root. */
  socketPath?: string;
}

async function ask(path: string, asking: Asking = {}): Promise<Answer> {
  const { body, socketPath, ...rest } = asking;
  const where = socketPath === undefined ? { host: '127.0.0.1', port } : { socketPath };
  const asked = request({ ...where, path, ...rest, agent: false });
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  let text = '';
  for await (const part of answer) text += String(part);
  return { status: answer.statusCode, headers: answer.headers, text };
}

const act = (dry_run: boolean, headers: Record<string, string> = {}): Promise<Answer> =>
  ask(DRAIN, { method: 'POST', headers, body: { dry_run } });

beforeAll(async () => {
  port = await freePort();
  await server.listenOn({ host: '127.0.0.1', port });
  await server.listenOnSocket(socket);
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  acts = [];
  plan = Promise.resolve();
  server.setAccess({ names: [], token: undefined });
});

describe('the page', () => {
  test('comes from l4lbd alone, and runs nothing from elsewhere', async () => {
    const { status, headers, text } = await ask('/');
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    const policy = String(headers['content-security-policy']);
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    const linked = [...text.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, link]) => link);
    expect(linked.sort()).toEqual(['page.css', 'page.js']);
    for (const link of linked) {
      const file = await ask(`/${link}`);
      expect(file.status).toBe(200);
      expect(file.headers['x-content-type-options']).toBe('nosniff');
    }
  });

  test.each(['/page.jsx', '/index.html', '/page.js/x', '/%2e%2e%2fpackage.json', '/..'])(
    'has no file %s',
    async (path) => {
      expect((await ask(path)).status).toBe(404);
    },
  );

  test('is not on the socket, and offers actions only if there is a token', async () => {
    expect((await ask('/', { socketPath: socket })).status).toBe(404);
    expect((await ask('/')).text).not.toContain('data-actions');
    server.setAccess({ names: [], token: TOKEN });
    expect((await ask('/')).text).toContain('<html data-actions ');
  });
});

describe('a name of the host', () => {
  test.each([
    ['127.0.0.1:9109', false],
    ['[::1]:9109', false],
    ['[::1]', false],
    ['10.0.0.1', false],
    ['localhost:9109', false],
    ['LocalHost.', false],
    ['lb1.example.com:9109', false],
    ['evil.example:9109', true],
    ['127.0.0.1.evil.example', true],
    ['localhost.evil.example', true],
    ['', true],
    [undefined, true],
  ])('%s: foreign is %s', (host, expected) => {
    expect(isForeignHost(host, ['lb1.Example.com'])).toBe(expected);
  });

  test('that is foreign gets what programs ask for, and nothing else', async () => {
    const headers = { host: 'evil.example' };
    const statuses = await Promise.all(
      [
        '/',
        '/page.js',
        '/status',
        '/history',
        '/events?once',
        '/healthz',
        '/readyz',
        '/services/web',
      ].map(async (path) => [path, (await ask(path, { headers })).status]),
    );
    expect(statuses).toEqual([
      ...['/', '/page.js', '/status', '/history', '/events?once'].map((path) => [
        path,
        403,
      ]),
      ...['/healthz', '/readyz', '/services/web'].map((path) => [path, 200]),
    ]);
    server.setAccess({ names: ['evil.example'], token: undefined });
    expect((await ask('/status', { headers })).status).toBe(200);
  });
});

describe("another site's page", () => {
  const host = 'localhost:9109';
  test.each([
    [{ host }, false],
    [{ host, 'sec-fetch-site': 'same-origin', origin: `http://${host}` }, false],
    [{ host, origin: `https://${host}` }, false],
    [{ host, 'sec-fetch-site': 'cross-site' }, true],
    [{ host, 'sec-fetch-site': 'same-site', origin: `http://${host}` }, true],
    [{ host, origin: 'http://localhost:8080' }, true],
    [{ host, origin: 'null' }, true],
    [{ origin: 'http://localhost' }, true],
  ])('%j: foreign is %s', (headers, expected) => {
    expect(isForeignSite(headers)).toBe(expected);
  });

  test('neither acts nor plans', async () => {
    server.setAccess({ names: [], token: TOKEN });
    const headers = { authorization: `Bearer ${TOKEN}`, origin: 'http://evil.example' };
    expect((await act(false, headers)).status).toBe(403);
    expect((await act(true, { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect(acts).toEqual([]);
  });
});

describe('an action', () => {
  const right = { authorization: `Bearer ${TOKEN}` };

  test('needs the token, and a file that names one', async () => {
    expect((await act(false)).status).toBe(403);
    expect((await act(false, right)).status).toBe(401);
    server.setAccess({ names: [], token: TOKEN });
    expect((await act(false)).status).toBe(401);
    const wrong = [TOKEN, `Bearer ${TOKEN}0`, 'Bearer ', 'Basic eA=='];
    const refused = wrong.map((authorization) => act(false, { authorization }));
    for (const { status } of await Promise.all(refused)) expect(status).toBe(401);
    expect(acts).toEqual([]);
    expect((await act(false, right)).status).toBe(200);
    const asked = { method: 'POST', body: {}, socketPath: socket };
    expect((await ask(DRAIN, asked)).status).toBe(200);
    expect(acts).toEqual([
      { destination: '10.0.0.1', dryRun: false, by: 'page' },
      { destination: '10.0.0.1', dryRun: false, by: 'socket' },
    ]);
  });

  test('is not all that the token is for', async () => {
    server.setAccess({ names: [], token: TOKEN });
    expect((await ask('/reload', { method: 'POST' })).status).toBe(401);
    expect((await ask('/reload', { method: 'POST', headers: right })).status).toBe(200);
    expect((await ask('/reload', { method: 'POST', socketPath: socket })).status).toBe(
      200,
    );
  });

  test('may be planned by all, one at a time and not again and again', async () => {
    let end = (): void => {};
    plan = new Promise((resolve) => (end = resolve));
    const first = act(true);
    while (acts.length === 0) await new Promise(setImmediate);
    const second = await act(true);
    expect(second).toMatchObject({ status: 429, headers: { 'retry-after': '5' } });
    // Root does not wait for those who only look.
    server.setAccess({ names: [], token: TOKEN });
    end();
    expect((await act(true, right)).status).toBe(200);
    expect(JSON.parse((await first).text)).toMatchObject({ dry_run: true });
    expect(acts.map(({ dryRun }) => dryRun)).toEqual([true, true]);
  });
});

describe('the token file', () => {
  const path = join(folder, 'token');
  test.each([
    [0o600, `${TOKEN}\n`, TOKEN],
    [0o640, TOKEN, TOKEN],
    [0o644, TOKEN, 'is not secret'],
    [0o660, TOKEN, 'is not secret'],
    [0o600, 'too short', 'is not one of 16 or more'],
    [0o600, 'has a space in its middle', 'is not one of 16 or more'],
  ])('of mode %o with %j: %s', (mode, text, expected) => {
    rmSync(path, { force: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
    let found: string;
    try {
      found = readToken(path);
    } catch (error) {
      found = (error as Failure).message;
      expect(error).toBeInstanceOf(Failure);
    }
    expect(found).toContain(expected);
  });

  test('that is not there says how to make one', () => {
    expect(() => readToken('/nowhere')).toThrow('cannot read the token file /nowhere');
  });
});
