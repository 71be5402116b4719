// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Asks a gRPC server for its health: grpc.health.v1.Health/Check, over HTTP/2 without TLS. */
import { connect } from 'node:http2';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

import type { Ask } from './attempt.js';
import { fail, once, shortened } from './attempt.js';
import { open, reset } from './stream.js';

const STATUSES = new Map([
  [0, 'UNKNOWN'],
  [1, 'SERVING'],
  [2, 'NOT_SERVING'],
  [3, 'SERVICE_UNKNOWN'],
]);
const SERVING = 1;

export const askGrpc: Ask = (probe, done) => {
  const { address, port, host, service = '' } = probe;
  const socket = open(probe);
  const named = host ?? (address.includes(':') ? `[${address}]` : address);
  const authority = /:\d+$/.test(host ?? '') ? named : `${named}:${port}`;
  const session = connect(`http://${authority}`, {
    createConnection: () => passThrough(socket),
  });
  const { end, giveUp } = once(() => {
    session.destroy();
    reset(socket);
  }, done);
  const onError = (error: Error): void => {
    fail(end, error);
  };
  socket.on('error', onError);
  session.on('error', onError);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', onError);
  let body = Buffer.alloc(0);
  let status = '';
  const noteStatus = (headers: Record<string, unknown>): void => {
    const sent = headers['grpc-status'];
    if (typeof sent === 'string') status = sent;
  };
  stream.on('response', noteStatus);
  stream.on('trailers', noteStatus);
  stream.on('data', (bytes: Buffer) => {
    body = Buffer.concat([body, bytes]).subarray(0, MOST_BYTES);
  });
  stream.on('end', () => {
    if (status !== '0')
      end(false, `gRPC status ${status === '' ? 'missing' : shortened(status)}`);
    else {
      const code = servingStatus(body);
      end(code === SERVING, STATUSES.get(code) ?? `status ${code}`);
    }
  });
  stream.end(message(service));
  return giveUp;
};

const MOST_BYTES = 256;

/**
 * HTTP/2 takes the connection itself out of a socket, and closes it by a FIN. Of a stream it
 * takes only the bytes.
 */
function passThrough(socket: Socket): Duplex {
  const stream = new Duplex({
    read: () => socket.resume(),
    write: (bytes: Buffer, _, next) => socket.write(bytes, next),
    final: (next) => {
      next();
    },
  });
  socket.on('data', (bytes) => {
    if (!stream.push(bytes)) socket.pause();
  });
  socket.on('end', () => stream.push(null));
  return stream;
}

/** A HealthCheckRequest in its frame: field 1 is the name of the service. */
function message(service: string): Buffer {
  const name = Buffer.from(service, 'utf8');
  const field = name.length === 0 ? [] : [10, name.length];
  const body = Buffer.concat([Buffer.from(field), name]);
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(body.length, 1);
  return Buffer.concat([frame, body]);
}

/** Field 1 of a HealthCheckResponse; it is left out if it is 0. */
function servingStatus(body: Buffer): number {
  return body.length >= 7 && body[5] === 8 ? (body[6] ?? 0) : 0;
}
