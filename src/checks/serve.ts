// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The checker's process: it takes orders on stdin and reports on stdout, a line of JSON
 * each, and ends with whoever started it. It needs sockets and nothing else, so it runs as
 * a user without any rights.
 */
import { createInterface } from 'node:readline';
import { performance } from 'node:perf_hooks';

import type { Check } from '../health/check.js';
import { printJson } from '../system/output.js';
import { Checker, TICK } from './checker.js';
import type { Report } from './checker.js';
import { ask } from './kinds.js';

/** From whoever started it. */
export interface Order {
  /** All checks from now on. */
  checks?: readonly Check[];
  /** Milliseconds between two checks, by key. */
  pace?: readonly (readonly [string, number])[];
}

/** To whoever started it; at least one a second, so that silence means something. */
export type Told = Report;

const BEAT = 1000;

export function serveChecks(): void {
  const checker = new Checker(ask, { now: () => performance.now(), random: Math.random });
  let told = performance.now();
  const timer = setInterval(() => {
    const report = checker.tick();
    const now = performance.now();
    if (report.checked.length === 0 && now - told < BEAT) return;
    told = now;
    printJson(report);
  }, TICK);
  const orders = createInterface(process.stdin);
  orders.on('line', (line) => {
    const { checks, pace = [] } = JSON.parse(line) as Order;
    if (checks) checker.set(checks);
    for (const [key, milliseconds] of pace) checker.setPace(key, milliseconds);
  });
  orders.on('close', () => {
    clearInterval(timer);
    checker.stop();
    process.exit();
  });
}
