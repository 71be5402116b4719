// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Asks l4lbd, while somebody looks, and keeps what it said. */
import type { Entry } from '../api/events.js';
import type { History } from '../api/history.js';
import type { ByHandResult, Status } from '../api/status.js';
import type { Told } from './figures/events.js';
import { withEvent } from './figures/events.js';
import { Series } from './figures/series.js';
import type { Contact } from './figures/truth.js';
import { GONE_AFTER } from './figures/truth.js';
import { ASK_EVERY, askAfter } from './figures/window.js';

const KEPT_EVENTS = 1000;
/** Milliseconds. */
const PATIENCE = 10_000;

/** What l4lbd said instead of an answer. */
export class Refusal extends Error {
  readonly status: number;
  /** Seconds after which it may be asked again. */
  readonly after: number;

  constructor(status: number, text: string, after: number) {
    super(text);
    this.status = status;
    this.after = after;
  }
}

export class Live {
  status: Status | undefined;
  /** The one before that, for rates. */
  before: Status | undefined;
  events: readonly Told[] = [];
  readonly series = new Series();
  #receivedAt = 0;
  #fault: string | undefined;
  #isAsking = true;
  #wait = ASK_EVERY;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #source: EventSource | undefined;
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get contact(): Contact {
    return {
      age: performance.now() - this.#receivedAt,
      fault: this.#fault,
      isAsking: this.#isAsking,
      goneAfter: Math.max(GONE_AFTER, 2 * this.#wait),
    };
  }

  start(): void {
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) this.#rest();
      else void this.#begin();
    });
    if (!document.hidden) void this.#begin();
  }

  #rest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#source?.close();
    this.#source = undefined;
    this.#isAsking = true;
  }

  async #begin(): Promise<void> {
    try {
      this.series.begin((await ask('history')) as History);
    } catch (error) {
      this.#fault = said(error); // and the status will fail, too
    }
    await this.#ask();
  }

  async #ask(): Promise<void> {
    const begun = performance.now();
    try {
      this.#take((await ask('status')) as Status);
      this.#wait = askAfter(performance.now() - begun);
    } catch (error) {
      this.#fault = said(error);
      this.#wait = ASK_EVERY;
    }
    this.#isAsking = false;
    this.#changed();
    clearTimeout(this.#timer);
    if (document.hidden) return;
    this.#timer = setTimeout(() => void this.#ask(), this.#wait);
  }

  #take(status: Status): void {
    const isOther = this.status?.started !== status.started;
    this.before = isOther ? undefined : this.status;
    this.status = status;
    this.#receivedAt = performance.now();
    this.#fault = undefined;
    this.series.add(status);
    // Another l4lbd counts its events anew.
    if (isOther) this.events = [];
    if (isOther || !this.#source || this.#source.readyState === EventSource.CLOSED)
      this.#follow();
  }

  #follow(): void {
    this.#source?.close();
    const since = this.events[0]?.id ?? 0;
    const source = new EventSource(`events?since=${since}`);
    // Those that are kept come all at once.
    let isTold = false;
    source.onmessage = ({ data }: MessageEvent<string>) => {
      const entry = JSON.parse(data) as Entry;
      this.events = withEvent(this.events, entry, KEPT_EVENTS);
      if (isTold) return;
      isTold = true;
      requestAnimationFrame(() => {
        isTold = false;
        this.#changed();
      });
    };
    this.#source = source;
  }

  /** Asks soon, since something was changed. */
  hurry(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#ask(), 300);
  }
}

export interface Wish {
  service: string;
  destination: string;
  action: string;
  weight?: number | undefined;
}

export function act(wish: Wish, token: string | undefined): Promise<ByHandResult> {
  return post(wish, false, token);
}

/** Says what it would do. */
export async function planFor(wish: Wish): Promise<ByHandResult> {
  for (let tries = 0; ; tries++) {
    try {
      return await post(wish, true, undefined);
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 429 || tries === 3) throw error;
      await new Promise((resolve) => setTimeout(resolve, error.after * 1000));
    }
  }
}

async function post(
  { service, destination, action, weight }: Wish,
  dry_run: boolean,
  token: string | undefined,
): Promise<ByHandResult> {
  const names = [service, 'destinations', destination, action].map(encodeURIComponent);
  return (await ask(`services/${names.join('/')}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ dry_run, ...(weight !== undefined && { weight }) }),
  })) as ByHandResult;
}

async function ask(path: string, init: RequestInit = {}): Promise<unknown> {
  const signal = AbortSignal.timeout(PATIENCE);
  const answer = await fetch(path, { ...init, signal, cache: 'no-store' });
  const body: unknown = await answer.json();
  if (answer.ok) return body;
  const { error, cause, next } = body as Record<
    'error' | 'cause' | 'next',
    string | null
  >;
  const text = [error, cause, next].filter(Boolean).join('; ');
  throw new Refusal(answer.status, text, Number(answer.headers.get('retry-after') ?? 1));
}

export function said(error: unknown): string {
  if (error instanceof TypeError) return 'no connection';
  if (error instanceof DOMException && error.name === 'TimeoutError')
    return `no answer in ${PATIENCE / 1000} s`;
  return error instanceof Error ? error.message : String(error);
}
