// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What stands in the configurations of routing daemons. Some of it comes from a store, so
 * each word is read and written anew: nothing but addresses and numbers gets into a file.
 */
import { Fault } from '../../text/fault.js';
import { must } from '../../text/must.js';
import {
  addressFault,
  formatAddress,
  onWire,
  parseAddress,
  unusableAddress,
} from '../../wire/address.js';

/** BFD between a router and a balancer. */
export interface Bfd {
  /** Milliseconds between two packets. */
  interval: number;
  /** After so many that did not come the neighbour is down. */
  multiplier: number;
}

/** The usual times: a silent cut is noticed after 300 ms. 10 ms flap on a busy machine. */
export const USUAL_BFD: Bfd = { interval: 100, multiplier: 3 };
/** Seconds after which BGP alone gives a silent neighbour up. */
export const USUAL_HOLD = 9;

export interface Prefix {
  address: string;
  length: number;
}

export interface ByFamily<T> {
  ipv4: T;
  ipv6: T;
}

export const FAMILIES = ['ipv4', 'ipv6'] as const;

/** An address as it is written in a configuration, or a Fault. */
export function addressWord(text: string, what: string): string {
  const address = parseAddress(text);
  if (!address) throw new Fault(`${what} "${text}" ${addressFault(text)}`);
  const unusable = unusableAddress(address);
  if (unusable) throw new Fault(`${what} ${text} cannot be used: ${unusable}`);
  return formatAddress(address);
}

export function ipv4Word(text: string, what: string): string {
  const address = addressWord(text, what);
  if (address.includes(':')) throw new Fault(`${what} ${text} is not an IPv4 address`);
  return address;
}

export function ipv6Word(text: string, what: string): string {
  const address = addressWord(text, what);
  if (!address.includes(':')) throw new Fault(`${what} ${text} is not an IPv6 address`);
  return address;
}

export function numberWord(
  value: number,
  least: number,
  most: number,
  what: string,
): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Fault(`${what} is ${value}, not a whole number from ${least} to ${most}`);
}

export function asWord(value: number, what: string): number {
  return numberWord(value, 1, 0xffff_fffe, `the AS number of ${what}`);
}

/** The name of a device, or with * at its end the names of many; * alone is all. */
export function deviceWord(text: string): string {
  if (/^(?:[\w.:@-]{1,15}\*?|\*)$/.test(text)) return text;
  throw new Fault(`"${text}" cannot stand in a configuration as the name of a device`);
}

/** A name of a protocol or a filter in BIRD, where some words are taken. */
export function symbol(text: string, prefix: string): string {
  const name = `${prefix}_${text.replaceAll(/[^A-Za-z0-9]/g, '_')}`;
  if (name.length <= 60) return name;
  throw new Fault(`"${text}" is too long for a name in a configuration`);
}

/** Reads ADDRESS or ADDRESS/LENGTH; all addresses of services lie in such prefixes. */
export function parsePrefix(text: string): Prefix {
  const [host = '', bits, ...more] = text.split('/');
  const address = addressWord(host, 'the prefix');
  const most = address.includes(':') ? 128 : 32;
  const length = /^\d{1,3}$/.test(bits ?? String(most)) ? Number(bits ?? most) : NaN;
  if (more.length > 0 || !(length >= 1 && length <= most)) {
    throw new Fault(`"${text}" is neither an address nor ADDRESS/LENGTH`);
  }
  if (bitsBehind(address, length).includes('1')) {
    throw new Fault(`"${text}" has bits set after its length`);
  }
  return { address, length };
}

function bitsBehind(text: string, length: number): string {
  const address = onWire(must(parseAddress(text), text));
  const bits = [...address].map((byte) => byte.toString(2).padStart(8, '0'));
  return bits.join('').slice(length);
}

/** Sorts prefixes by family; a Fault if there is none at all. */
export function prefixesByFamily(texts: readonly string[]): ByFamily<Prefix[]> {
  if (texts.length === 0) throw new Fault('there is no address to announce');
  const all = texts.map(parsePrefix);
  const isIpv6 = ({ address }: Prefix): boolean => address.includes(':');
  return { ipv4: all.filter((one) => !isIpv6(one)), ipv6: all.filter(isIpv6) };
}
