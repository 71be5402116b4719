// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What testbed/connections.mjs is told, and what it tells: a line of JSON for
 * each event. Times are milliseconds of the monotonic clock, which all
 * processes of the machine share.
 */

/** A connection is lost after this time without an echo, in milliseconds. */
export const BOUND = 3000;

export interface Settings {
  host: string;
  port: number;
  connections: number;
  /** How fast the first connections are opened. */
  openPerSecond: number;
  /** How many new ones a second after that. */
  freshPerSecond: number;
  /** Milliseconds between two messages of one connection. */
  every: number;
  /** A connection without an echo for so many milliseconds is lost. */
  bound: number;
  /** After so many milliseconds all traffic ends, whatever happens. */
  limit: number;
}

/** A connection whose far end has said its name. */
export interface OpenEvent {
  event: 'open';
  at: number;
  id: number;
  /** When it was begun. */
  began: number;
  /** Who answers. */
  name: string;
}

export interface LostEvent {
  event: 'lost';
  at: number;
  id: number;
  began: number;
  /** When the oldest message was sent that got no echo. */
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
  /** Messages without an echo, of connections that are lost. */
  dropped: number;
}

/** All of the first connections are open, or lost already. */
export interface ReadyEvent {
  event: 'ready';
  at: number;
}

export interface EndEvent {
  event: 'end';
  at: number;
}

export type ClientEvent = OpenEvent | LostEvent | CountEvent | ReadyEvent | EndEvent;

/** The monotonic clock in milliseconds, as the client reads it. */
export function now(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

export function settingsFor(
  vip: string,
  port: number,
  connections: number,
  duration: number,
): Settings {
  return {
    host: vip,
    port,
    connections,
    openPerSecond: 1000,
    freshPerSecond: Math.max(5, connections / 100),
    // At most 4,000 messages a second in all: one process holds all connections.
    every: Math.max(250, connections / 4),
    bound: BOUND,
    // The opening, the run, changes that take longer, the last echoes; then no more.
    limit: connections + 2 * duration + 120_000,
  };
}
