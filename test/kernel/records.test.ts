// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Records that are nearly full, and a limit that was reached: who says it. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { encodeKey, putU16, putU32 } from '../../src/abi/bytes.js';
import { LIMIT_RECORDS, MOST_RECORDS } from '../../src/abi/limits.js';
import { Bpftool } from '../../src/system/bpftool.js';
import type { MapInfo } from '../../src/system/bpftool-text.js';
import { kernelSeconds } from '../../src/system/clock.js';
import { run } from '../../src/system/run.js';
import { must } from '../../src/text/must.js';
import { Network } from './network.js';
import { update } from '../../src/system/entries.js';

const bpftool = new Bpftool(run);
let network: Network;

beforeAll(async () => {
  network = await Network.up('--count', '1');
  const load = ['-i', 'eth0', '-f', '-', '--slots', '64', '--flows', '1'];
  const rows = '10.0.1.1, 02:00:0a:00:01:01\n';
  const loaded = await network.run('balancer', 'bin/l4lb-load.js', load, rows);
  expect(loaded.exitCode).toBe(0);
});
afterAll(() => network.down());

async function mapNamed(name: string): Promise<MapInfo> {
  const { stdout } = await network.l4lb('load', '--status', '--json');
  const { programs } = JSON.parse(stdout) as { programs: [{ id: number }] };
  const { maps } = await bpftool.programWithMaps('id', programs[0].id);
  return must(
    maps.find((map) => map.name === name),
    name,
  );
}

interface Told {
  doctor: [severity: string, check: string, fix: string][];
  settle: unknown;
  stats: unknown;
}

async function told(): Promise<Told> {
  const [doctor, settle, sample] = [
    await network.l4lb('doctor', '--json', '--interval', '0.1'),
    await network.l4lb('map', '--settle', '--json'),
    await network.sample(),
  ];
  const { findings } = JSON.parse(doctor.stdout) as {
    findings: { severity: string; check: string; fix: string }[];
  };
  return {
    doctor: findings
      .filter(({ check }) => check === 'records')
      .map(({ severity, check, fix }) => [severity, check, fix]),
    settle: (JSON.parse(settle.stdout) as { records: unknown }).records,
    stats: (sample as unknown as { records: unknown }).records,
  };
}

const ROOM = { nearly_full: false, full_share: 0, limit_reached_s_ago: null };

test('with room in all sets nobody says anything', async () => {
  expect(await told()).toEqual({ doctor: [], settle: ROOM, stats: ROOM });
  const { stdout } = await network.l4lb('map', '--settle');
  expect(stdout).toBe('eth0: no slot is hot');
});

test('sets that are full of established connections are told, until there is more room', async () => {
  const flows = await mapNamed('flows');
  const set = Buffer.alloc(64);
  for (let at = 0; at < 64; at += 8) {
    putU32(set, 0xc0000001 + at, at);
    putU16(set, 1, at + 4);
    putU16(set, (kernelSeconds() >> 2) & 0xffff, at + 6);
  }
  // Every third one.
  const keys = Array.from(
    { length: Math.ceil(flows.entries / 3) },
    (_, index) => 3 * index,
  );
  const changes = keys.map((key) => update(flows, encodeKey(key), set));
  await bpftool.write(changes, undefined);
  const full = { nearly_full: true, full_share: expect.closeTo(1 / 3, 2) };
  const fix = 'l4lb-load -i eth0 --replace --flows 4';
  expect(await told()).toEqual({
    doctor: [['finding', 'records', fix]],
    settle: { ...full, limit_reached_s_ago: null },
    stats: { ...full, limit_reached_s_ago: null },
  });
  const { stdout } = await network.l4lb('map', '--settle');
  expect(stdout).toMatch(
    /no slot is hot\n {2}records are nearly full: 3[34]% of new connections/,
  );
  await network.expectOk('balancer', 'bin/l4lb-load.js', ...fix.split(' ').slice(1));
  expect(await told()).toEqual({ doctor: [], settle: ROOM, stats: ROOM });
});

test('a limit that was reached is a remark', async () => {
  const done = Buffer.alloc(8);
  putU32(done, kernelSeconds() - 7, 0);
  putU32(done, MOST_RECORDS, 4);
  const change = update(await mapNamed('limits'), encodeKey(LIMIT_RECORDS), done);
  await bpftool.write([change], undefined);
  const { doctor, stats } = await told();
  expect(doctor.map(([severity]) => severity)).toEqual(['remark']);
  const { limit_reached_s_ago: ago } = stats as { limit_reached_s_ago: number };
  expect(ago).toBeGreaterThanOrEqual(7);
  expect(ago).toBeLessThan(60);
});
