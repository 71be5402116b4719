// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What etcd's gateway leaves out, writes otherwise than one expects, and does when it is ill. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';

import { openStore } from '../../../../src/fleet/store/open.js';
import type { Batch, Store } from '../../../../src/fleet/store/store.js';
import { LeaseGone, MaybeWritten, TooOld } from '../../../../src/fleet/store/store.js';
import { Failure } from '../../../../src/text/failure.js';
import { fakeRun } from '../../system/fake-run.js';
import { CA, CLIENT, CLIENT_KEY, SERVER, SERVER_KEY } from './certificates.js';
import type { Answering } from './gateway.js';
import { FakeGateway, base64, json, line } from './gateway.js';

const never = fakeRun({}).run;
/** Milliseconds. */
const patience = { answer: 500, whole: 1200, silence: 60 };
const header = {
  cluster_id: '14841639068965178418',
  revision: '9007199254740',
  raft_term: '2',
};
const REVISION = 9007199254740;
const folder = mkdtempSync(join(tmpdir(), 'l4lb-etcd-'));
const opened: (Store | FakeGateway)[] = [];

afterEach(() => {
  for (const one of opened.splice(0)) {
    if (one instanceof FakeGateway) one.down();
    else one.close();
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

async function asking(
  answer: Answering,
  access: { user?: string; passwordFile?: string; tokenFile?: string } = {},
): Promise<{ store: Store; gateway: FakeGateway }> {
  const gateway = await FakeGateway.up(answer);
  const store = openStore(`etcd:${gateway.url}`, { run: never, patience, ...access });
  opened.push(gateway, store);
  return { store, gateway };
}

async function failure(promise: Promise<unknown>): Promise<Failure> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Failure) return error;
  throw error instanceof Error ? error : new Error('it did not fail');
}

const PUT_A = { key: '/a', value: 'x' };
const PUT = [PUT_A];

describe('what is read', () => {
  test('false, 0 and nothing are left out, and numbers are text', async () => {
    const { store } = await asking((response, path) => {
      if (path === 'kv/txn') json(response, { header });
      else if (path === 'lease/keepalive')
        json(response, { result: { header, ID: '7' } });
      else json(response, { header });
    });
    expect(await store.read('/none/')).toEqual({ revision: REVISION, entries: [] });
    expect(await store.write([], PUT)).toBeUndefined();
    expect(await store.keep({ id: '7', seconds: 5 })).toBe(false);
  });

  test('leases are numbers that only text holds, and etcd decides how long they last', async () => {
    const bodies: unknown[] = [];
    const { store } = await asking((response, path, body) => {
      bodies.push(body);
      if (path === 'lease/grant')
        json(response, { header, ID: '7587899268720578826', TTL: '2' });
      else if (path === 'kv/txn') json(response, { header, succeeded: true });
      else json(response, { result: { ID: '7587899268720578826', TTL: '2' } });
    });
    const lease = await store.lease(1);
    expect(lease).toEqual({ id: '7587899268720578826', seconds: 2 });
    expect(await store.keep(lease)).toBe(true);
    expect(await store.write([{ key: '/a', revision: 0 }], [{ ...PUT_A, lease }])).toBe(
      REVISION,
    );
    expect(bodies[2]).toEqual({
      compare: [{ key: base64('/a'), target: 'MOD', mod_revision: '0' }],
      success: [
        { request_put: { key: base64('/a'), value: base64('x'), lease: lease.id } },
      ],
    });
  });

  test('keys that are not ours are left out, and values that are no text have a fault', async () => {
    const kv = (key: string, value: Buffer | string): object => ({
      ...{
        key: base64(key),
        value: base64(value),
        mod_revision: '5',
        create_revision: '4',
      },
      __proto__: { polluted: true },
    });
    const { store } = await asking((response) =>
      json(response, {
        header,
        kvs: [
          ...[
            kv('/a/\u001b[2J', 'x'),
            kv('/a/\u202e', 'x'),
            kv('/b', 'x'),
            kv('/a/', 'x'),
          ],
          ...[kv(`/a/${'x'.repeat(600)}`, 'x'), kv('/a/constructor', '{}')],
          ...[kv('/a/bytes', Buffer.of(0xff)), kv('/a/large', 'x'.repeat((1 << 20) + 1))],
        ],
      }),
    );
    const { entries } = await store.read('/a/');
    const revisions = { revision: 5, created: 4, isLeased: false };
    expect(entries).toEqual([
      { key: '/a/constructor', value: '{}', ...revisions },
      { key: '/a/bytes', value: '', ...revisions, fault: 'it is no text in UTF-8' },
      {
        ...{ key: '/a/large', value: '', ...revisions },
        fault: '1,048,577 bytes, and 1,048,576 is the most',
      },
    ]);
  });
});

describe('an answer that is none', () => {
  const MEGABYTE = Buffer.alloc(1 << 20, 0x20);
  test.each<[string, Answering, string]>([
    ['nothing', () => {}, 'no answer for 0.5 s'],
    ['an end', (response) => response.destroy(), 'it ended the connection'],
    [
      'a redirect',
      (response) => response.writeHead(307, { location: 'http://192.0.2.1/' }).end(),
      'it sends us elsewhere (HTTP 307)',
    ],
    [
      'another server',
      (response) => response.writeHead(404).end('Not Found\n'),
      'not etcd',
    ],
    [
      'a page',
      (response) => response.end('<html>\u001b[2J'),
      'what etcd does not: <html>\\u001b[2J',
    ],
    ['half of it', (response) => response.end('{"header":{"revi'), 'what etcd does not'],
    [
      'less than it says',
      (response) => {
        response.writeHead(200, { 'content-length': '100' }).write('{"header"');
        setTimeout(() => response.destroy(), 20);
      },
      'it ended the connection',
    ],
    ['a list', (response) => response.end('[1]'), 'what etcd does not: [1]'],
    [
      'a beginning',
      (response) => response.writeHead(200).write('{'),
      'its answer stopped for 0.5 s',
    ],
    [
      'drops',
      (response) => {
        const drop = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(drop));
      },
      'its answer went on for 1.2 s',
    ],
    [
      'more and more',
      (response) => {
        const more = (): void => {
          while (!response.destroyed && response.write(MEGABYTE));
        };
        response.on('drain', more);
        more();
      },
      'its answer',
    ],
    [
      'no leader',
      (response) => json(response, { error: 'etcdserver: no leader', code: 14 }, 503),
      'etcdserver: no leader',
    ],
  ])('%s', async (_, answer, why) => {
    const { store, gateway } = await asking(answer);
    const { message, advice } = await failure(store.read('/a'));
    expect(message).toBe('no answer from etcd');
    expect(advice.cause).toContain(`${gateway.url}: `);
    expect(advice.cause).toContain(why);
    expect(advice.next).toBe(`etcdctl --endpoints=${gateway.url} endpoint health`);
  });

  test.each<[string, unknown]>([
    ['no revision', { kvs: [] }],
    ['a revision that is none', { header: { revision: '1e400' } }],
    ['a revision beyond numbers', { header: { revision: '9223372036854775807' } }],
    ['entries that are no list', { header, kvs: { a: 1 } }],
    ['an entry that is none', { header, kvs: [7] }],
    ['a key that is no text', { header, kvs: [{ key: 7 }] }],
  ])('%s', async (_, answer) => {
    const { store } = await asking((response) => json(response, answer));
    expect((await failure(store.read('/'))).message).toMatch(
      /^etcd does not answer as it should/,
    );
  });

  test.each<[string, object, number, RegExp]>([
    [
      'space',
      { error: 'etcdserver: mvcc: database space exceeded', code: 8 },
      429,
      /disk quota/,
    ],
    [
      'permission',
      { error: 'etcdserver: permission denied', code: 7 },
      403,
      /may not do that/,
    ],
    [
      'user',
      { error: 'etcdserver: user name is empty', code: 3 },
      400,
      /asks who you are/,
    ],
  ])(
    'etcd refuses for %s, and no other endpoint is asked',
    async (_, error, status, cause) => {
      const { store, gateway } = await asking((response) =>
        json(response, error, status),
      );
      const refused = await failure(store.read('/a'));
      expect(refused.message).toMatch(/^etcd refused: etcdserver: /);
      expect(refused.advice.cause).toMatch(cause);
      expect(gateway.asked).toHaveLength(1);
    },
  );
});

