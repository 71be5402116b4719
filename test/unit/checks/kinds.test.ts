// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What each kind of check takes for well, asked of real servers on the loopback device. */
import { createSocket } from 'node:dgram';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttp2 } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from '@jest/globals';

import { ask } from '../../../src/checks/kinds.js';
import type { Probe, Question } from '../../../src/health/check.js';

const closers: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

function asked(probe: Probe): Promise<string> {
  return new Promise((resolve) => {
    // A check may end before it returns how to give it up.
    const given: { up?: () => void } = {};
    const timer = setTimeout(() => {
      given.up?.();
      resolve('no answer');
    }, 1500);
    given.up = ask(probe, (passed, reason) => {
      clearTimeout(timer);
      resolve(
        `${passed === undefined ? 'void' : passed ? 'passed' : 'failed'}: ${reason}`,
      );
    });
  });
}

async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  closers.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A server that says this to whatever it gets, or at once if `first`. */
function saying(
  text: string,
  { first = false, host = '127.0.0.1' } = {},
): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {}); // the check ends with a RST
    if (first) socket.end(text, 'latin1');
    else socket.on('data', () => socket.end(text, 'latin1'));
  });
  return listen(server, host);
}

const at = (port: number, question: Question): Probe => ({
  ...question,
  address: '127.0.0.1',
  port,
});

/** A port that nobody listens at. */
async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  server.close();
  await once(server, 'close');
  return port;
}

test.each(['tcp', 'http', 'grpc'] as const)('%s: nobody listens', async (kind) => {
  expect(await asked(at(await freePort(), { kind }))).toBe('failed: connection refused');
});

describe('at several addresses', () => {
  const both = (port: number): Probe => ({
    ...at(port, { kind: 'tcp' }),
    alsoAt: ['127.0.0.2'],
  });

  test('all have to pass, from the same port', async () => {
    const port = await saying('', { host: '0.0.0.0' });
    const localPort = await freePort();
    expect(await asked({ ...both(port), localPort })).toBe('passed: connected');
  });

  test('one that does not is enough to fail', async () => {
    expect(await asked(both(await saying('')))).toBe('failed: connection refused');
  });

  test('by udp, too', async () => {
    const server = createSocket('udp4');
    server.on('message', (_, { port, address }) => server.send('b', port, address));
    // Answers come from the address that was asked only on a socket of its own.
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    const other = createSocket('udp4');
    other.on('message', (_, to) => other.send('b', to.port, to.address));
    other.bind(port, '127.0.0.2');
    await once(other, 'listening');
    closers.push(
      () => server.close(),
      () => other.close(),
    );
    const localPort = await freePort();
    const probe = { ...both(port), kind: 'udp' as const, localPort };
    expect(await asked(probe)).toBe('passed: answered');
  });
});

describe('tcp', () => {
  test('passes when it is connected', async () => {
    const port = await saying('');
    expect(await asked(at(port, { kind: 'tcp' }))).toBe('passed: connected');
  });

  test.each([
    ['+PONG\r\n', 'passed: answered'],
    ['-ERR\r\n', 'failed: another answer: "-ERR\\r\\n"'],
    ['+P', 'failed: closed in the middle of its answer'],
    ['', 'failed: closed without an answer'],
  ])('sends, and expects +PONG: %j', async (text, result) => {
    const question = { kind: 'tcp', send: 'PING\r\n', expect: '+PONG' } as const;
    expect(await asked(at(await saying(text), question))).toBe(result);
  });

  test('expects a greeting', async () => {
    const port = await saying('220 mail\r\n', { first: true });
    expect(await asked(at(port, { kind: 'tcp', expect: '220' }))).toBe(
      'passed: answered',
    );
  });

  test('a source port that is in use says nothing about the destination', async () => {
    const port = await saying('');
    const taken = await saying('');
    const probe = {
      ...at(port, { kind: 'tcp' }),
      localPort: taken,
      localAddress: '127.0.0.1',
    };
    expect(await asked(probe)).toMatch(/^void: /);
  });

  test('a source port can be used again at once', async () => {
    const port = await saying('');
    const localPort = await freePort();
    for (let time = 0; time < 5; time++) {
      const probe = {
        ...at(port, { kind: 'tcp' }),
        localPort,
        localAddress: '127.0.0.1',
      };
      expect(await asked(probe)).toBe('passed: connected');
    }
  });
});

