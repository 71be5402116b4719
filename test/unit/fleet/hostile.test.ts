// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What a node and a leader do with a store that somebody else has written to. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { describeOverview } from '../../../src/cli/fleet/overview.js';
import type { Event } from '../../../src/api/events.js';
import { Journal } from '../../../src/daemon/journal.js';
import { Keys } from '../../../src/fleet/agreement/keys.js';
import {
  formatHands,
  formatCommon,
  formatHead,
  formatNode,
  parseCommon,
  parseHead,
} from '../../../src/fleet/agreement/records.js';
import { splitConfig } from '../../../src/fleet/agreement/wanted.js';
import { Documents } from '../../../src/fleet/documents.js';
import { Follow } from '../../../src/fleet/follow.js';
import { Leader } from '../../../src/fleet/leader.js';
import { Membership } from '../../../src/fleet/membership.js';
import { applyConfig } from '../../../src/fleet/operate/apply.js';
import { drainNode } from '../../../src/fleet/operate/change.js';
import { overviewOf } from '../../../src/fleet/operate/overview.js';
import type { Head } from '../../../src/fleet/agreement/records.js';
import { MemoryStore } from './memory-store.js';

const keys = new Keys('main');
const folder = mkdtempSync(join(tmpdir(), 'l4lb-hostile-'));
const saved = join(folder, 'saved', 'main.json');

interface Running {
  store: MemoryStore;
  told: Event[];
  documents: Documents;
  leader: Leader;
  membership: Membership;
  following: Follow;
}

let running: Running;

const service = (name: string, port: number, more = ''): string => `[[service]]
name = "${name}"
address = "198.51.100.10"
ports = ${port}
protocol = "tcp"
slots = 256
${more}destinations = ["10.0.1.1", "10.0.1.2"]
`;

const apply = (text: string): ReturnType<typeof applyConfig> =>
  applyConfig(
    running.store,
    keys,
    splitConfig({ name: 'x', text }, () => {
      throw new Error('no file');
    }),
    false,
  );

async function until(isSo: () => boolean | Promise<boolean>, seconds = 3): Promise<void> {
  for (const end = performance.now() + seconds * 1000; !(await isSo());) {
    if (performance.now() > end) throw new Error(JSON.stringify(running.told, null, 1));
    await sleep(20);
  }
}

async function headNow(): Promise<Head> {
  const entry = await running.store.value(keys.head);
  if (!entry) throw new Error('there is no head');
  return parseHead(entry.value, entry.revision);
}

const isHead = async (): Promise<boolean> =>
  (await running.store.value(keys.head)) !== undefined;

/** As somebody who has a lease. */
const putLiving = async (values: Record<string, string>): Promise<void> => {
  const lease = await running.store.lease(4);
  await running.store.put(values, lease);
};

/** As the leader would write it. */
function withSum(text: object): string {
  const digest = createHash('sha256').update(JSON.stringify(text)).digest('hex');
  return JSON.stringify({ ...text, sum: digest.slice(0, 16) });
}

const what = (): string => running.told.map((one) => JSON.stringify(one)).join('\n');

beforeEach(() => {
  const store = new MemoryStore();
  const journal = new Journal('eth0');
  const told: Event[] = [];
  journal.follow((entry) => told.push(entry));
  const documents = new Documents(store, keys, saved, journal);
  const membership = new Membership(store, {
    changed: () => {
      leader.see(following.entries.get(keys.leader));
    },
    trouble: () => {},
  });
  const leader: Leader = new Leader({
    ...{ store, keys, name: 'lb1', membership, journal, known: documents },
  });
  const following: Follow = new Follow(store, keys.leader, {
    changed: () => {
      leader.see(following.entries.get(keys.leader));
    },
  });
  membership.say(
    keys.node('lb1'),
    formatNode({
      ...{ version: '1', isDrained: false, fault: '', addresses: [] },
      tables: new Map(),
    }),
  );
  running = { store, told, documents, leader, membership, following };
});

