// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What is asked of a destination to learn whether it serves. */

export const KINDS = ['tcp', 'http', 'https', 'dns', 'udp', 'grpc', 'exec'] as const;
export type Kind = (typeof KINDS)[number];

/**
 * How a check reaches its destination: as the packets of its service do, by the tables, at
 * the address of the service; or at the destination's own address.
 */
export const VIAS = ['tunnel', 'link', 'address'] as const;
export type Via = (typeof VIAS)[number];

/** What a check says, and what it takes for an answer. A kind has only what it needs. */
export interface Question {
  kind: Kind;
  /** http, https: path and query. */
  path?: string;
  /** http, https, grpc: the name of the host, also in TLS. */
  host?: string;
  /** http, https: ranges of statuses that pass, both ends included. */
  status?: readonly (readonly [number, number])[];
  /** https: whether the certificate has to be right. */
  verify?: boolean;
  /** dns: the name that is asked for. */
  name?: string;
  /** tcp, udp: what is sent. */
  send?: string;
  /** tcp, udp: what the answer has to begin with. */
  expect?: string;
  /** grpc: the service whose health is asked for; empty: of the whole server. */
  service?: string;
  /** exec: a program and its arguments; address and port come behind them. */
  command?: readonly string[];
}

/** A question with whom it goes to. */
export interface Probe extends Question {
  address: string;
  port: number;
  /** Further addresses that have to pass, too. */
  alsoAt?: readonly string[];
  /** Where it is sent from, if that matters. */
  localAddress?: string;
  localPort?: number;
}

/** A probe that is asked again and again; times in milliseconds. */
export interface Check {
  /** Equal for checks that mean the same: they are asked once. */
  key: string;
  probe: Probe;
  interval: number;
  timeout: number;
  /** The entry of the tables that says where its packets go; undefined: they need none. */
  through?: Through;
  /** The ports that it is sent from, in turn. */
  localPorts?: readonly number[];
}

/** A destination of a service. */
export interface Through {
  service: string;
  /** As formatEndpoint() writes it. */
  destination: string;
}

/** How one of them ended. */
export interface Checked {
  key: string;
  /** Milliseconds that it took. */
  took: number;
  /** Undefined: it says nothing about the destination. */
  passed?: boolean;
  reason: string;
}

/** Whatever two checks have in common if one answer is good for both. */
export function keyOf(
  probe: Probe,
  interval: number,
  timeout: number,
  through?: Through,
): string {
  const parts = Object.entries(probe)
    .filter(([, value]) => value !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1));
  // Entries differ in more than the address that they lead to, so none is shared.
  const entry = through ? [through.service, through.destination] : [];
  return JSON.stringify([parts, interval, timeout, ...entry]);
}