describe('http', () => {
  test.each([
    ['HTTP/1.1 200 OK\r\n', 'passed: HTTP 200'],
    ['HTTP/1.0 302 Found\r\n', 'passed: HTTP 302'],
    ['HTTP/1.1 404 Not Found\r\n', 'failed: HTTP 404'],
    ['HTTP/1.1 503\r\n', 'failed: HTTP 503'],
    ['SSH-2.0-x\r\n', 'failed: no HTTP: "SSH-2.0-x\\r\\n"'],
    ['HTTP/1.1 2', 'failed: closed in the middle of its answer'],
  ])('%j', async (text, result) => {
    expect(await asked(at(await saying(text), { kind: 'http' }))).toBe(result);
  });

  test('statuses that are named', async () => {
    const port = await saying('HTTP/1.1 404 Not Found\r\n');
    const question = {
      kind: 'http',
      status: [
        [200, 200],
        [400, 410],
      ],
    } as const;
    expect(await asked(at(port, question))).toBe('passed: HTTP 404');
  });

  test('asks for its path at its host', async () => {
    let request = '';
    const server = createServer((socket) => {
      socket.on('error', () => {}); // the check ends with a RST
      socket.on('data', (bytes) => {
        request = bytes.toString();
        socket.end('HTTP/1.1 200 OK\r\n\r\n');
      });
    });
    const port = await listen(server);
    await asked(at(port, { kind: 'http', path: '/health?x=1', host: 'www.example.org' }));
    expect(request).toContain('GET /health?x=1 HTTP/1.1\r\nHost: www.example.org\r\n');
  });

  test('over IPv6', async () => {
    const port = await saying('HTTP/1.1 200 OK\r\n', { host: '::1' });
    expect(await asked({ kind: 'http', address: '::1', port })).toBe('passed: HTTP 200');
  });

  test('an answer without end is too long', async () => {
    const port = await saying('x'.repeat(10_000), { first: true });
    expect(await asked(at(port, { kind: 'http' }))).toBe(
      'failed: the answer is too long',
    );
  });
});

test('https: a server without TLS', async () => {
  const port = await saying('HTTP/1.1 200 OK\r\n\r\n', { first: true });
  expect(await asked(at(port, { kind: 'https' }))).toMatch(/^failed: TLS: [a-z ]+$/);
});

describe('udp and dns', () => {
  async function answering(
    reply: (query: Buffer) => Buffer | undefined,
  ): Promise<number> {
    const socket: Socket = createSocket('udp4');
    socket.on('message', (query, { port, address }) => {
      const bytes = reply(query);
      if (bytes) socket.send(bytes, port, address);
    });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    closers.push(() => socket.close());
    return socket.address().port;
  }

  test('udp: any answer, or one that begins so', async () => {
    const port = await answering((query) => Buffer.from(`got ${query.toString()}`));
    const question = { kind: 'udp', send: 'hi' } as const;
    expect(await asked(at(port, question))).toBe('passed: answered');
    expect(await asked(at(port, { ...question, expect: 'got hi' }))).toBe(
      'passed: answered',
    );
    expect(await asked(at(port, { ...question, expect: 'no' }))).toBe(
      'failed: another answer: "got hi"',
    );
  });

  test('udp: a port that nobody has is refused', async () => {
    const port = await freePort();
    expect(await asked(at(port, { kind: 'udp', send: 'x' }))).toBe(
      'failed: connection refused',
    );
  });

  test('udp: silence is no answer', async () => {
    const port = await answering(() => undefined);
    expect(await asked(at(port, { kind: 'udp' }))).toBe('no answer');
  });

  function dns(rcode: number, change?: (answer: Buffer) => void): Promise<number> {
    return answering((query) => {
      const answer = Buffer.from(query);
      answer.writeUInt16BE(0x8000 | rcode, 2);
      change?.(answer);
      return answer;
    });
  }

  test.each([
    [0, 'passed: NOERROR'],
    [2, 'failed: SERVFAIL'],
    [3, 'failed: NXDOMAIN'],
    [9, 'failed: rcode 9'],
  ])('dns: rcode %i', async (rcode, result) => {
    const question = { kind: 'dns', name: 'www.example.org' } as const;
    expect(await asked(at(await dns(rcode), question))).toBe(result);
  });

  test('dns: asks for the name', async () => {
    let query: Buffer | undefined;
    const port = await dns(0, (answer) => (query = answer));
    await asked(at(port, { kind: 'dns', name: 'a.bc.' }));
    expect(query?.subarray(12).toString('latin1')).toBe('\x01a\x02bc\0\0\x01\0\x01');
  });

  test('dns: an answer to another question is none', async () => {
    const port = await dns(0, (answer) =>
      answer.writeUInt16BE(answer.readUInt16BE(0) ^ 1, 0),
    );
    expect(await asked(at(port, { kind: 'dns' }))).toBe('no answer');
  });

  test('dns: a bare header that says NOERROR does not pass', async () => {
    const port = await answering((query) => {
      const answer = Buffer.from(query.subarray(0, 12));
      answer.writeUInt16BE(0x8000, 2);
      return answer;
    });
    expect(await asked(at(port, { kind: 'dns' }))).toBe(
      'failed: NOERROR to another question',
    );
  });
});