afterEach(async () => {
  const { leader, following, membership } = running;
  following.stop();
  await leader.stop();
  await membership.stop();
  rmSync(join(folder, 'saved'), { recursive: true, force: true });
});

function lead(): void {
  void running.membership.run();
  void running.following.run();
}

async function leading(text: string): Promise<void> {
  await apply(text);
  lead();
  await until(isHead);
  await running.documents.follow(await headNow());
}

describe('a leader', () => {
  test.each(['%', '%ff', 'a/web', '%77eb', '%0A', '%1B%5B2J', 'a b'])(
    'goes on beside a key that is none of ours: %s',
    async (text) => {
      const places = [keys.table(), keys.wanted(), keys.hand(), keys.node(), keys.seen()];
      await running.store.put(
        Object.fromEntries(places.map((place) => [`${place}${text}`, '{"format":1}'])),
      );
      await leading(service('web', 80));
      await apply(service('web', 80) + service('dns', 53));
      await until(async () => (await headNow()).tables.size === 2);
      const before = running.store.writes;
      await sleep(200);
      expect(running.store.writes).toBe(before);
      expect(what()).not.toContain('cannot decide');
    },
  );

  test.each([
    ['without services', (head: Head): Head => ({ ...head, tables: new Map() })],
    [
      'with a service that is not there',
      (head: Head): Head => ({ ...head, tables: new Map([...head.tables, ['dns', 7]]) }),
    ],
    [
      'with revisions to come',
      (head: Head): Head => ({ ...head, tables: new Map([['web', 1_000_000]]) }),
    ],
    ['with another common', (head: Head): Head => ({ ...head, common: 1_000_000 })],
  ])('puts a head right %s', async (_, changed) => {
    await leading(service('web', 80));
    const before = await headNow();
    const drained = new Set(['lb2']);
    await running.store.put({ [keys.head]: formatHead({ ...changed(before), drained }) });
    const wanted = JSON.stringify([before.common, ...before.tables]);
    await until(async () => {
      const { common, tables } = await headNow();
      return JSON.stringify([common, ...tables]) === wanted;
    });
    expect((await headNow()).drained).toEqual(drained);
  });

  test.each(['', '{', '{"format":2}', '{"format":1,"toml":7,"seed":1}'])(
    'puts right what is common to all: %s',
    async (text) => {
      await leading(service('web', 80));
      const before = await running.store.value(keys.common);
      await running.store.put({ [keys.common]: text });
      await until(
        async () => (await running.store.value(keys.common))?.value === before?.value,
      );
      const revision = (await running.store.value(keys.common))?.revision;
      await until(async () => (await headNow()).common === revision);
    },
  );

  test('a document that drains all, and has a right sum, is put right', async () => {
    await leading(service('web', 80));
    const before = await running.store.value(keys.table('web'));
    const set = ['10.0.1.1', '10.0.1.2'].map((name) => [name, 0]);
    const { sum, ...text } = JSON.parse(before?.value ?? '') as Record<string, unknown>;
    const forged = { ...text, newest: set };
    expect(sum).toHaveLength(16);
    await running.store.put({ [keys.table('web')]: withSum(forged) });
    await until(async () => {
      const entry = await running.store.value(keys.table('web'));
      return entry?.value.includes('"newest":[]') === true;
    });
  });

  test('documents that one write does not hold follow in the next ones', async () => {
    const path = `/${'x'.repeat(400_000)}`;
    const check = `check = { kind = "http", path = "${path}" }\n`;
    const services = [1, 2, 3, 4].map((port) => service(`s${port}`, port, check));
    const refused = apply(services.join(''));
    await expect(refused).rejects.toThrow(/^1,60\d,\d{3} bytes at once are too many/);
    await expect(refused).rejects.toMatchObject({
      advice: {
        next: 'apply fewer services first, then all: those that are the same cost nothing',
      },
    });
    await apply(services.slice(0, 2).join(''));
    await apply(services.join(''));
    lead();
    await until(async () => (await isHead()) && (await headNow()).tables.size === 4, 20);
    expect(new Set((await headNow()).tables.values()).size).toBeGreaterThan(1);
    expect(what()).not.toContain('cannot decide');
  });

  test('what is wanted and decided can both be broken', async () => {
    await leading(service('web', 80));
    const before = await running.store.value(keys.table('web'));
    await running.store.put({ [keys.wanted('web')]: '{', [keys.table('web')]: '{' });
    await until(
      async () => (await running.store.value(keys.table('web')))?.value === before?.value,
    );
  });

  test('writes nothing into a fleet that is reset', async () => {
    await leading(service('web', 80));
    const all = await running.store.read(keys.root);
    await running.store.put(
      Object.fromEntries(
        all.entries
          .filter(({ key }) => key !== keys.leader && !key.startsWith(keys.node()))
          .map(({ key }) => [key, undefined]),
      ),
    );
    await sleep(300);
    expect(await isHead()).toBe(false);
    expect(await running.store.value(keys.common)).toBeUndefined();
    expect(what()).not.toContain('cannot decide');
  });

  test('a lead of nobody ends when this node would have it', async () => {
    // The store wrote it, and this node was not told.
    await apply(service('web', 80));
    await running.store.put({ [keys.leader]: 'lb1' });
    lead();
    await until(isHead);
    expect(what()).toContain('lb1 leads, and is not there');
  });

  test('tells when nodes disagree', async () => {
    await leading(service('web', 80));
    const node = (sum: string): string =>
      formatNode({
        ...{ version: '1', isDrained: false, fault: '', addresses: [] },
        tables: new Map([['web', { revision: 7, sum, isSettled: false }]]),
      });
    await putLiving({ [keys.node('lb2')]: node('a'), [keys.node('lb3')]: node('a') });
    await sleep(100);
    expect(running.leader.disagreements).toEqual([]);
    await putLiving({ [keys.node('lb3')]: node('\u001bb') });
    const words = 'NODES DISAGREE about web at revision 7: lb2: a; lb3: \\u001bb';
    await until(() => running.leader.disagreements.length > 0);
    expect(running.leader.disagreements).toEqual([words]);
    expect(running.told).toContainEqual(expect.objectContaining({ what: words }));
  });

  test('only nodes that are alive vote', async () => {
    const check = `check = { kind = "tcp" }\n`;
    const vote = JSON.stringify({
      ...{ format: 1, services: [['web', [['10.0.1.1', 'down']]]] },
    });
    await running.store.put({
      [keys.seen('ghost')]: vote,
      [keys.seen('other')]: vote,
    });
    await leading(service('web', 80, check));
    await sleep(700);
    expect(what()).not.toContain('"health"');
  });
});

