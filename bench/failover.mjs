#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Measures how long new connections still go to a server that has died: from its end to the
// last SYN that its destination gets, while 1,000 SYNs a second come for the service. l4lbd
// checks by HTTP on the way of the packets, with its usual times.
// Usage: failover.mjs [KILLS [HOSTS]]: how many servers are killed, and then how many hosts
// lose their link. Prints the times of each, and their quantiles, as JSON.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const [kills = '50', hosts = '0'] = process.argv.slice(2);
const VIP = '10.0.100.1';
const COUNT = 25;
const PATIENCE = 60_000;
const name = `failover-${process.pid}`;
const folder = mkdtempSync(join(tmpdir(), 'l4lb-failover-'));
const run = promisify(execFile);
const network = (...args) => run('testbed/network.sh', args);
const inside = (role, ...command) => network('exec', name, role, '--', ...command);
const children = new Set();

// Destinations that come and go are trusted late: with 25 of them and all checks at their
// usual times, each goes down twice at most in ten minutes. Health may move all slots, since
// more die in a minute here than in a year elsewhere.
const config = `[[service]]
name = "web"
address = "${VIP}"
ports = 80
protocol = "tcp"
check = { kind = "http", most_moves = 100 }
destinations = [
${Array.from({ length: COUNT }, (_, one) => `  "10.0.1.${one + 1}",`).join('\n')}
]
`;

function start(role, command, args) {
  const words = [`--net=/run/netns/l4lb-${name}-${role}`, command, ...args];
  const child = spawn('nsenter', words, { stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  child.on('close', () => children.delete(child));
  return child;
}

const servers = new Map();
function serve(one) {
  const role = `destination${one}`;
  servers.set(one, start(role, 'node', ['testbed/answer.mjs', role]));
}

async function until(what, isSo) {
  const end = Date.now() + PATIENCE;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`${what}: not within a minute`);
    await sleep(50);
  }
}

const events = [];
/** The time of the first event like that, from one on; 0: there is none yet. */
function timeOf(from, isLike) {
  return Date.parse(events.slice(from).find(isLike)?.time ?? '') || 0;
}

/** Milliseconds from the end of a server to the last SYN that comes to its destination. */
async function lastSyn(one) {
  // The outer header is off by then. The balancer's own are checks.
  const filter = `dst host ${VIP} and tcp[13] = 2 and not src host 10.0.0.4`;
  const options = ['-l', '--immediate-mode', '-n', '-tt', '-i', 'eth0', filter];
  const capture = start(`destination${one}`, 'tcpdump', options);
  let last = 0;
  createInterface(capture.stdout).on('line', (line) => {
    // The last line may be empty.
    last = Number(line.split(' ')[0]) * 1000 || last;
  });
  await until('SYNs come', () => last > 0);
  const begun = Date.now();
  const from = events.length;
  await kill(one);
  await until('it is down', () => timeOf(from, isDown(one)) > 0);
  // None comes any more, for as long as 40 would have come.
  await until('no SYN comes', () => Date.now() - Math.max(last, begun) > 1000);
  capture.kill('SIGINT');
  return last - begun;
}

/**
 * Milliseconds from when a host lost its link to when the tables send nothing new there. It
 * gets nothing that could be counted.
 */
async function noneSent(one) {
  const begun = Date.now();
  await port(one, 'down');
  const isOff = ({ weights = [] }) =>
    weights.some(({ destination, after }) => destination === addressOf(one) && !after);
  const from = events.length;
  await until('its weight is 0', () => timeOf(from, isOff) > 0);
  return timeOf(from, isOff) - begun;
}

const addressOf = (one) => `10.0.1.${one}`;
const isDown = (one) => (event) =>
  event.destination === addressOf(one) && event.after === 'down';

async function measureAll(count, measure, mend) {
  const times = [];
  for (let turn = 0; turn < count; turn++) {
    const one = (turn % COUNT) + 1;
    const from = events.length;
    times.push(Math.max(0, Math.round(await measure(one))));
    process.stderr.write(`${turn + 1} of ${count}: ${times.at(-1)} ms\n`);
    await mend(one);
    const isUp = (event) => event.destination === addressOf(one) && event.after === 'up';
    await until('it is up again', () => timeOf(from, isUp) > 0);
  }
  return times;
}

function quantiles(times) {
  const sorted = times.toSorted((one, other) => one - other);
  const at = (part) =>
    sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
  return { count: times.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), most: at(1) };
}

async function kill(one) {
  const child = servers.get(one);
  child.kill('SIGKILL');
  await once(child, 'close');
}

/** The link of its host is down at the switch: it gets nothing, and says nothing. */
const port = (one, state) =>
  inside('switch', 'ip', 'link', 'set', 'dev', `destination${one}`, state);

try {
  const up = ['--count', String(COUNT), '--vip', VIP, '--owner', String(process.pid)];
  await network('up', name, ...up, '--quiet');
  writeFileSync(join(folder, 'l4lb.toml'), config);
  for (let one = 1; one <= COUNT; one++) {
    await inside(`destination${one}`, 'bin/l4lb-load.js', '-i', 'eth0', '--decap');
    serve(one);
  }
  await inside('balancer', 'bin/l4lb-load.js', '-i', 'eth0');
  const options = ['-i', 'eth0', '-c', join(folder, 'l4lb.toml'), '--state', folder];
  const daemon = start('balancer', 'node', ['bin/l4lbd.js', ...options]);
  createInterface(daemon.stdout).on('line', (line) => events.push(JSON.parse(line)));
  daemon.stderr.pipe(process.stderr);
  await until(
    'all are up',
    () => events.filter(({ after }) => after === 'up').length >= COUNT,
  );
  const flood = ['--dst', `${VIP}:80/tcp`, '--syn', '--random-source', '--rate', '1000'];
  start('client', 'node', [
    'bin/l4lb-flood.js',
    '-i',
    'eth0',
    ...flood,
    '--duration',
    '60m',
  ]);
  const killed = await measureAll(Number(kills), lastSyn, serve);
  const cut = await measureAll(Number(hosts), noneSent, (one) => port(one, 'up'));
  const result = {
    ...(killed.length > 0 && { refused: { ...quantiles(killed), times: killed } }),
    ...(cut.length > 0 && { cut: { ...quantiles(cut), times: cut } }),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
} finally {
  for (const child of children) child.kill('SIGKILL');
  await network('down', name);
  rmSync(folder, { recursive: true });
}
process.exit();