describe('grpc', () => {
  async function health(
    status: number | undefined,
    code = '0',
  ): Promise<[number, () => string]> {
    let asked = '';
    const server = createHttp2();
    server.on('stream', (stream, headers) => {
      stream.on('data', (bytes: Buffer) => (asked = bytes.toString('latin1')));
      stream.on('end', () => {
        asked = `${String(headers[':path'])} ${asked}`;
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc' },
          { waitForTrailers: true },
        );
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': code }));
        stream.end(
          status === undefined ? undefined : Buffer.from([0, 0, 0, 0, 2, 8, status]),
        );
      });
      stream.on('error', () => {}); // the check ends with a RST
    });
    server.on('sessionError', () => {});
    return [await listen(server), () => asked];
  }

  test.each([
    [1, '0', 'passed: SERVING'],
    [2, '0', 'failed: NOT_SERVING'],
    [0, '0', 'failed: UNKNOWN'],
    [undefined, '12', 'failed: gRPC status 12'],
  ])('status %s, code %s', async (status, code, result) => {
    const [port] = await health(status, code);
    expect(await asked(at(port, { kind: 'grpc' }))).toBe(result);
  });

  test('a host may name its port', async () => {
    const [port] = await health(1);
    const question = { kind: 'grpc', host: 'a:80' } as const;
    expect(await asked(at(port, question))).toBe('passed: SERVING');
  });

  test('names the service', async () => {
    const [port, seen] = await health(1);
    await asked(at(port, { kind: 'grpc', service: 'shop' }));
    expect(seen()).toBe('/grpc.health.v1.Health/Check \0\0\0\0\x06\n\x04shop');
  });
});

describe('exec', () => {
  const run = (...command: string[]): Promise<string> =>
    asked({ kind: 'exec', command, address: '10.0.1.1', port: 80 });

  test.each([
    [['true'], 'passed: exit 0'],
    [['false'], 'failed: exit 1'],
    [['sh', '-c', 'kill -9 $$'], 'failed: ended by SIGKILL'],
    [['/nowhere/check'], 'failed: there is no such program'],
  ])('%j', async (command, result) => {
    expect(await run(...command)).toBe(result);
  });

  test('gets address and port, and no environment of ours', async () => {
    const script = 'test "$1 $2" = "10.0.1.1 80" && test "$(env | grep -c HOME)" = 0';
    expect(await run('sh', '-c', script, 'sh')).toBe('passed: exit 0');
  });

  test('of a hundred at once sixteen run, and the others say nothing', async () => {
    const all = await Promise.all(Array.from({ length: 100 }, () => run('true')));
    const passed = all.filter((one) => one === 'passed: exit 0');
    expect(passed).toHaveLength(16);
    expect(all.filter((one) => one === 'void: 16 programs run already')).toHaveLength(84);
    expect(await run('true')).toBe('passed: exit 0');
  });

  test('what it started ends with it', async () => {
    const mark = `${4_000_000 + process.pid}`;
    expect(await run('sh', '-c', `sleep ${mark} & wait`)).toBe('no answer');
    const isThere = (): boolean =>
      readdirSync('/proc').some((pid) => {
        const path = `/proc/${pid}/cmdline`;
        const isProcess = /^\d+$/.test(pid) && existsSync(path);
        return isProcess && readFileSync(path, 'utf8') === `sleep\0${mark}\0`;
      });
    // The kernel may take a moment to end it.
    for (let time = 0; time < 100 && isThere(); time++) await sleep(20);
    expect(isThere()).toBe(false);
  });
});
