// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What Debian's Prometheus says of the metrics and of the alerts, where it is installed. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from '@jest/globals';

import { METRICS, METRICS_TYPE, metricsOf } from '../../../src/api/metrics.js';
import { packaged } from '../../../src/system/package.js';
import { fleet, status } from './status.js';

const isThere = spawnSync('promtool', ['--version']).status === 0;
if (!isThere) {
  console.warn('skipped: promtool is not installed (./setup.sh prometheus)');
}
const where = isThere ? test : test.skip;

const folder = mkdtempSync(join(tmpdir(), 'l4lb-prometheus-'));
afterAll(() => rmSync(folder, { recursive: true }));

function promtool(
  args: readonly string[],
  input = '',
): [code: number | null, said: string] {
  const {
    status: code,
    stdout,
    stderr,
  } = spawnSync('promtool', args, {
    ...{ input, encoding: 'utf8' },
  });
  return [code, `${stdout}${stderr}`];
}

where('promtool has nothing to say about the metrics', () => {
  expect(promtool(['check', 'metrics'], metricsOf(status({ fleet: fleet() })))).toEqual([
    0,
    '',
  ]);
});

where('promtool finds that each alert fires when it should, and not before', () => {
  const cases = readdirSync(packaged('test/prometheus')).map((name) =>
    packaged(`test/prometheus/${name}`),
  );
  expect(cases.length).toBeGreaterThan(0);
  const [code, said] = promtool(['test', 'rules', ...cases]);
  expect(said).not.toContain('FAILED');
  expect(code).toBe(0);
});

interface Answer<Result> {
  data: { result: Result };
}

async function listen(server: ReturnType<typeof createServer>): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

where('Prometheus scrapes all of it', async () => {
  const exporter = createServer((_, answer) => {
    answer
      .setHeader('Content-Type', METRICS_TYPE)
      .end(metricsOf(status({ fleet: fleet() })));
  });
  const free = createServer();
  const [port, own] = [await listen(exporter), await listen(free)];
  free.close();
  const file = join(folder, 'prometheus.yml');
  writeFileSync(
    file,
    `rule_files: [${packaged('packaging/prometheus/l4lb.rules.yml')}]
scrape_configs:
  - job_name: l4lb
    scrape_interval: 200ms
    scrape_timeout: 200ms
    static_configs: [{ targets: ['127.0.0.1:${port}'] }]
`,
  );
  const prometheus = spawn('prometheus', [
    `--config.file=${file}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${own}`,
  ]);
  let said = '';
  prometheus.stderr.on('data', (text: Buffer) => (said += text.toString()));
  const ended = once(prometheus, 'close');
  const ask = async <Result>(query: string): Promise<Result | undefined> => {
    const url = `http://127.0.0.1:${own}/api/v1/query?query=${encodeURIComponent(query)}`;
    try {
      const answer = (await (await fetch(url)).json()) as Answer<Result>;
      return answer.data.result;
    } catch {
      return undefined; // it does not listen yet
    }
  };
  const count = 'count(count by (__name__) ({__name__=~"l4lb_.+"}))';
  try {
    let seen: string | undefined;
    for (let tries = 0; tries < 200 && seen === undefined; tries++) {
      await sleep(100);
      seen = (await ask<{ value: [number, string] }[]>(count))?.[0]?.value[1];
      if (prometheus.exitCode !== null) throw new Error(said);
    }
    expect(Number(seen)).toBe(METRICS.length);
    // Prometheus keeps 53 bits of it.
    expect(await ask('l4lb_service_packets_total')).toMatchObject([
      { metric: { service: 'web' }, value: [expect.any(Number), '9223372036854776000'] },
    ]);
  } finally {
    prometheus.kill();
    await ended;
    exporter.closeAllConnections();
    exporter.close();
  }
});
