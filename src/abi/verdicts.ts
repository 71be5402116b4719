// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** L4LB_VERDICTS: each packet is counted under exactly one, which says what happens to it. */

/** REDIRECT is TX by another device. */
export type Action = 'TX' | 'REDIRECT' | 'PASS' | 'DROP';

export interface Verdict {
  number: number;
  name: string;
  action: Action;
  meaning: string;
}

/**
 * In the order of their numbers: 0 sends, 1 to 15 pass, 16 to 31 drop, 32 to 39 answer, and
 * 40 to 47 send on where the kernel's routes lead.
 */
export const VERDICTS = [
  { number: 0, name: 'balanced', action: 'TX', meaning: 'sent to a destination' },
  {
    number: 1,
    name: 'not ip',
    action: 'PASS',
    meaning: 'the frame holds no IP packet: ARP, LLDP, a third VLAN tag',
  },
  {
    number: 2,
    name: 'not tcp or udp',
    action: 'PASS',
    meaning: 'IP, but not TCP, UDP or an ICMP error about them',
  },
  {
    number: 3,
    name: 'not ours',
    action: 'PASS',
    meaning: 'no service has this address, port and protocol',
  },
  {
    number: 4,
    name: 'not for us',
    action: 'PASS',
    meaning: 'sent to a group, or to the MAC address of another device',
  },
  {
    number: 5,
    name: 'ssh kept',
    action: 'PASS',
    meaning: 'ssh to the host, let through a service on all ports',
  },
  {
    number: 6,
    name: 'dhcp kept',
    action: 'PASS',
    meaning: 'a DHCP answer, let through a service on all ports',
  },
  {
    number: 7,
    name: 'empty slot',
    action: 'PASS',
    meaning: 'the slot of this packet has no destination',
  },
  {
    number: 8,
    name: 'answer passed',
    action: 'PASS',
    meaning: "an answer to a client, with the service's address as source",
  },
  {
    number: 9,
    name: 'local server',
    action: 'PASS',
    meaning: 'for a server on this host, which the kernel hands it to',
  },
  {
    number: 16,
    name: 'fragment',
    action: 'DROP',
    meaning: 'a fragment whose service cannot be found without a port',
  },
  {
    number: 17,
    name: 'malformed',
    action: 'DROP',
    meaning: 'a header is cut short, or a length exceeds the packet',
  },
  {
    number: 18,
    name: 'too big',
    action: 'DROP',
    meaning: 'longer than the way to its destination can carry',
  },
  {
    number: 19,
    name: 'no room',
    action: 'DROP',
    meaning: 'the frame has no room for an outer header',
  },
  {
    number: 20,
    name: 'extension headers',
    action: 'DROP',
    meaning: 'too many IPv6 extension headers, or a route with more hops',
  },
  {
    number: 21,
    name: 'echo limited',
    action: 'DROP',
    meaning: 'an ICMP echo request beyond the limit per second',
  },
  {
    number: 22,
    name: 'exit gone',
    action: 'DROP',
    meaning: 'the device that leads to its destination is not there any more',
  },
  {
    number: 23,
    name: 'other family',
    action: 'DROP',
    meaning: 'nat cannot turn IPv4 into IPv6, as its destination needs',
  },
  {
    number: 24,
    name: 'no port',
    action: 'DROP',
    meaning: 'full-nat has no port left for a new connection',
  },
  {
    number: 25,
    name: 'no connection',
    action: 'DROP',
    meaning: 'full-nat has no port for it, and it begins no connection',
  },
  {
    number: 32,
    name: 'echo answered',
    action: 'TX',
    meaning: "an ICMP echo request to a service's address, answered",
  },
  {
    number: 33,
    name: 'too big told',
    action: 'TX',
    meaning: 'too big, and the sender was told what would fit',
  },
  {
    number: 40,
    name: 'answer sent',
    action: 'REDIRECT',
    meaning: 'as answer passed, but XDP sends it to the client',
  },
] as const satisfies Verdict[];
export type VerdictName = (typeof VERDICTS)[number]['name'];

/**
 * Packets under this verdict count for their destination too, as balanced ones do. The
 * program does not count balanced ones as such: they are the others of all destinations.
 */
export const LOCAL_SERVER = 9;