describe('what hangs on no lease', () => {
  const forged = Array.from({ length: 9 }, (_, index) => keys.node(`ghost${index}`));
  const node = formatNode({
    ...{ version: '1', isDrained: false, fault: '', addresses: ['10.0.1.9'], seed: 77 },
    tables: new Map(),
  });

  test('is no node that is alive: health goes on without it', async () => {
    await running.store.put(Object.fromEntries(forged.map((key) => [key, node])));
    await leading(service('web', 80, `check = { kind = "tcp" }\n`));
    const vote = { format: 1, services: [['web', [['10.0.1.1', 'down']]]] };
    running.membership.say(keys.seen('lb1'), JSON.stringify(vote));
    await until(() => what().includes('"health"'));
  });

  test('is told, gives no seed, and cannot be drained', async () => {
    await running.store.put({ [keys.node('lb2')]: node });
    await apply(service('web', 80));
    const common = await running.store.value(keys.common);
    expect(parseCommon(common?.value ?? '').seed).not.toBe(77);
    const { nodes, faults } = await overviewOf(running.store, keys, 'main');
    expect(nodes).toEqual([]);
    expect(faults.join('\n')).toContain('node/lb2 hangs on no lease');
    await expect(drainNode(running.store, keys, 'lb2', true)).rejects.toThrow(
      'no node lb2 is alive',
    );
  });

  test('does not keep a name, nor a lead', async () => {
    await running.store.put({ [keys.node('lb1')]: '{', [keys.leader]: 'lb1' });
    await apply(service('web', 80));
    lead();
    await until(isHead);
    expect((await running.store.value(keys.node('lb1')))?.isLeased).toBe(true);
  });
});