describe('a write', () => {
  test.each<[string, Answering]>([
    ['is not answered', () => {}],
    ['is cut off', (response) => response.destroy()],
    ['is answered by half', (response) => response.end('{"header":{"revi')],
    [
      'took too long in etcd',
      (response) =>
        json(response, { error: 'etcdserver: request timed out', code: 14 }, 503),
    ],
    ['meets a proxy', (response) => response.writeHead(502).end('<html>')],
    ['has no revision', (response) => json(response, { succeeded: true })],
  ])('that %s may have been made, and is not made twice', async (_, answer) => {
    const { store, gateway } = await asking(answer);
    await expect(store.write([], PUT)).rejects.toThrow(MaybeWritten);
    expect(gateway.asked).toEqual(['kv/txn']);
  });

  test('goes to the next endpoint only if nobody can have made it', async () => {
    const dead = await FakeGateway.up();
    const noLeader = await FakeGateway.up((response) =>
      json(response, { error: 'etcdserver: no leader', code: 14 }, 503),
    );
    const well = await FakeGateway.up((response) =>
      json(response, { header, succeeded: true }),
    );
    const urls = [dead, noLeader, well].map(({ url }) => url).join(',');
    dead.down();
    const store = openStore(`etcd:${urls}`, { run: never, patience });
    opened.push(noLeader, well, store);
    expect(await store.write([], PUT)).toBe(REVISION);
    expect(await store.write([], PUT)).toBe(REVISION);
    expect(well.asked).toEqual(['kv/txn', 'kv/txn']);
  });

  test('with a lease that is gone is refused', async () => {
    const error = { error: 'etcdserver: requested lease not found', code: 5 };
    const { store } = await asking((response) => json(response, error, 404));
    const lease = { id: '7', seconds: 2 };
    await expect(store.write([], [{ ...PUT_A, lease }])).rejects.toThrow(LeaseGone);
    await store.drop(lease);
  });
});

