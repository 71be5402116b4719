// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The packet that is asked about, read from words. */
import type { Endpoint } from '../wire/frame.js';
import { protocolNumber } from '../wire/protocols.js';
import { isIpv6, parseAddress } from '../wire/address.js';

/** ADDR:PORT, with brackets around an IPv6 address, or what is wrong with it. */
export function parseEndpoint(text: string): Endpoint | string {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (!match) return 'is not of the form ADDR:PORT, or [ADDR]:PORT in IPv6';
  const [, ipv6, ipv4, portText] = match;
  const address = parseAddress(ipv6 ?? ipv4 ?? '');
  if (!address || isIpv6(address) !== (ipv6 !== undefined)) {
    return 'has no IP address before its port';
  }
  const port = Number(portText);
  return port > 65535 ? 'has no port from 0 to 65535' : { address, port };
}

/** ADDR:PORT[/PROTO]; TCP where no protocol stands. */
export function parseTarget(text: string): (Endpoint & { protocol: number }) | string {
  const [where = '', name = 'tcp', ...more] = text.split('/');
  const protocol = protocolNumber(name);
  if (protocol === undefined || more.length > 0) return 'does not end in /tcp or /udp';
  const endpoint = parseEndpoint(where);
  return typeof endpoint === 'string' ? endpoint : { ...endpoint, protocol };
}

const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR'];

/** Names with commas in between, or what is wrong with them. */
export function parseTcpFlags(text: string): number | string {
  let flags = 0;
  for (const name of text === 'none' ? [] : text.split(',')) {
    const bit = FLAGS.indexOf(name.toUpperCase());
    if (bit < 0) return `has a name that is none of ${FLAGS.join(', ')}, nor "none"`;
    flags |= 1 << bit;
  }
  return flags;
}

export function nameTcpFlags(flags: number): string {
  return FLAGS.filter((_, bit) => flags & (1 << bit)).join(',') || 'none';
}
