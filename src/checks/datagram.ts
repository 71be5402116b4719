// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checks by UDP: udp itself, and dns. */
import { createSocket } from 'node:dgram';

import type { Probe } from '../health/check.js';
import type { Ask, Done } from './attempt.js';
import { fail, once } from './attempt.js';
import { startsWith } from './stream.js';

/** Any answer passes, unless it has to begin with something. */
export const askUdp: Ask = (probe, done) => {
  const { send = '', expect = '' } = probe;
  const right = startsWith(expect);
  return talk(probe, Buffer.from(send, 'latin1'), done, (bytes) => {
    const { passed, reason } = right(bytes.toString('latin1')) ?? {
      passed: false,
      reason: 'its answer is too short',
    };
    return { passed, reason };
  });
};

const RCODES = new Map([
  [1, 'FORMERR'],
  [2, 'SERVFAIL'],
  [3, 'NXDOMAIN'],
  [4, 'NOTIMP'],
  [5, 'REFUSED'],
]);

/** Asks for an address. A server passes that knows the name, whether or not it has one. */
export const askDns: Ask = (probe, done) => {
  const id = Math.floor(Math.random() * 0x10000);
  const asked = query(id, probe.name ?? '.');
  return talk(probe, asked, done, (bytes) => {
    if (bytes.length < 12 || bytes.readUInt16BE(0) !== id) return undefined;
    const isResponse = (bytes.readUInt8(2) & 0x80) !== 0;
    if (!isResponse) return { passed: false, reason: 'no DNS answer' };
    const code = bytes.readUInt8(3) & 15;
    if (code === 0 && !repeats(bytes, asked))
      return { passed: false, reason: 'NOERROR to another question' };
    if (code === 0) return { passed: true, reason: 'NOERROR' };
    return { passed: false, reason: RCODES.get(code) ?? `rcode ${code}` };
  });
};

/** Whether an answer has the question, as it has to; a bare header could come from anything. */
function repeats(answer: Buffer, asked: Buffer): boolean {
  const question = (bytes: Buffer): string =>
    bytes.subarray(12, asked.length).toString('latin1').toLowerCase();
  return answer.readUInt16BE(4) === 1 && question(answer) === question(asked);
}

/** A query for the IPv4 address of a name, RFC 1035. */
function query(id: number, name: string): Buffer {
  const labels = name
    .replace(/\.$/, '')
    .split('.')
    .filter((label) => label !== '')
    .map((label) =>
      Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1'),
    );
  const head = Buffer.alloc(12);
  head.writeUInt16BE(id, 0);
  head.writeUInt16BE(0x0100, 2); // recursion is desired, as by any client
  head.writeUInt16BE(1, 4);
  const tail = Buffer.from([0, 0, TYPE_A, 0, 1]);
  return Buffer.concat([head, ...labels, tail]);
}
const TYPE_A = 1;

type Read = (bytes: Buffer) => { passed: boolean; reason: string } | undefined;

function talk(
  { address, port, localAddress, localPort }: Probe,
  bytes: Buffer,
  done: Done,
  read: Read,
): () => void {
  const type = address.includes(':') ? 'udp6' : 'udp4';
  // A check of several addresses has one port for all of them.
  const shared = { reuseAddr: localPort !== undefined, ipv6Only: type === 'udp6' };
  const socket = createSocket({ type, ...shared });
  const { end, giveUp } = once(() => socket.close(), done);
  socket.on('error', (error) => {
    fail(end, error);
  });
  socket.on('message', (answer) => {
    const result = read(answer);
    if (result) end(result.passed, result.reason);
  });
  // A connected socket hears only this destination, and hears of ICMP errors.
  const send = (): void => {
    socket.connect(port, address, () => {
      socket.send(bytes, (error) => {
        if (error) fail(end, error);
      });
    });
  };
  if (localPort === undefined && localAddress === undefined) send();
  else socket.bind({ port: localPort, address: localAddress }, send);
  return giveUp;
}
