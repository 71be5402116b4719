// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What every store promises, asked of a folder and of a real etcd. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  jest,
  test,
} from '@jest/globals';
import { buildSync } from 'esbuild';

import { openStore } from '../../src/fleet/store/open.js';
import type { Batch, Event, Lease, Store } from '../../src/fleet/store/store.js';
import { LeaseGone, MaybeWritten, TooOld } from '../../src/fleet/store/store.js';
import { run } from '../../src/system/run.js';
import { Failure } from '../../src/text/failure.js';
import { describeWith } from '../installed.js';
import { Etcd } from './etcd.js';

/** Milliseconds. */
const patience = { answer: 800, whole: 2000, silence: 200 };
const folder = mkdtempSync(join(tmpdir(), 'l4lb-store-'));
const stores: Store[] = [];
jest.setTimeout(20_000);
let etcd: Etcd;

afterEach(() => {
  for (const store of stores.splice(0)) store.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

function opened(text: string): Store {
  const store = openStore(text, { run, patience });
  stores.push(store);
  return store;
}

/** A watch whose batches are waited for one by one. */
class Watching {
  readonly #batches: AsyncGenerator<Batch, void>;
  readonly #end = new AbortController();

  constructor(store: Store, place: string, after: number) {
    this.#batches = store.watch(place, after, this.#end.signal);
  }

  async next(): Promise<Batch> {
    const { value } = await this.#batches.next();
    if (!value) throw new Error('the watch has ended');
    return value;
  }

  /** The next so many events; batches without any are left out. */
  async events(count: number): Promise<string[]> {
    const all: Event[] = [];
    while (all.length < count) all.push(...(await this.next()).events);
    return all.map((event) =>
      event.kind === 'put' ? `${event.entry.key}=${event.entry.value}` : `-${event.key}`,
    );
  }

  async end(): Promise<void> {
    this.#end.abort();
    while (!(await this.#batches.next()).done);
  }
}

async function valuesOf(store: Store, place: string): Promise<[string, string][]> {
  const { entries } = await store.read(place);
  return entries.map(({ key, value }) => [key, value]);
}

async function put(
  store: Store,
  key: string,
  value: string,
  lease?: Lease,
): Promise<number> {
  const revision = await store.write([], [{ key, value, lease }]);
  if (revision === undefined) throw new Error('it compared nothing');
  return revision;
}

function promises(textOf: () => string): void {
  /** Each test has keys of its own. */
  let at = '';
  let store: Store;
  let number = 0;
  const begin = (): void => {
    store = opened(textOf());
    at = `/l4lb/test${number++}`;
  };

  test('values are any text, and places have borders', async () => {
    begin();
    const any = 'one\ntwo\0 {"a":"é"} \u{1f600}\u2028';
    const keys = ['a', 'a/b', 'a/bc', 'a/b/c', 'ab', 'a0'].map((key) => `${at}/${key}`);
    const made = await store.write(
      [],
      keys.map((key) => ({ key, value: key })),
    );
    await put(store, `${at}/a/b`, any);
    expect(await valuesOf(store, `${at}/a/b`)).toEqual([[`${at}/a/b`, any]]);
    expect(await valuesOf(store, `${at}/a/b/`)).toEqual([[`${at}/a/b/c`, `${at}/a/b/c`]]);
    const below = (await valuesOf(store, `${at}/a/`)).map(([key]) => key);
    expect(below).toEqual([`${at}/a/b`, `${at}/a/b/c`, `${at}/a/bc`]);
    const [entry] = (await store.read(`${at}/a`)).entries;
    expect(entry).toEqual({
      key: `${at}/a`,
      value: `${at}/a`,
      revision: made,
      created: made,
      isLeased: false,
    });
    const lease = await store.lease(60);
    await put(store, `${at}/leased`, '', lease);
    const leased = (await store.read(`${at}/leased`)).entries;
    expect(leased).toMatchObject([{ isLeased: true }]);
    const empty = await put(store, `${at}/empty`, '');
    expect((await store.read(`${at}/empty`)).entries).toEqual([
      { key: `${at}/empty`, value: '', revision: empty, created: empty, isLeased: false },
    ]);
    expect((await store.read(`${at}/none`)).entries).toEqual([]);
    expect((await store.read('/')).entries.length).toBeGreaterThanOrEqual(keys.length);
    const large = '\u{1f600}'.repeat(1 << 18);
    await put(store, `${at}/large`, large);
    expect((await valuesOf(store, `${at}/large`))[0]?.[1] === large).toBe(true);
  });

  test('a write compares revisions and creations, and is made whole or not at all', async () => {
    begin();
    const [key, other] = [`${at}/key`, `${at}/other`];
    const first = await store.write([{ key, revision: 0 }], [{ key, value: '1' }]);
    if (first === undefined) throw new Error('there was such a key');
    expect(
      await store.write([{ key, revision: 0 }], [{ key, value: '2' }]),
    ).toBeUndefined();
    expect(
      await store.write([{ key, created: 0 }], [{ key, value: '2' }]),
    ).toBeUndefined();
    const second = await store.write([{ key, revision: first }], [{ key, value: '2' }]);
    expect(second).toBeGreaterThan(first);
    const both = [
      { key, value: '3' },
      { key: other, value: '3' },
    ];
    const stale = [
      { key, created: first },
      { key, revision: first },
    ];
    expect(await store.write(stale, both)).toBeUndefined();
    expect(await valuesOf(store, `${at}/`)).toEqual([[key, '2']]);
    expect(await store.write([{ key, created: first }], both)).toBeGreaterThan(
      second ?? 0,
    );
    expect(await store.write([{ key: other, revision: 0 }], [])).toBeUndefined();
    // Removed and made again, it is another key to those who compare its creation.
    const removed = await store.write([], [{ key, remove: true }]);
    expect(await store.write([], [{ key: `${at}/none`, remove: true }])).toBe(removed);
    const again = await put(store, key, '4');
    const leads = await store.write(
      [{ key, created: first }],
      [{ key: other, value: '4' }],
    );
    expect(leads).toBeUndefined();
    expect((await store.read(key)).entries).toEqual([
      { key, value: '4', revision: again, created: again, isLeased: false },
    ]);
  });

  test('a watch goes on after a revision, and one revision is one batch', async () => {
    begin();
    const { revision } = await store.read(`${at}/`);
    const watching = new Watching(store, `${at}/in/`, revision);
    expect(await watching.next()).toEqual({ revision, events: [] });
    const other = opened(textOf());
    await put(other, `${at}/inside`, '0');
    const first = await put(other, `${at}/in/a`, '1');
    expect(await watching.events(1)).toEqual([`${at}/in/a=1`]);
    const last = await other.write(
      [],
      [
        { key: `${at}/in/b`, value: '2' },
        { key: `${at}/in/a`, remove: true },
      ],
    );
    const batch = await watching.next();
    expect(batch).toMatchObject({ revision: last, events: [{}, {}] });
    // Nothing changes, and the store is heard.
    expect(await watching.next()).toEqual({ revision: last, events: [] });
    await watching.end();

    const later = new Watching(store, `${at}/in/`, first);
    expect(await later.events(2)).toEqual([`${at}/in/b=2`, `-${at}/in/a`]);
    await later.end();
    const single = new Watching(store, `${at}/in/a`, revision);
    expect(await single.events(2)).toEqual([`${at}/in/a=1`, `-${at}/in/a`]);
    await single.end();
    const future = new Watching(store, `${at}/in/`, (last ?? 0) + 1000);
    await expect(future.next()).rejects.toThrow(TooOld);
  });

  test('entries go with their lease', async () => {
    begin();
    const [kept, left, dropped] = [
      await store.lease(2),
      await store.lease(2),
      await store.lease(60),
    ];
    const end = new AbortController();
    const keeping = (async () => {
      while (!end.signal.aborted && (await store.keep(kept))) await sleep(200);
      return end.signal.aborted;
    })();
    const begun = performance.now();
    const { revision } = await store.read('/');
    const watching = new Watching(store, `${at}/`, revision);
    await put(store, `${at}/stays`, '', left);
    await put(store, `${at}/stays`, '');
    await put(store, `${at}/kept`, '', kept);
    await put(store, `${at}/left`, '', left);
    await put(store, `${at}/dropped`, '', dropped);
    await watching.events(5);
    await store.drop(dropped);
    expect(await watching.events(1)).toEqual([`-${at}/dropped`]);
    expect(await watching.events(1)).toEqual([`-${at}/left`]);
    expect(performance.now() - begun).toBeGreaterThan(1500);
    end.abort();
    expect(await keeping).toBe(true);
    await watching.end();
    expect((await valuesOf(store, `${at}/`)).map(([key]) => key)).toEqual([
      `${at}/kept`,
      `${at}/stays`,
    ]);
    expect(await store.keep(left)).toBe(false);
    await store.drop(left);
    await expect(put(store, `${at}/late`, '', left)).rejects.toThrow(LeaseGone);
    expect(await valuesOf(store, `${at}/late`)).toEqual([]);
    await store.drop(kept);
  });

  test.each([
    ['a key that is no path', [{ key: 'web', value: '' }], '"web" is no key'],
    [
      'a key with a control character',
      [{ key: '/a\u001b', value: '' }],
      '"/a\\u001b" is no',
    ],
    ['a key twice', ['/a', '/a'].map((key) => ({ key, value: '' })), 'it names /a twice'],
    ['a large value', [{ key: '/a', value: 'x'.repeat(1 << 21) }], '2,097,152 bytes'],
    ['half a character', [{ key: '/a', value: '\ud83d' }], 'is no text'],
  ])('%s is refused before it is asked', async (_, puts, why) => {
    begin();
    await expect(store.write([], puts)).rejects.toThrow(why);
  });
}

describe('a folder', () => {
  promises(() => `file:${folder}/promises`);

  /** A process that puts a key with a lease, or counts on one key, and says so. */
  let script: string;
  const children: ChildProcess[] = [];
  beforeAll(() => {
    const banner =
      "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";
    buildSync({
      stdin: { contents: CHILD, resolveDir: process.cwd(), loader: 'ts' },
      ...{ bundle: true, platform: 'node', format: 'esm', banner: { js: banner } },
      outfile: (script = join(folder, 'child.mjs')),
    });
  });
  afterAll(() => children.forEach((child) => child.kill('SIGKILL')));

  function child(...args: string[]): ChildProcess {
    const started = spawn(process.execPath, [script, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(started);
    return started;
  }

  test('is whole whoever is killed, and nobody waits for a dead process', async () => {
    const text = `file:${folder}/killed`;
    const store = opened(text);
    const { revision } = await store.read('/');
    const watching = new Watching(store, '/leader', revision);
    const leader = child(text, 'lead');
    expect(await watching.events(1)).toEqual(['/leader=me']);
    const counting = ['6', '6'].map((times) => once(child(text, 'count', times), 'exit'));
    const endless = child(text, 'count', '1000');
    while (Number((await valuesOf(store, '/count'))[0]?.[1] ?? 0) < 6) await sleep(10);
    endless.kill('SIGKILL');
    const killed = performance.now();
    leader.kill('SIGKILL');
    // Its lease would have lasted a minute.
    expect(await watching.events(1)).toEqual(['-/leader']);
    expect(performance.now() - killed).toBeLessThan(2000);
    expect(await Promise.all(counting)).toEqual([
      [0, null],
      [0, null],
    ]);
    await watching.end();
    const counts = (await valuesOf(store, '/')).map(([, value]) => Number(value));
    // Each number was written once, so all that were counted are there.
    const [total, ...each] = counts as [number, ...number[]];
    expect(each.reduce((sum, one) => sum + one, 0)).toBe(total);
    expect(each.filter((one) => one === 6).length).toBeGreaterThanOrEqual(2);
  });

  test('a folder of other files is no store, and keeps them', async () => {
    const path = join(folder, 'chart');
    mkdirSync(join(path, 'values'), { recursive: true, mode: 0o700 });
    writeFileSync(join(path, 'values', 'prod.yaml'), 'secret');
    const refused = async (name: string): Promise<void> => {
      const store = opened(`file:${path}`);
      await expect(store.read('/a')).rejects.toThrow(`not empty: it holds ${name}`);
      await expect(store.write([], [{ key: '/a', value: 'a' }])).rejects.toThrow(name);
    };
    await refused('prod.yaml');
    writeFileSync(join(path, 'Chart.yaml'), '');
    await refused('Chart.yaml');
    expect(readdirSync(path).sort()).toEqual(['Chart.yaml', 'values']);
    expect(readdirSync(join(path, 'values'))).toEqual(['prod.yaml']);
  });

  test('what others put beside the values of a store stays', async () => {
    const path = join(folder, 'beside');
    await opened(`file:${path}`).write([], [{ key: '/a', value: 'a' }]);
    writeFileSync(join(path, 'values', 'notes.txt'), 'mine');
    writeFileSync(join(path, 'values', '77-0'), 'of a killed writer');
    await opened(`file:${path}`).write([], [{ key: '/a', value: 'b' }]);
    const values = readdirSync(join(path, 'values'));
    expect(values).toContain('notes.txt');
    expect(values).not.toContain('77-0');
  });

  test('is told when its files are not whole, or are not there any more', async () => {
    const path = `${folder}/broken`;
    const store = opened(`file:${path}`);
    const revision = await put(store, '/a', 'x');
    writeFileSync(`${path}/values/${revision}-0`, '');
    expect((await store.read('/a')).entries).toMatchObject([
      { value: '', fault: 'a part of it is lost' },
    ]);
    rmSync(`${path}/values/${revision}-0`);
    expect((await store.read('/a')).entries).toMatchObject([
      { value: '', fault: 'a part of it is lost' },
    ]);
    const watching = new Watching(store, '/', revision);
    await watching.next();
    rmSync(path, { recursive: true });
    await expect(watching.events(1)).rejects.toThrow(TooOld);
    await put(store, '/a', 'y');
    writeFileSync(
      `${path}/index.json`,
      '{"version":1,"id":"a","revision":2,"forgotten":1,',
    );
    await expect(store.read('/a')).rejects.toThrow(/index.json is no file of a store/);
  });
});

const CHILD = `
import { openStore } from './src/fleet/store/open.ts';
import { run } from './src/system/run.ts';
const [text, what, times] = process.argv.slice(2);
const store = openStore(text, { run });
if (what === 'lead') {
  const lease = await store.lease(60);
  await store.write([{ key: '/leader', revision: 0 }], [{ key: '/leader', value: 'me', lease }]);
  setInterval(() => {}, 1000);
} else {
  for (let done = 0; done < Number(times); ) {
    const { entries: [count] } = await store.read('/count');
    const value = String(Number(count?.value ?? 0) + 1);
    const own = { key: '/count-' + process.pid, value: String(done + 1) };
    const compare = [{ key: '/count', revision: count?.revision ?? 0 }];
    if ((await store.write(compare, [{ key: '/count', value }, own])) !== undefined) done++;
  }
}
`;

describeWith(['etcd', 'etcdctl'], 'etcd')('etcd', () => {
  beforeAll(async () => {
    etcd = await Etcd.up();
  });
  afterAll(() => etcd.down());

  promises(() => `etcd:${etcd.url}`);

  test('that is killed ends a watch, and is read anew when it is back', async () => {
    const store = opened(`etcd:${etcd.url}`);
    const revision = await put(store, '/back', '1');
    const watching = new Watching(store, '/back', revision);
    await watching.next();
    await etcd.kill();
    await expect(watching.events(1)).rejects.toThrow(Failure);
    await expect(store.read('/back')).rejects.toThrow('no answer from etcd');
    await expect(put(store, '/back', '2')).rejects.toThrow(Failure);
    await etcd.start();
    expect(await valuesOf(store, '/back')).toEqual([['/back', '1']]);
    const again = new Watching(store, '/back', revision);
    await put(store, '/back', '2');
    expect(await again.events(1)).toEqual(['/back=2']);
    await again.end();
  });

  test('that becomes silent ends a watch, and nobody knows about a write', async () => {
    const store = opened(`etcd:${etcd.url}`);
    const revision = await put(store, '/silent', '1');
    const watching = new Watching(store, '/silent', revision);
    await watching.next();
    const begun = performance.now();
    etcd.silence(true);
    const write = put(store, '/silent', '2');
    await expect(watching.events(1)).rejects.toThrow('no answer for 0.8 s');
    await expect(write).rejects.toThrow(MaybeWritten);
    expect(performance.now() - begun).toBeLessThan(2000);
    etcd.silence(false);
    expect((await valuesOf(store, '/silent')).length).toBe(1);
  });

  test('knows nothing of revisions that it has compacted', async () => {
    const store = opened(`etcd:${etcd.url}`);
    const first = await put(store, '/compacted', '1');
    await put(store, '/compacted', '2');
    const last = await put(store, '/compacted', '3');
    await etcd.ctl('compaction', String(last));
    const watching = new Watching(store, '/compacted', first);
    await expect(watching.events(1)).rejects.toThrow(TooOld);
    const later = new Watching(store, '/compacted', last - 1);
    expect(await later.events(1)).toEqual(['/compacted=3']);
    await later.end();
  });

  test('asks for a user, and forgets its token in a restart', async () => {
    const password = join(folder, 'password');
    writeFileSync(password, 'secret\n', { mode: 0o600 });
    await etcd.ctl('user', 'add', 'root:secret');
    await etcd.ctl('user', 'grant-role', 'root', 'root');
    await etcd.ctl('auth', 'enable');
    const nobody = opened(`etcd:${etcd.url}`);
    await expect(nobody.read('/')).rejects.toThrow('user name is empty');
    const access = { user: 'root', passwordFile: password };
    const store = openStore(`etcd:${etcd.url}`, { run, ...access });
    stores.push(store);
    await put(store, '/user', '1');
    await etcd.kill();
    await etcd.start();
    expect(await valuesOf(store, '/user')).toEqual([['/user', '1']]);
    writeFileSync(password, 'wrong\n');
    const wrong = openStore(`etcd:${etcd.url}`, { run, ...access });
    stores.push(wrong);
    await expect(wrong.read('/')).rejects.toThrow('invalid user ID or password');
  });
});
