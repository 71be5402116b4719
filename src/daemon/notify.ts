// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Tells systemd how l4lbd is: ready, reading its file again, ending, and that it is alive.
 * Without NOTIFY_SOCKET nobody asked, and nothing happens.
 *
 * The socket takes datagrams, which Node cannot send. systemd-notify can: it comes with
 * systemd itself, costs some 10 ms, and is needed once in ten seconds. It sends in the name
 * of the process that started it, so that NotifyAccess=main takes what it says.
 */
import type { ByHand } from '../health/weights.js';
import type { StateName } from '../health/condition.js';
import { STATES } from '../health/condition.js';
import type { Run } from '../system/run.js';
import { runIfThere } from '../system/run.js';
import { Unseen } from '../text/unseen.js';
import type { Event } from '../api/events.js';

/** What is told of a service in one line. */
export interface View {
  name: string;
  isPanic: boolean;
  destinations: readonly {
    /** Undefined: nobody asks it. */
    key: string | undefined;
    byHand: ByHand | undefined;
    condition: { state: StateName };
  }[];
}

export interface Control {
  view: () => readonly View[];
  /** Whether its loop does what it is there for. */
  isAlive: (now: number) => boolean;
}

const NOT_CHECKED = 'not checked';

/** Such as "30 up, 1 down, 1 drained; panic in web". */
export function inOneLine(services: readonly View[]): string {
  const counts = new Map<string, number>();
  for (const { destinations } of services) {
    for (const { key, byHand, condition } of destinations) {
      const word = byHand ?? (key === undefined ? NOT_CHECKED : condition.state);
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  const [unknown, ...known] = STATES;
  const words = [...new Set([...known, unknown, 'drained', NOT_CHECKED])];
  const parts = words.flatMap((word) => {
    const count = counts.get(word);
    return count === undefined ? [] : [`${count} ${word}`];
  });
  const panics = services.flatMap(({ isPanic, name }) => (isPanic ? [name] : []));
  return [
    parts.length === 0 ? 'no destinations' : parts.join(', '),
    ...(panics.length === 0 ? [] : [`panic in ${panics.join(', ')}`]),
  ].join('; ');
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Milliseconds after which systemd ends this process if it hears nothing; undefined: never. */
export function watchdogOf(env: Environment, pid: number): number | undefined {
  const { WATCHDOG_USEC: time, WATCHDOG_PID: whose = String(pid) } = env;
  const milliseconds = Number(time) / 1000;
  return milliseconds > 0 && whose === String(pid) ? milliseconds : undefined;
}

/** systemd wants to know since when, by the clock that is never set. */
export function reloadingSince(nanoseconds: bigint): string[] {
  return ['RELOADING=1', `MONOTONIC_USEC=${nanoseconds / 1000n}`];
}

/** How often it looks whether there is something to tell, at most, in milliseconds. */
const TICK = 1000;
const NOT_TAKEN = 'the file that was read last has a fault, so the one before it counts';

export class Notifier {
  readonly #run: Run;
  readonly #control: Control;
  /** Says once why systemd could not be told. */
  readonly #trouble: (what: string) => void;
  readonly #isAsked: boolean;
  readonly #watchdog: number | undefined;
  #sending = Promise.resolve();
  #unsent = 0;
  #isReady = false;
  #isReloading = false;
  #isFileTaken = true;
  #status = '';
  #beaten = 0;
  #hasFailed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    run: Run,
    env: Environment,
    control: Control,
    trouble: (what: string) => void,
  ) {
    this.#run = run;
    this.#control = control;
    this.#trouble = trouble;
    this.#isAsked = Boolean(env.NOTIFY_SOCKET);
    this.#watchdog = watchdogOf(env, process.pid);
  }

  /** Takes what has just happened. */
  take({ kind }: Event): void {
    if (!this.#isAsked) return;
    if (kind === 'started' || kind === 'reloaded') this.#isFileTaken = true;
    if (kind === 'trouble' && this.#isReloading) this.#isFileTaken = false;
    // After a reload that went wrong all is as before, so that one is over, too.
    const isOver = kind === 'ready' || (kind === 'trouble' && this.#isReloading);
    if (!isOver) return;
    this.#isReloading = false;
    this.#say(['READY=1', ...this.#newStatus()]);
    if (this.#isReady) return;
    this.#isReady = true;
    this.#beaten = performance.now();
    const often = Math.min(TICK, (this.#watchdog ?? Infinity) / 3);
    this.#timer = setInterval(() => {
      this.#tick();
    }, often);
  }

  reloading(): void {
    // Until it is ready there is nothing to read again.
    if (!this.#isReady) return;
    this.#isReloading = true;
    this.#say(reloadingSince(process.hrtime.bigint()));
  }

  stopping(): void {
    clearInterval(this.#timer);
    if (this.#isAsked) this.#say(['STOPPING=1']);
  }

  /** Returns when systemd has got all: once this process has ended, it takes nothing more. */
  told(): Promise<void> {
    return this.#sending;
  }

  #tick(): void {
    // A machine that is too busy for the last message gets no further one.
    if (this.#unsent > 0) return;
    const now = performance.now();
    const isDue =
      this.#watchdog !== undefined && now - this.#beaten >= this.#watchdog / 3;
    const beats = isDue && this.#control.isAlive(now);
    if (beats) this.#beaten = now;
    const said = [...(beats ? ['WATCHDOG=1'] : []), ...this.#newStatus()];
    if (said.length > 0) this.#say(said);
  }

  #newStatus(): string[] {
    const line = inOneLine(this.#control.view());
    const status = this.#isFileTaken ? line : `${line}; ${NOT_TAKEN}`;
    if (status === this.#status) return [];
    this.#status = status;
    return [`STATUS=${status}`];
  }

  /** One after the other, since systemd goes by the order. */
  #say(assignments: readonly string[]): void {
    this.#unsent++;
    this.#sending = this.#sending.then(async () => {
      const sent = await runIfThere(this.#run, 'systemd-notify', assignments);
      this.#unsent--;
      if (!(sent instanceof Unseen) && sent.exitCode === 0) return;
      const why = sent instanceof Unseen ? sent.why : sent.stderr.trim();
      if (!this.#hasFailed) this.#trouble(`systemd could not be told: ${why}`);
      this.#hasFailed = true;
    });
  }
}
