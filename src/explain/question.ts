// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads the packet that is asked about from words. */
import { Fault } from '../text/fault.js';
import type { Endpoint } from '../wire/frame.js';
import { protocolNumber } from '../wire/protocols.js';
import { isIpv6, parseAddress } from '../wire/address.js';

/** Reads ADDR:PORT, with brackets around an IPv6 address, or throws a Fault. */
export function parseEndpoint(text: string): Endpoint {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (!match) {
    throw new Fault(`"${text}" is not of the form ADDR:PORT, or [ADDR]:PORT in IPv6`);
  }
  const [, ipv6, ipv4, portText] = match;
  const address = parseAddress(ipv6 ?? ipv4 ?? '');
  if (!address || isIpv6(address) !== (ipv6 !== undefined)) {
    throw new Fault(`"${text}" has no IP address before its port`);
  }
  const port = Number(portText);
  if (port > 65535) throw new Fault(`"${text}" has no port from 0 to 65535`);
  return { address, port };
}

/** Reads ADDR:PORT[/PROTO]. Without a protocol it is TCP. */
export function parseTarget(text: string): Endpoint & { protocol: number } {
  const [where = '', name = 'tcp', ...more] = text.split('/');
  const protocol = protocolNumber(name);
  if (protocol === undefined || more.length > 0) {
    throw new Fault(`"${text}" does not end in /tcp or /udp`);
  }
  return { ...parseEndpoint(where), protocol };
}

const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR'];

/** Reads names separated by commas, or throws a Fault. */
export function parseTcpFlags(text: string): number {
  let flags = 0;
  for (const name of text === 'none' ? [] : text.split(',')) {
    const bit = FLAGS.indexOf(name.toUpperCase());
    if (bit < 0) {
      throw new Fault(`"${text}" is neither "none" nor a list of ${FLAGS.join(', ')}`);
    }
    flags |= 1 << bit;
  }
  return flags;
}

export function nameTcpFlags(flags: number): string {
  return FLAGS.filter((_, bit) => flags & (1 << bit)).join(',') || 'none';
}
