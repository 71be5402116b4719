// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Packets of a nat service, and what has to become of them: both are built from the same
 * parts, with all checksums right. The model and the program are held against them.
 */
import {
  ICMP,
  ICMPV6,
  TCP,
  UDP,
  checksum,
  ethernet,
  extension,
  icmp,
  ip,
  packet,
  tcp,
  u16,
  udp,
} from './frames.js';

export const MACS = {
  balancer: '02:00:00:00:00:04',
  sender: '02:00:00:00:00:01',
  destination: '02:00:0a:00:01:0f',
};

/** One end of a connection. */
interface End {
  address: string;
  port: number;
}

export interface NatCase {
  client: End;
  vip: End;
  destination: End;
  router: string;
}

export const NAT: Record<'IPv4' | 'IPv6', NatCase> = {
  IPv4: {
    client: { address: '192.0.2.7', port: 4242 },
    vip: { address: '203.0.113.10', port: 80 },
    destination: { address: '10.0.1.15', port: 8080 },
    router: '198.51.100.1',
  },
  IPv6: {
    client: { address: '2001:db8:1::7', port: 4242 },
    vip: { address: '2001:db8::10', port: 80 },
    destination: { address: 'fd00::15', port: 8080 },
    router: '2001:db8:9::1',
  },
};

export interface NatRow {
  what: string;
  verdict: 'balanced' | 'answer passed';
  comes: Buffer;
  goes: Buffer;
}

const CONTENT = Buffer.from('hello');

function summed(from: string, to: string, protocol: number, segment: Buffer): Buffer {
  const whole = Buffer.concat([
    ...[ip(from), ip(to), u16(protocol), u16(segment.length), segment],
  ]);
  segment.writeUInt16BE(checksum(whole), protocol === TCP ? 16 : 6);
  return segment;
}

const ports = (from: End, to: End): { from: number; to: number } => ({
  from: from.port,
  to: to.port,
});

function tcpPacket(from: End, to: End): Buffer {
  const segment = Buffer.concat([tcp(ports(from, to), 0x18), CONTENT]);
  const between = { from: from.address, to: to.address };
  return packet(
    { ...between, protocol: TCP },
    summed(between.from, between.to, TCP, segment),
  );
}

function udpPacket(from: End, to: End, hasSum = true): Buffer {
  const between = { from: from.address, to: to.address };
  const datagram = udp(ports(from, to), CONTENT);
  const content = hasSum ? summed(between.from, between.to, UDP, datagram) : datagram;
  return packet({ ...between, protocol: UDP }, content);
}

/** IPv6 with an extension header; IPv4 has none. */
function extended(from: End, to: End): Buffer {
  const between = { from: from.address, to: to.address };
  const content = summed(between.from, between.to, UDP, udp(ports(from, to), CONTENT));
  return packet({ ...between, protocol: 60 }, Buffer.concat([extension(UDP), content]));
}

/** "Port unreachable", with so many bytes of the packet. */
function error(from: string, to: string, quoted: Buffer, bytes = quoted.length): Buffer {
  const between = { from, to };
  const quote = quoted.subarray(0, bytes);
  return from.includes(':')
    ? packet(
        { ...between, protocol: ICMPV6 },
        icmp(1, 4, Buffer.alloc(4), quote, between),
      )
    : packet({ ...between, protocol: ICMP }, icmp(3, 3, Buffer.alloc(4), quote));
}

export function natRows({ client, vip, destination, router }: NatCase): NatRow[] {
  const isV4 = !client.address.includes(':');
  const header = isV4 ? 20 : 40;
  const toBalancer = { to: MACS.balancer, from: MACS.sender };
  const onward = { to: MACS.destination, from: MACS.balancer };
  const tags: [number, number][] = [[0x8100, 7]];
  /** What a client sends, by the end that it sends to. */
  const sent = (
    what: string,
    make: (end: End) => Buffer,
    with_: { tags?: [number, number][] } = {},
  ): NatRow => ({
    what,
    verdict: 'balanced',
    comes: ethernet({ ...toBalancer, ...with_ }, make(vip)),
    goes: ethernet({ ...onward, ...with_ }, make(destination)),
  });
  /** What comes back, by the end that it comes from. */
  const back = (
    what: string,
    make: (end: End) => Buffer,
    with_: { tags?: [number, number][] } = {},
  ): NatRow => ({
    what,
    verdict: 'answer passed',
    comes: ethernet({ ...toBalancer, ...with_ }, make(destination)),
    goes: ethernet({ ...toBalancer, ...with_ }, make(vip)),
  });
  return [
    sent('TCP', (end) => tcpPacket(client, end)),
    sent('UDP', (end) => udpPacket(client, end)),
    sent('UDP with a tag', (end) => udpPacket(client, end), { tags }),
    sent('an error of a router about an answer', (end) =>
      error(router, end.address, tcpPacket(end, client)),
    ),
    sent('an error of the client about an answer, with 8 bytes of it', (end) =>
      error(client.address, end.address, udpPacket(end, client), header + 8),
    ),
    back('TCP', (end) => tcpPacket(end, client)),
    back('UDP', (end) => udpPacket(end, client)),
    back('TCP with a tag', (end) => tcpPacket(end, client), { tags }),
    back('an error of a router about a request', (end) =>
      error(router, client.address, udpPacket(client, end)),
    ),
    back('an error of the destination about a request', (end) =>
      error(end.address, client.address, udpPacket(client, end)),
    ),
    back('an error with 8 bytes of a TCP request, without its checksum', (end) =>
      error(router, client.address, tcpPacket(client, end), header + 8),
    ),
    ...(isV4
      ? [
          sent('UDP without a checksum', (end) => udpPacket(client, end, false)),
          back('UDP without a checksum', (end) => udpPacket(end, client, false)),
          sent('an error about an answer without a checksum', (end) =>
            error(router, end.address, udpPacket(end, client, false)),
          ),
        ]
      : [
          sent('UDP behind an extension header', (end) => extended(client, end)),
          back('UDP behind an extension header', (end) => extended(end, client)),
        ]),
  ];
}

/** What is no answer stays as it is: from another port of a destination. */
export function noAnswer({ client, destination }: NatCase): Buffer {
  const toBalancer = { to: MACS.balancer, from: MACS.sender };
  return ethernet(toBalancer, tcpPacket({ ...destination, port: 8081 }, client));
}