describe('a watch', () => {
  async function watching(
    answer: Answering,
    after = 10,
  ): Promise<{
    batches: AsyncGenerator<Batch, void>;
    gateway: FakeGateway;
    end: () => void;
  }> {
    const { store, gateway } = await asking(answer);
    const end = new AbortController();
    return {
      batches: store.watch('/a/', after, end.signal),
      gateway,
      end: () => end.abort(),
    };
  }
  const created = { result: { header: { revision: '10' }, created: true } };
  const event = (revision: number, type?: 'DELETE'): object => ({
    ...(type && { type }),
    kv: {
      ...{ key: base64('/a/b'), mod_revision: String(revision), create_revision: '3' },
      lease: '7587876543210987654',
    },
  });

  test('brings what lies between line ends, however it is cut, and is heard in between', async () => {
    const { batches, gateway, end } = await watching((response, path) => {
      if (path !== 'watch') {
        json(response, { header: { revision: '40' }, kvs: [{ mod_revision: '12' }] });
        return;
      }
      // The revision in the header is the store's, and not that of what was sent.
      const result = {
        header: { revision: '30' },
        events: [event(11), event(12, 'DELETE')],
      };
      const text = `${JSON.stringify(created)}\n\n${JSON.stringify({ result })}\n`;
      response.write(text.slice(0, 50));
      setTimeout(() => response.write(text.slice(50)), 20);
    });
    expect((await batches.next()).value).toEqual({ revision: 10, events: [] });
    expect((await batches.next()).value).toEqual({
      revision: 12,
      events: [
        {
          kind: 'put',
          entry: { key: '/a/b', value: '', revision: 11, created: 3, isLeased: true },
        },
        { kind: 'delete', key: '/a/b', revision: 12 },
      ],
    });
    expect((await batches.next()).value).toEqual({ revision: 12, events: [] });
    expect(gateway.asked).toEqual(['watch', 'kv/range']);
    end();
    expect((await batches.next()).done).toBe(true);
  });

  test.each<[string, Answering, typeof Failure, RegExp]>([
    [
      'does not begin',
      (response) => response.writeHead(200).write(' '),
      Failure,
      /does not bring/,
    ],
    [
      'ends',
      (response) => response.end(`${JSON.stringify(created)}\n`),
      Failure,
      /etcd ended/,
    ],
    ['ends within a line', (response) => response.end('{"result'), Failure, /no JSON/],
    ['is no JSON', (response) => response.end('<html>\n'), Failure, /no JSON/],
    [
      'is refused',
      (response) =>
        line(response, { error: { grpc_code: 7, message: 'permission denied' } }),
      Failure,
      /etcd refused: permission denied/,
    ],
    [
      'has lost its leader',
      (response) => {
        line(response, created);
        response.end(JSON.stringify({ error: { grpc_code: 14, message: 'no leader' } }));
      },
      Failure,
      /etcd ended a watch: no leader/,
    ],
    [
      'is cancelled',
      (response) =>
        line(response, {
          result: { header, created: true, canceled: true, cancel_reason: '\u001b' },
        }),
      Failure,
      /etcd ended a watch: \\u001b/,
    ],
    [
      'begins too early',
      (response) =>
        line(response, { result: { canceled: true, compact_revision: '20' } }),
      TooOld,
      /before revision 20/,
    ],
    [
      'is of a store made anew',
      (response, path) => {
        if (path === 'watch')
          line(response, { result: { header: { revision: '2' }, created: true } });
        else json(response, { header: { revision: '2' } });
      },
      TooOld,
      /is at revision 2 and was at 10/,
    ],
    [
      'misses a change',
      (response, path) => {
        if (path === 'watch') line(response, created);
        else
          json(response, { header: { revision: '12' }, kvs: [{ mod_revision: '12' }] });
      },
      Failure,
      /does not bring what it should/,
    ],
    [
      'is silent, and so is etcd',
      (response, path) => {
        if (path === 'watch') line(response, created);
      },
      Failure,
      /no answer for 0.5 s/,
    ],
  ])('that %s throws', async (_, answer, kind, why) => {
    const { batches } = await watching(answer);
    const all = (async () => {
      for await (const { events } of batches) expect(events).toEqual([]);
    })();
    const error = await failure(all);
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toMatch(why);
  });
});

