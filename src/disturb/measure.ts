// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Measures one run: opens connections, makes changes on time, records what happens. */
import { setTimeout as sleep } from 'node:timers/promises';

import { Failure } from '../text/failure.js';
import type { Schedule } from './changes.js';
import type { Moment, Recording } from './judge.js';
import type { LongRunning } from '../system/long-running.js';
import type { CountEvent, ClientEvent, Flow } from './protocol.js';
import { BOUND, now, settingsFor } from './protocol.js';
import type { Testbed } from './testbed.js';

export interface Request {
  schedule: Schedule;
  connections: number;
  /** Milliseconds. */
  duration: number;
}

export interface Listener {
  /** Called once a second. */
  onCount: (count: CountEvent, lost: number) => void;
  /** Called before a change; `at` is in milliseconds after the start. */
  onChange: (index: number, at: number) => void;
}

/** How long a change is watched before the next, added to the pace of messages. */
const REST = 300;
/** Of so many connections a router is asked which way they go. */
const MOST_FLOWS = 300;

/** Measures a run. Aborting the signal ends it with the signal's reason. */
export async function measure(
  network: Testbed,
  request: Request,
  listener: Listener,
  stop: AbortSignal,
): Promise<Recording> {
  const { schedule, duration } = request;
  const settings = settingsFor(network.service, request.connections, duration);
  const client = network.startClient(settings);
  const ended = new AbortController();
  const watch = new Watch(client, AbortSignal.any([stop, ended.signal]));
  void client.ended.then(() => {
    if (!watch.last('end')) ended.abort(client.failure('the client'));
  });
  const ticker = setInterval(() => {
    if (watch.count) listener.onCount(watch.count, watch.lost);
  }, 1000);
  try {
    const opening = request.connections + BOUND + 15_000;
    const started = (await watch.until('ready', opening)).at;
    checkAlive(watch);
    await network.startFlood(settings.limit);
    const moments: Moment[] = [];
    const settled = settings.every + REST;
    for (const [index, step] of schedule.steps.entries()) {
      const due = started + (duration * (index + 1)) / (schedule.steps.length + 1);
      await watch.pause(Math.max(due, (moments.at(-1)?.ended ?? 0) + settled) - now());
      await network.beforeChange(index, watch.flows(MOST_FLOWS));
      const began = now();
      listener.onChange(index, began - started);
      await network.change(step);
      stop.throwIfAborted();
      moments.push({ began, ended: now() });
    }
    const last = (moments.at(-1)?.ended ?? 0) + settled;
    await watch.pause(Math.max(started + duration, last) - now());
    client.say('finish');
    await watch.until('end', BOUND + 5000);
    const { events } = watch;
    return { schedule, started, moments, events, ...(await network.finish()) };
  } finally {
    clearInterval(ticker);
    client.stop();
  }
}

/** Checks for an open event, because a count may be older than it, or not there yet. */
function checkAlive(watch: Watch): void {
  if (watch.last('open')) return;
  throw new Failure('not one connection could be opened through the balancer', {
    cause:
      'the object given with --obj does not balance, or this kernel has no XDP on veth',
    next: 'testbed/demo-tcp.sh, which shows each step',
  });
}

/** Keeps the events that the client reports. */
class Watch {
  readonly events: ClientEvent[] = [];
  count: CountEvent | undefined;
  lost = 0;
  readonly #signal: AbortSignal;

  constructor(client: LongRunning, signal: AbortSignal) {
    this.#signal = signal;
    client.onLine((line) => {
      const event = JSON.parse(line) as ClientEvent;
      this.events.push(event);
      if (event.event === 'count') this.count = event;
      if (event.event === 'lost') this.lost++;
    });
  }

  async pause(milliseconds: number): Promise<void> {
    try {
      await sleep(Math.max(0, milliseconds), undefined, { signal: this.#signal });
    } catch (error) {
      if (this.#signal.aborted) throw this.#signal.reason;
      throw error;
    }
  }

  last(name: ClientEvent['event']): ClientEvent | undefined {
    return this.events.findLast(({ event }) => event === name);
  }

  /**
   * Some of the connections that are open, old and new alike: those that an earlier change
   * has not moved lie where the next moves more of them.
   */
  flows(most: number): Flow[] {
    const open = new Map<number, Flow>();
    for (const event of this.events) {
      if (event.event === 'lost') open.delete(event.id);
      if (event.event !== 'open') continue;
      const { from, port } = event;
      if (from !== undefined && port !== undefined) open.set(event.id, { from, port });
    }
    const every = Math.max(1, open.size / most);
    return [...open.values()].filter(
      (_, index) => Math.floor(index / every) !== Math.floor((index - 1) / every),
    );
  }

  /** Waits for an event that comes only once. */
  async until(name: ClientEvent['event'], patience: number): Promise<ClientEvent> {
    const deadline = now() + patience;
    for (;;) {
      const found = this.last(name);
      if (found) return found;
      if (now() > deadline) {
        throw new Failure(`the client did not reach "${name}" in time`, {
          cause: 'this machine is too slow for that many connections',
          next: 'run the same with fewer --connections',
        });
      }
      await this.pause(20);
    }
  }
}
