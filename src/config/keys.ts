// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The keys of a config file, for its reader, its manual page and the reference. */

export interface Key {
  name: string;
  meaning: string;
  /** The value if the key is missing, or "required". */
  usual: string;
}

/** Keys before the first [[service]], apart from the services themselves. */
export const TOP_KEYS: readonly Key[] = [
  {
    name: 'source',
    meaning: 'source of the outer header, for services that name none of their own',
    usual: "the device's own addresses",
  },
  {
    name: 'echo',
    meaning: 'whether the balancer answers ICMP echo to the address of a service',
    usual: 'true',
  },
  {
    name: 'answers',
    meaning:
      'who sends the answers that come back through this host on to clients: the "kernel" by its routes, or "xdp" by them where it can, which costs less',
    usual: '"kernel"',
  },
  {
    name: 'names',
    meaning:
      'where destinations decide (`remember`): prefix of the outer sources that name previous destinations, such as "10.7.0.0/16", or a list with one for each family',
    usual: 'unchanged',
  },
  {
    name: 'seed',
    meaning:
      'of the hash that chooses slots: a passphrase that all balancers of a fleet share, or "random", which is drawn once and kept; cannot change while there are services',
    usual: 'unchanged; at first one that is public',
  },
];

/** Of the table `daemon`. */
export const DAEMON_KEYS: readonly Key[] = [
  {
    name: 'listen',
    meaning:
      'address and port where `l4lbd` tells by HTTP what it knows, to whoever asks, such as "127.0.0.1:9109": metrics, status, events, a page; without `token_file` nothing can be changed there',
    usual: 'only its socket below /run/l4lb',
  },
  {
    name: 'names',
    meaning:
      'names of this host by which browsers ask at `listen`, one or a list; its addresses and "localhost" are always right, and any other name may be a foreign site\'s',
    usual: 'none',
  },
  {
    name: 'token_file',
    meaning:
      'a file with a token of at least 16 characters, which others cannot read, such as "/etc/l4lb/token"; whoever has the token may drain destinations at `listen`',
    usual: 'nobody may',
  },
  {
    name: 'on_change',
    meaning:
      'a list of a program and its arguments that `l4lbd` runs when a destination or a service changes; the event is behind them, as words, and on stdin, as JSON; no shell',
    usual: 'none',
  },
];

export const WAY_KEYS: readonly Key[] = [
  {
    name: 'address',
    meaning: 'address of the service: one, a list, or "any"',
    usual: 'required unless "ways" is set',
  },
  {
    name: 'ports',
    meaning: 'ports of the service: one, a list, or "all"',
    usual: '"all"',
  },
  { name: 'protocol', meaning: '"tcp", "udp", or both in a list', usual: 'both' },
];

export const SERVICE_KEYS: readonly Key[] = [
  {
    name: 'name',
    meaning:
      'name of the service in messages: at most 63 letters, digits and _ . : / - [ ]',
    usual: 'required',
  },
  ...WAY_KEYS,
  {
    name: 'ways',
    meaning:
      'in place of address, ports and protocol: a list of ADDR[:PORT][/PROTO], such as "192.0.2.31:5060/udp"',
    usual: 'none',
  },
  {
    name: 'hash',
    meaning:
      'what chooses the destination: "source+ports", or "source", which sends all connections of a client to one destination',
    usual: '"source+ports"',
  },
  {
    name: 'udp',
    meaning:
      'where UDP packets go while a slot is hot: to its "current" or its "previous" destination',
    usual: '"current"',
  },
  {
    name: 'table',
    meaning:
      '"consistent", or "minimal": a change moves the fewest slots, but no other balancer has the same table',
    usual: '"consistent", or what the command line says',
  },
  {
    name: 'remember',
    meaning:
      'who knows the connections of a hot slot: the "balancer", by records, or the "destinations", by their sockets: they then run the decapsulation program with --names',
    usual: '"balancer", or what the command line says',
  },
  {
    name: 'forward',
    meaning:
      'how packets reach the destinations: through a "tunnel"; on the same "link" by their MAC addresses only, so they have the address of the service on their loopback device; by "nat", with their address and port in place of those of the service, and answers through the balancer; or by "full-nat", with an address of `source` in place of the client\'s, too',
    usual: '"tunnel", or what the command line says',
  },
  {
    name: 'take_ssh',
    meaning:
      'whether a way on all ports takes ssh too, and does not leave it to the host',
    usual: 'false',
  },
  {
    name: 'slots',
    meaning: 'slots of the service, a power of two; fixed for its life',
    usual: 'unchanged; for a new service 65536, or as many as there are',
  },
  {
    name: 'source',
    meaning:
      'source of the outer header: an address, or a list with one for each family; a prefix such as "10.7.0.0/24" spreads connections over it; by full-nat the addresses that connections are sent on from, each with 32,768 ports',
    usual: "the source at the top, or the device's own address; full-nat needs one",
  },
  {
    name: 'idle',
    meaning:
      'a hot slot may go cold after this time without a packet that needs its memory: 300, "300s" or "5m"',
    usual: '300 seconds, or what the command line says',
  },
  {
    name: 'drain_deadline',
    meaning:
      'the longest time for which a destination of weight 0 keeps its connections, to the minute',
    usual: 'none',
  },
  {
    name: 'check',
    meaning:
      'how `l4lbd` learns which destinations serve: a kind such as "tcp", or a table as below; `l4lb-map` only looks whether it is right',
    usual: 'none: all serve',
  },
  {
    name: 'destinations',
    meaning: 'a list of addresses, or of { address, mac, weight }',
    usual: 'required unless "file" is set',
  },
  {
    name: 'file',
    meaning:
      'a file of rows "address, MAC[, weight]"; its name is relative to the config file',
    usual: 'none',
  },
];

