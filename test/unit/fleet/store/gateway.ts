// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** An etcd that answers as a test says, by JSON over HTTP. */
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { ServerOptions } from 'node:https';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** What it does with a question: `path` is without /v3. */
export type Answering = (
  response: ServerResponse,
  path: string,
  body: Record<string, unknown>,
  token: string | undefined,
) => void;

export class FakeGateway {
  readonly #server: Server;
  readonly #isTls: boolean;
  answer: Answering = (response) => response.end();
  /** What it was asked. */
  asked: string[] = [];

  private constructor(tls: ServerOptions | undefined) {
    this.#isTls = tls !== undefined;
    const take = this.#take.bind(this);
    this.#server = tls ? createTlsServer(tls, take) : createServer(take);
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    let text = '';
    request.on('data', (part: Buffer) => (text += part.toString()));
    request.on('end', () => {
      const path = (request.url ?? '').replace('/v3/', '');
      this.asked.push(path);
      const body = JSON.parse(text) as Record<string, unknown>;
      this.answer(response, path, body, request.headers.authorization);
    });
  }

  static async up(answer?: Answering, tls?: ServerOptions): Promise<FakeGateway> {
    const gateway = new FakeGateway(tls);
    if (answer) gateway.answer = answer;
    gateway.#server.listen(0, '127.0.0.1');
    await once(gateway.#server, 'listening');
    return gateway;
  }

  get url(): string {
    const scheme = this.#isTls ? 'https' : 'http';
    return `${scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  down(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

export function base64(text: string | Buffer): string {
  return Buffer.from(text).toString('base64');
}

export function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

/** A line of a watch, which stays open. */
export function line(response: ServerResponse, value: unknown): void {
  response.write(`${JSON.stringify(value)}\n`);
}
