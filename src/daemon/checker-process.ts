// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The process that runs the checks: started again when it ends, and told of when it is
 * silent. It gets no right of ours: it runs as another user, who may open sockets.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import type { Order } from '../checks/serve.js';
import type { Report } from '../checks/checker.js';
import type { Check } from '../health/check.js';
import { packaged } from '../system/package.js';

/** Nobody, in every Linux: for who has made no user of its own. */
export const NOBODY = 65534;
/** The program itself, as another user: see src/l4lbd.ts. */
const SERVE = `require(${JSON.stringify(packaged('dist/l4lbd.cjs'))}).serveChecks()`;
/** Milliseconds: it says something each second. */
const SILENT = 3000;
/** Before it is started again: twice as long each time that it says nothing at all. */
const AGAIN = 1000;
const LONGEST_AGAIN = 60_000;

export interface CheckerEvents {
  report: (report: Report) => void;
  /** It ended, or says nothing; what it knew is older than that. */
  trouble: (what: string) => void;
}

export class CheckerProcess {
  readonly #events: CheckerEvents;
  readonly #user: number;
  #child: ChildProcess | undefined;
  #checks: readonly Check[] = [];
  readonly #pace = new Map<string, number>();
  #heard = 0;
  #isSilent = false;
  #pause = AGAIN;
  #watch: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(events: CheckerEvents, user = NOBODY) {
    this.#events = events;
    this.#user = user;
  }

  /** All checks from now on. */
  set(checks: readonly Check[]): void {
    this.#checks = checks;
    const keys = new Set(checks.map(({ key }) => key));
    for (const key of this.#pace.keys()) if (!keys.has(key)) this.#pace.delete(key);
    if (this.#child) this.#say({ checks });
    else this.#start();
  }

  setPace(pace: readonly (readonly [string, number])[]): void {
    for (const [key, milliseconds] of pace) this.#pace.set(key, milliseconds);
    if (pace.length > 0) this.#say({ pace });
  }

  /** How it is: whether it runs, and how long ago it said something. */
  condition(): { pid: number | null; silent_ms: number } {
    const silent = performance.now() - this.#heard;
    return { pid: this.#child?.pid ?? null, silent_ms: Math.round(silent) };
  }

  stop(): void {
    this.#isOver = true;
    clearInterval(this.#watch);
    clearTimeout(this.#again);
    // It ends when nobody can tell it anything any more, and ends its programs before.
    this.#child?.stdin?.end();
  }

  #start(): void {
    const user = this.#user;
    // Without capabilities: the kernel drops them with the user.
    const child = spawn(process.execPath, ['-e', SERVE], {
      ...{ stdio: 'pipe', cwd: '/', env: {} },
      ...(process.geteuid?.() === 0 && { uid: user, gid: user }),
    });
    this.#child = child;
    this.#heard = performance.now();
    child.stdin.on('error', () => {}); // it has ended, and says so itself
    let said = '';
    child.stderr.on(
      'data',
      (text: Buffer) => (said = (said + text.toString()).slice(-2000)),
    );
    child.on('error', (error) => (said += error.message));
    child.on('close', (code, signal) => {
      this.#child = undefined;
      if (this.#isOver) return;
      // What node prints around the message of an error is of no use to anybody.
      const [why = signal ?? `exit ${String(code)}`] = /^\w*Error: .*/m.exec(said) ?? [];
      const hint = why.includes('Cannot find module')
        ? `; user ${user} must be able to read l4lb's files`
        : '';
      this.#events.trouble(`the checker has ended: ${why}${hint}`);
      this.#again = setTimeout(() => {
        this.#start();
      }, this.#pause);
      this.#pause = Math.min(LONGEST_AGAIN, this.#pause * 2);
    });
    createInterface(child.stdout).on('line', (line) => {
      this.#heard = performance.now();
      this.#isSilent = false;
      this.#pause = AGAIN;
      const report = reportIn(line);
      if (report) this.#events.report(report);
      else this.#events.trouble('the checker has said what is no report');
    });
    this.#watch ??= setInterval(() => {
      this.#listen();
    }, SILENT / 3);
    this.#say({ checks: this.#checks, pace: [...this.#pace] });
  }

  #listen(): void {
    const silent = performance.now() - this.#heard;
    if (!this.#child || this.#isSilent || silent < SILENT) return;
    this.#isSilent = true;
    this.#events.trouble(
      `the checker has said nothing for ${Math.round(silent / 1000)} s`,
    );
  }

  #say(order: Order): void {
    this.#child?.stdin?.write(`${JSON.stringify(order)}\n`);
  }
}

/** A process that is killed may leave half a line. */
function reportIn(line: string): Report | undefined {
  try {
    const report = JSON.parse(line) as Partial<Report> | null;
    return Array.isArray(report?.checked) ? (report as Report) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