/** Of the table `check` of a service. */
export const CHECK_KEYS: readonly Key[] = [
  {
    name: 'kind',
    meaning:
      '"tcp": it accepts a connection; "http", "https": it answers with a right status; "dns": it knows a name; "udp": it answers; "grpc": its health service says SERVING; "exec": a program of yours ends with 0',
    usual: 'required',
  },
  {
    name: 'port',
    meaning: 'port that is asked',
    usual: 'the port of the service, if it has one; by nat that of the destination',
  },
  {
    name: 'via',
    meaning:
      'how the check gets there: through the "tunnel" or by the "link", as the packets of the service do, to the address of the service; or to the "address" of the destination',
    usual: 'as the packets, if it can; else "address"',
  },
  { name: 'path', meaning: 'http, https: path and query', usual: '"/"' },
  {
    name: 'host',
    meaning: 'http, https, grpc: the host that is named, also in TLS',
    usual: 'the address that is asked',
  },
  {
    name: 'status',
    meaning: 'http, https: statuses that pass: 200, "200-399", or a list',
    usual: '"200-399"',
  },
  {
    name: 'verify',
    meaning: 'https: whether the certificate has to be right',
    usual: 'false',
  },
  { name: 'name', meaning: 'dns: the name that is asked for', usual: '"."' },
  {
    name: 'send',
    meaning: 'tcp, udp: what is sent, such as "PING\\r\\n"',
    usual: 'nothing; by udp an empty datagram',
  },
  {
    name: 'expect',
    meaning: 'tcp, udp: what the answer has to begin with',
    usual: 'nothing; by udp any answer',
  },
  {
    name: 'service',
    meaning: 'grpc: the service whose health is asked for',
    usual: 'the whole server',
  },
  {
    name: 'command',
    meaning:
      'exec: a list of a program and its arguments; it gets address and port behind them, no shell, and 16 run at once',
    usual: 'required for exec',
  },
  {
    name: 'interval',
    meaning: 'between two checks: 1, "500ms", "5s" or "1m"',
    usual: '"1s"',
  },
  {
    name: 'timeout',
    meaning: 'how long an answer may take',
    usual: '"500ms", or the interval',
  },
  {
    name: 'fast',
    meaning: 'between two checks while the next one may decide',
    usual: '"250ms", or the interval',
  },
  {
    name: 'rise',
    meaning:
      'checks in a row that have to pass until a destination that was down is up; twice as many each time that it went down within ten minutes',
    usual: '2',
  },
  {
    name: 'fall',
    meaning: 'checks in a row that have to fail until it is down',
    usual: '3',
  },
  {
    name: 'dead_after',
    meaning:
      'a destination that is down keeps the connections that it has for this long; then no packet goes there any more',
    usual: '"30s"',
  },
  {
    name: 'slow_start',
    meaning:
      'time in which a destination that is up again gets its share back, in ten steps',
    usual: 'at once',
  },
  {
    name: 'on_panic',
    meaning:
      'what happens below half of the weight of the service: "keep" changes nothing more, "all" sends to all as if they were well, "off" believes the checks',
    usual: '"keep"',
  },
  {
    name: 'all_down',
    meaning:
      'in a fleet, what happens while no destination passes: "serve" goes on as on_panic says, "withdraw" announces the addresses of the service no more',
    usual: '"serve"',
  },
  {
    name: 'most_moves',
    meaning:
      'how many of the slots of the service health may move in a minute, in percent',
    usual: '20',
  },
];

export const DESTINATION_KEYS: readonly Key[] = [
  {
    name: 'address',
    meaning:
      'IPv4 or IPv6 address; by nat also with the port that packets get, such as "10.0.1.1:8080" or "[fd00::1]:8080"; or that of a server on this host, with its port: "local:127.0.0.23:223"',
    usual: 'required',
  },
  {
    name: 'mac',
    meaning: 'MAC address of the destination, or of the router on the way to it',
    usual: 'looked up',
  },
  {
    name: 'device',
    meaning:
      'device that leads to the destination, if packets do not come in on it; one of a VLAN is the device beneath it with a tag',
    usual: "the one that the kernel's route has; with a mac, the device that is balanced",
  },
  {
    name: 'weight',
    meaning: 'share of the slots, from 0 to 65535; 0 drains the destination',
    usual: '1',
  },
  {
    name: 'backup',
    meaning: 'whether it gets packets only while no other destination serves, by `l4lbd`',
    usual: 'false',
  },
];

export function namesOf(keys: readonly Key[]): string[] {
  return keys.map(({ name }) => name);
}