describe('a node', () => {
  test('keeps a service that a head misses, as long as its document is there', async () => {
    await leading(service('web', 80) + service('dns', 53));
    const { documents } = running;
    await until(async () => (await headNow()).tables.size === 2);
    const head = await headNow();
    await documents.follow(head);
    expect(documents.tables.size).toBe(2);
    const less = { ...head, tables: new Map([...head.tables].slice(0, 1)) };
    await documents.follow(less);
    expect(documents.tables.size).toBe(2);
    expect(what()).toContain('the store has its document');
    await documents.follow({ ...head, tables: new Map() });
    expect(documents.tables.size).toBe(2);
    await running.store.put({ [keys.table('dns')]: undefined });
    await documents.follow({ ...head, tables: new Map([...head.tables].slice(0, 1)) });
    expect([...documents.tables.keys()]).toEqual(['web']);
  });

  test('has no service any more when none is wanted', async () => {
    await leading(service('web', 80));
    await apply('service = []');
    await until(async () => (await headNow()).tables.size === 0);
    await running.documents.follow(await headNow());
    expect(running.documents.tables.size).toBe(0);
  });

  test('reads anew what a store made anew has at the same revision', async () => {
    await leading(service('web', 80));
    const { documents } = running;
    const head = await headNow();
    const seed = documents.seed ?? 0;
    const other = new MemoryStore();
    const { entries } = await running.store.read(keys.root);
    // The same revisions, and another seed.
    const lies = entries.map((entry) =>
      entry.key === keys.common
        ? { ...entry, value: formatCommon({ toml: '', seed: seed + 1 }) }
        : entry,
    );
    running.store.read = (place) =>
      Promise.resolve({
        revision: 1,
        entries: lies.filter(({ key }) => key === place),
      });
    await documents.follow(head);
    expect(documents.seed).toBe(seed);
    documents.doubt();
    await documents.follow(head);
    expect(documents.seed).toBe(seed + 1);
    expect(documents.isUpTo(head)).toBe(true);
    delete (running.store as { read?: unknown }).read;
    other.close();
  });

  test('refuses destinations that its document does not have', async () => {
    // A service among what is common, so that its document has no text.
    const toml = service('web', 80);
    await leading(service('web', 80));
    const { documents, store } = running;
    await running.leader.stop();
    const text = {
      ...{ format: 1, wanted: '', newest: [], older: [], hands: [] },
      ...{ panic: false, on_backup: false, down: false },
    };
    const document = withSum(text);
    await store.put({
      [keys.common]: formatCommon({ toml, seed: 1 }),
      [keys.table('web')]: document,
    });
    const revision = (await store.value(keys.common))?.revision ?? 0;
    const head = { common: revision, tables: new Map([['web', revision]]) };
    await documents.follow({ ...head, drained: new Set() });
    expect(documents.isUpTo({ ...head, drained: new Set() })).toBe(true);
    const other = toml.replace('10.0.1.2', '10.0.1.7');
    await store.put({ [keys.common]: formatCommon({ toml: other, seed: 1 }) });
    const next = (await store.value(keys.common))?.revision ?? 0;
    await documents.follow({ ...head, common: next, drained: new Set() });
    const rows = documents.config?.services[0]?.rows.map(({ address }) => address);
    expect(rows).toEqual(['10.0.1.1', '10.0.1.2']);
  });

  test('a place where nothing can be saved is told once, and tried again', async () => {
    writeFileSync(join(folder, 'saved'), 'no folder');
    await leading(service('web', 80));
    const { documents } = running;
    documents.save();
    documents.save();
    expect(what().match(/cannot save to/g)).toHaveLength(1);
    rmSync(join(folder, 'saved'));
    documents.save();
    expect(readFileSync(saved, 'utf8')).toContain('198.51.100.10');
  });

  test('what was saved and cannot be read is told, and no more', () => {
    writeFileSync(join(folder, 'saved'), 'no folder');
    running.documents.load();
    expect(what()).toContain('cannot read');
  });
});

