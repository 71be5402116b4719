// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The settings that testbed/connections.mjs gets, and the events that it reports, each a
 * line of JSON. Times are milliseconds of the monotonic clock, which all processes of the
 * machine share.
 */

import type { Service } from './testbed.js';

/** A connection is lost after this time without an echo, in milliseconds. */
export const BOUND = 3000;

export interface Settings {
  host: string;
  port: number;
  /** Addresses that connections come from in turn; none: the one that the client has. */
  sources: readonly string[];
  connections: number;
  /** How many of the initial connections are opened per second. */
  openPerSecond: number;
  /** How many new connections are opened per second after that. */
  freshPerSecond: number;
  /** Milliseconds between two messages on one connection. */
  every: number;
  /** After this many milliseconds without an echo a connection is lost. */
  bound: number;
  /** After this many milliseconds all traffic ends, whatever happens. */
  limit: number;
}

/** A connection is open, and its destination has sent its name. */
export interface OpenEvent {
  event: 'open';
  at: number;
  id: number;
  /** When it began. */
  began: number;
  /** The destination that answers. */
  name: string;
  /** The client's end. */
  from?: string;
  port?: number;
}

/** A connection as routers see it. */
export interface Flow {
  from: string;
  port: number;
}

/** What took longest among all that was answered since the last such event. */
export interface SlowestEvent {
  event: 'slowest';
  at: number;
  /** An echo, or the whole opening of a connection. */
  what: 'echo' | 'open';
  since: number;
}

export interface LostEvent {
  event: 'lost';
  at: number;
  id: number;
  began: number;
  /** When the oldest message without an echo was sent. */
  since: number;
  why: string;
}

export interface CountEvent {
  event: 'count';
  at: number;
  opened: number;
  connecting: number;
  active: number;
  sent: number;
  received: number;
  /** Messages without an echo on lost connections. */
  dropped: number;
}

/** All initial connections are open, or already lost. */
export interface ReadyEvent {
  event: 'ready';
  at: number;
}

export interface EndEvent {
  event: 'end';
  at: number;
}

export type ClientEvent =
  OpenEvent | LostEvent | CountEvent | SlowestEvent | ReadyEvent | EndEvent;

/** What testbed/half-open.mjs reports of its connections. */
export type HalfOpenEvent =
  | { event: 'begun' }
  /** The answer to its SYN has come. */
  | { event: 'held'; id: number; port: number }
  | { event: 'complete'; id: number; name: string }
  | { event: 'failed'; id: number; why: string };

/** The monotonic clock in milliseconds, as the client reads it. */
export function now(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

export function settingsFor(
  { vip, port, sources }: Service,
  connections: number,
  duration: number,
): Settings {
  return {
    host: vip,
    port,
    sources,
    connections,
    openPerSecond: 1000,
    freshPerSecond: Math.max(5, connections / 100),
    // At most 4,000 messages a second in all: one process holds all connections.
    every: Math.max(250, connections / 4),
    bound: BOUND,
    // Enough for opening, the run, changes that take longer, and the last echoes.
    limit: connections + 2 * duration + 120_000,
  };
}
