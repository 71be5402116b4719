// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** iperf 2, client and server: how it is called, and what it says. Pure. */
import { Failure } from '../src/text/failure.js';

/** Its window, as in the example that the guide goes through. */
const WINDOW = '64K';

export interface Target {
  address: string;
  port: number;
}

export function serverArguments(target: Target): string[] {
  return ['--server', '--bind', target.address, ...common(target)];
}

export function clientArguments(target: Target, seconds: number): string[] {
  const window = ['--window', WINDOW, '--time', String(seconds)];
  return ['--client', target.address, ...common(target), ...window, '--reportstyle', 'C'];
}

function common({ address, port }: Target): string[] {
  return ['--port', String(port), ...(address.includes(':') ? ['--ipv6_domain'] : [])];
}

/** Gbit/s. The last field of its CSV is bits a second. */
export function parseIperf(text: string): number {
  const bits = Number(text.trim().split('\n').at(-1)?.split(',').at(-1));
  if (Number.isFinite(bits) && bits > 0) return bits / 1e9;
  throw new Failure(`iperf said no rate: ${text.trim()}`);
}