describe('who looks at the store', () => {
  test('sees no text of others raw, and who leads though it is not there', async () => {
    await leading(service('web', 80));
    await running.leader.stop();
    const bad = '\u001b[2J\nmain in store: 9 nodes';
    await running.store.put({
      [keys.leader]: bad,
      [keys.head]: formatHead({ ...(await headNow()), drained: new Set([bad]) }),
      [`${keys.wanted()}${encodeURIComponent(bad)}`]: service('x', 1),
      [`${keys.node()}${encodeURIComponent(bad)}`]: '{}',
    });
    await putLiving({
      [keys.node('lb2')]: formatNode({
        ...{ version: bad, isDrained: false, fault: bad, addresses: [bad] },
        tables: new Map([['web', { revision: 1, sum: bad, isSettled: false }]]),
      }),
    });
    const overview = await overviewOf(running.store, keys, 'main');
    const lines = describeOverview(overview);
    for (const line of lines) expect(line).not.toMatch(/[\p{Cc}]/u);
    expect(overview.faults.join('\n')).toContain('leads, but is not alive');
  });

  test('a fleet made anew has the seed that its nodes have', async () => {
    const node = { version: '1', isDrained: false, fault: '', addresses: [], seed: 77 };
    await putLiving({
      [keys.node('lb2')]: formatNode({ ...node, tables: new Map() }),
    });
    await apply(service('web', 80));
    const common = await running.store.value(keys.common);
    expect(parseCommon(common?.value ?? '').seed).toBe(77);
  });

  test('a fleet that could have no head is not made', async () => {
    const many = Array.from({ length: 300 }, (_, index) =>
      service(`s${index}`, index + 1),
    );
    await expect(apply(many.slice(0, 125).join(''))).rejects.toThrow(
      'a fleet holds no more services',
    );
    expect(await running.store.value(keys.common)).toBeUndefined();
  });

  test('what no node could take is refused before it is written', async () => {
    await apply(service('web', 80));
    const before = await running.store.value(keys.wanted('web'));
    const larger = service('web', 80).replace('slots = 256', 'slots = 512');
    await expect(apply(larger)).rejects.toThrow('x:6: web has 256 slots');
    const seeded = `seed = "another passphrase"\n${service('web', 80)}`;
    await expect(apply(seeded)).rejects.toThrow('the seed of the fleet cannot change');
    expect(await running.store.value(keys.wanted('web'))).toEqual(before);
    await apply('service = []');
    await apply(larger);
  });

  test('what is wanted can be applied beside a broken head', async () => {
    await leading(service('web', 80));
    await running.leader.stop();
    await running.store.put({ [keys.head]: '{' });
    await apply(`echo = false\n${service('web', 81)}`);
    expect((await running.store.value(keys.head))?.value).toBe('{');
    await expect(drainNode(running.store, keys, 'lb1', true)).rejects.toThrow('not JSON');
  });
});

test('what comes while the leader writes is seen at once', async () => {
  await leading(service('web', 80) + service('dns', 81));
  const { store } = running;
  const write = store.write.bind(store);
  const hands = formatHands(
    new Map([['10.0.1.2', { byHand: 'drained', weightByHand: undefined }]]),
  );
  store.write = async (compare, puts) => {
    const revision = await write(compare, puts);
    const isGone = puts.some((put) => put.key === keys.table('dns'));
    if (isGone) await store.put({ [keys.hand('web')]: hands });
    // Until it has heard of that.
    if (isGone) await sleep(20);
    return revision;
  };
  await apply(service('web', 80));
  await until(
    async () =>
      (await store.value(keys.table('web')))?.value.includes('drained') ?? false,
    2,
  );
});
