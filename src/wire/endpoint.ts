// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * A destination as people write it, which is also what tells it from the others of its
 * service: an address, with a port where its packets get another one.
 */
import { isIPv6 } from 'node:net';

import { Fault, tryParse } from '../text/fault.js';
import {
  ANY_ADDRESS,
  addressFault,
  compareBytes,
  formatAddress,
  isIpv6,
  parseAddress,
  unusableAddress,
} from './address.js';
import type { EntryForward } from './forward.js';

export interface Endpoint {
  address: Buffer;
  /** 0, undefined: packets keep their port. */
  port?: number | undefined;
  /** Only "local" counts: that is part of its name. */
  forward?: EntryForward | undefined;
}

const LOCAL = 'local:';

export function formatEndpoint({ address, port = 0, forward }: Endpoint): string {
  const host = formatAddress(address);
  const text = port === 0 ? host : `${isIpv6(address) ? `[${host}]` : host}:${port}`;
  return forward === 'local' ? LOCAL + text : text;
}

/** Reads ADDR, ADDR:PORT or [ADDR]:PORT, with `local:` in front or not; throws a Fault. */
export function parseEndpoint(text: string): Endpoint {
  const isLocal = text.startsWith(LOCAL);
  const rest = isLocal ? text.slice(LOCAL.length) : text;
  const { host, port } = splitPort(rest);
  const address = parseAddress(host);
  if (!address) throw new Fault(`${JSON.stringify(text)} ${addressFault(host)}`);
  const unusable = isLocal ? undefined : unusableAddress(address);
  if (unusable !== undefined)
    throw new Fault(`${text} cannot be a destination: ${unusable}`);
  return {
    address,
    ...(port !== undefined && { port: parsePort(text, port) }),
    ...(isLocal && { forward: 'local' as const }),
  };
}

/** An IPv6 address has colons of its own, so a port behind it needs brackets. */
function splitPort(text: string): { host: string; port?: string | undefined } {
  const [, inside, after] = /^\[([^[\]]*)\](?::(.*))?$/.exec(text) ?? [];
  if (inside !== undefined) return { host: inside, port: after };
  const [, host, port] = /^([^:]*):([^:]*)$/.exec(text) ?? [];
  return host === undefined || isIPv6(text) ? { host: text } : { host, port };
}

function parsePort(text: string, port: string): number {
  const isPort = /^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65535;
  if (isPort) return Number(port);
  throw new Fault(
    `${JSON.stringify(text)} has no port from 1 to 65535 behind its address`,
  );
}

/** Orders by address, then by port. */
export function compareEndpoints(one: Endpoint, other: Endpoint): number {
  return (
    compareBytes(one.address, other.address) ||
    (one.port ?? 0) - (other.port ?? 0) ||
    Number(one.forward === 'local') - Number(other.forward === 'local')
  );
}

export function sameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return compareEndpoints(one, other) === 0;
}

/**
 * Returns a sorted copy; each name is read once, which matters for thousands. What is no
 * name of a destination comes first.
 */
export function sortedByName<T>(all: readonly T[], nameOf: (one: T) => string): T[] {
  return all
    .map((one) => {
      const key = tryParse(() => parseEndpoint(nameOf(one)));
      return { one, key: key instanceof Fault ? { address: ANY_ADDRESS } : key };
    })
    .sort((a, b) => compareEndpoints(a.key, b.key))
    .map(({ one }) => one);
}
