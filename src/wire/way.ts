// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Ways into services, as people write them. */
import { Fault } from '../text/fault.js';
import {
  ANY_ADDRESS,
  NO_ADDRESS,
  addressFault,
  compareBytes,
  formatAddress,
  isIpv6,
  parseAddress,
  unusableAddress,
} from './address.js';
import { TCP, UDP, protocolName, protocolNumber } from './protocols.js';

/** (address, port, protocol); address `::` and port 0 stand for any. */
export interface Way {
  address: Buffer;
  port: number;
  protocol: number;
}

/** All TCP and UDP to any address: the way in if none is named. */
export const EVERYTHING: readonly Way[] = [
  { address: ANY_ADDRESS, port: 0, protocol: TCP },
  { address: ANY_ADDRESS, port: 0, protocol: UDP },
];

/** An IPv6 address stands in brackets where a port follows, as in a URL. */
const FORM = 'it is not of the form ADDR[:PORT][/PROTO]';

interface Parts {
  host: string;
  /** Undefined stands for all ports. */
  port: string | undefined;
}

/** Cuts an address from its port. */
function splitPort(text: string): Parts {
  if (text.startsWith('[')) {
    const [, host, rest = ''] = /^\[([^\]]+)\](.*)$/s.exec(text) ?? [];
    if (host === undefined) throw new Fault('its bracket is never closed');
    if (!host.includes(':')) throw new Fault('brackets are for IPv6 addresses');
    if (rest !== '' && !rest.startsWith(':')) throw new Fault(FORM);
    return { host, port: rest === '' ? undefined : rest.slice(1) };
  }
  const [host = '', ...rest] = text.split(':');
  // Two colons make it IPv6, unless what is before the first can only be IPv4.
  if (rest.length > 1 && !host.includes('.')) return { host: text, port: undefined };
  return { host, port: rest.length === 0 ? undefined : rest.join(':') };
}

/** Reads ADDR[:PORT][/PROTO], or throws a Fault. */
export function parseWays(text: string): Way[] {
  const slash = text.indexOf('/');
  const protocolText = slash === -1 ? undefined : text.slice(slash + 1);
  const parts = splitPort(slash === -1 ? text : text.slice(0, slash));
  const { host, port: portText } = parts;
  if (host === '') throw new Fault(FORM);

  const address = host === 'any' ? ANY_ADDRESS : parseAddress(host);
  if (!address) {
    const fault = addressFault(host);
    const isBare = fault === NO_ADDRESS && host.includes(':') && !text.startsWith('[');
    throw new Fault(`"${host}" ${fault}${isBare ? '; with a port: [ADDR]:PORT' : ''}`);
  }
  const unusable = address === ANY_ADDRESS ? undefined : unusableAddress(address);
  if (unusable) throw new Fault(`${host} cannot be a service's address: ${unusable}`);

  let port = 0;
  if (portText !== undefined) {
    if (!/^\d{1,5}$/.test(portText) || Number(portText) < 1 || Number(portText) > 65535) {
      throw new Fault(`"${portText}" is not a port from 1 to 65535`);
    }
    if (address === ANY_ADDRESS) throw new Fault('a port needs an address before it');
    port = Number(portText);
  }

  if (protocolText === undefined) {
    return [TCP, UDP].map((protocol) => ({ address, port, protocol }));
  }
  const protocol = protocolNumber(protocolText);
  if (protocol === undefined) throw new Fault(`"${protocolText}" is neither tcp nor udp`);
  return [{ address, port, protocol }];
}

export function formatWay(way: Way): string {
  return `${formatHost(way)}/${protocolName(way.protocol) ?? way.protocol}`;
}

/** Address and port, without the protocol. */
export function formatHost({ address, port }: Pick<Way, 'address' | 'port'>): string {
  const host = formatAddress(address);
  if (port === 0) return host;
  return isIpv6(address) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** One way has one key, whatever service it leads to. */
export function wayKey(way: Way): string {
  return `${way.address.toString('hex')}:${way.port}/${way.protocol}`;
}

export function compareWays(one: Way, other: Way): number {
  return (
    compareBytes(one.address, other.address) ||
    one.port - other.port ||
    one.protocol - other.protocol
  );
}

/** Returns the version in a cell: 4, 6, or 0 for any address. */
export function versionOf(address: Buffer): number {
  if (address.equals(ANY_ADDRESS)) return 0;
  return isIpv6(address) ? 6 : 4;
}
