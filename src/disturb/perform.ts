// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Performs a run: builds its network, and takes it down whatever happens. */
import { basename, resolve } from 'node:path';

import { exitCodeOf, onEndingSignal } from '../system/signals.js';
import { Failure } from '../text/failure.js';
import { tell } from '../system/output.js';
import { many } from '../text/format.js';
import { run as startProcess } from '../system/run.js';
import type { Remember } from '../abi/cell.js';
import type { Forward } from '../wire/forward.js';
import type { Schedule } from './changes.js';
import { Fabric } from './ecmp/fabric.js';
import { allBalancers } from './ecmp/plan.js';
import type { Family, Sources } from './ecmp/sources.js';
import { formatChange } from './changes.js';
import { judge } from './judge.js';
import { measure } from './measure.js';
import { Network } from './network.js';
import type { Result } from './report.js';
import type { CountEvent } from './protocol.js';
import { progressLine } from './report.js';

export interface Request {
  connections: number;
  /** Milliseconds. */
  duration: number;
  table?: string;
  remember?: Remember;
  forward?: Forward;
  slots?: number;
  obj?: string;
  flood?: number;
  syncookies?: string;
  halfOpen?: number;
}

/** A run behind a router. */
export interface Routed {
  family: Family;
  sources: Sources | undefined;
  /** No balancers: the router spreads over the destinations. */
  isPlain: boolean;
}

export async function perform(
  request: Request,
  schedule: Schedule,
  stop: AbortSignal,
  routed?: Routed,
): Promise<Result> {
  const { connections, duration, table, remember, slots } = request;
  const { forward, flood, syncookies, halfOpen } = request;
  const object = request.obj === undefined ? undefined : resolve(request.obj);
  const beside = { flood, syncookies, halfOpen };
  const options = { object, table, remember, forward, slots, ...beside };
  const network = routed
    ? new Fabric(startProcess, schedule, { ...options, ...routed }, stop)
    : new Network(startProcess, schedule, options, stop);
  try {
    const size = many(schedule.destinations, 'destination');
    const front = routed ? describeRouted(routed, schedule) : '';
    tell(`building a network with ${front}${size}`);
    await network.up();
    stop.throwIfAborted();
    tell(`opening ${many(connections, 'connection')}`);
    const listener = {
      onCount: (count: CountEvent, lost: number) => {
        tell(progressLine(count, lost));
      },
      onChange: (index: number, at: number) => {
        const step = schedule.steps[index];
        tell(`${(at / 1000).toFixed(1)} s: ${step ? formatChange(step.change) : ''}`);
      },
    };
    const run = { schedule, connections, duration };
    const record = await measure(network, run, listener, stop);
    const verdicts = await network.verdicts();
    return {
      connections,
      duration: duration / 1000,
      object: basename(object ?? 'l4lb_xdp_host.o'),
      table,
      remember,
      forward,
      syncookies,
      halfOpen,
      routed: routed && {
        isPlain: routed.isPlain,
        balancers: routed.isPlain ? 0 : schedule.balancers,
        family: Number(routed.family),
        sources: routed.sources?.prefix,
      },
      record,
      outcome: judge(record),
      verdicts,
    };
  } finally {
    await network.down();
  }
}

function describeRouted({ isPlain }: Routed, schedule: Schedule): string {
  if (isPlain) return 'a router, no balancer, and ';
  return `a router, ${many(allBalancers(schedule), 'balancer')}, and `;
}

/** Runs the work so that a signal stops it; the work then takes down what it built. */
export async function interruptible<T>(
  work: (stop: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const stopListening = onEndingSignal((signal) => {
    stop.abort(new Failure(`stopped by ${signal}`, {}, exitCodeOf(signal)));
  });
  try {
    return await work(stop.signal);
  } catch (error) {
    // A tool that got the same Ctrl-C fails too, but is not the reason.
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    stopListening();
  }
}