describe('who we are', () => {
  const TOO_OLD = { error: 'etcdserver: invalid auth token', code: 16 };

  test('etcd is asked for one token, and for another when it has forgotten it', async () => {
    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, 'secret\n', { mode: 0o600 });
    let known = 0;
    const answer: Answering = (response, path, body, token) => {
      if (path === 'auth/authenticate') {
        expect(body).toEqual({ name: 'me', password: 'secret' });
        setTimeout(() => json(response, { header, token: `token.${++known}` }), 10);
      } else if (token === `token.${known}`) json(response, { header });
      else json(response, TOO_OLD, 401);
    };
    const { store, gateway } = await asking(answer, { user: 'me', passwordFile });
    await Promise.all([store.read('/a'), store.read('/b')]);
    known = 7;
    await Promise.all([store.read('/a'), store.read('/b')]);
    expect(gateway.asked.filter((path) => path === 'auth/authenticate')).toHaveLength(2);
  });

  test('a token is read again when it is refused', async () => {
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, 'first', { mode: 0o600 });
    let wanted = 'first';
    const { store } = await asking(
      (response, _path, _body, token) =>
        token === wanted ? json(response, { header }) : json(response, TOO_OLD, 401),
      { tokenFile },
    );
    await store.read('/a');
    wanted = 'second';
    await expect(store.read('/a')).rejects.toThrow('invalid auth token');
    writeFileSync(tokenFile, 'second');
    await store.read('/a');
  });
});

describe('TLS', () => {
  const path = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const ca = path('ca.pem', CA);
  const ours = {
    certificate: path('client.pem', CLIENT),
    key: path('client.key', CLIENT_KEY),
  };

  test.each<[string, Partial<typeof ours> & { ca?: string }, string | undefined]>([
    ['a CA and a certificate', { ca, ...ours }, undefined],
    ['a certificate alone', ours, 'somebody signed its certificate whom we do not know'],
    ['a CA alone', { ca }, 'it asks for a certificate, or refuses ours'],
  ])('with %s', async (_, access, why) => {
    const gateway = await FakeGateway.up((response) => json(response, { header }), {
      ...{ cert: SERVER, key: SERVER_KEY, ca: CA },
      ...{ requestCert: true, rejectUnauthorized: true },
    });
    const store = openStore(`etcd:${gateway.url}`, { run: never, patience, ...access });
    opened.push(gateway, store);
    if (why === undefined) expect((await store.read('/a')).revision).toBe(REVISION);
    else expect((await failure(store.read('/a'))).advice.cause).toContain(why);
  });

  test('that etcd does not speak is told', async () => {
    const gateway = await FakeGateway.up((response) => json(response, { header }));
    const text = `etcd:${gateway.url.replace('http:', 'https:')}`;
    const store = openStore(text, { run: never, patience });
    opened.push(gateway, store);
    expect((await failure(store.read('/a'))).advice.cause).toContain(
      'it does not speak TLS',
    );
  });

  test('a certificate that is renewed is read again', async () => {
    const later = path('later.pem', SERVER);
    const gateway = await FakeGateway.up((response) => json(response, { header }), {
      ...{ cert: SERVER, key: SERVER_KEY },
    });
    const store = openStore(`etcd:${gateway.url}`, { run: never, patience, ca: later });
    opened.push(gateway, store);
    await failure(store.read('/a'));
    path('later.pem', CA);
    await failure(store.read('/a'));
    expect((await store.read('/a')).revision).toBe(REVISION);
  });
});
