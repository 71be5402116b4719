#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Takes connections at one place and passes them on to another. A place is a port of
// 127.0.0.1, or the path of a socket, which does not belong to any network namespace: two
// relays with a socket between them lead into a namespace. Ends with whoever started it.
// Usage: relay.mjs PLACE PLACE
import { connect, createServer } from 'node:net';
import process from 'node:process';
import { setInterval } from 'node:timers';

const places = process.argv.slice(2);
if (places.length !== 2) {
  process.stderr.write('Usage: relay.mjs PLACE PLACE\n');
  process.exit(2);
}
const [from, to] = places.map((place) =>
  /^\d+$/.test(place) ? { host: '127.0.0.1', port: Number(place) } : { path: place },
);

const server = createServer({ allowHalfOpen: true }, (one) => {
  const other = connect({ ...to, allowHalfOpen: true });
  for (const [here, there] of [
    [one, other],
    [other, one],
  ]) {
    here.pipe(there);
    // Both go when either has gone, once what it sent is passed on.
    here.on('error', () => there.destroy()).on('close', () => there.destroySoon());
  }
});
server.on('error', (error) => {
  // Somebody has the port: any other will do.
  if (error.code === 'EADDRINUSE' && from.port) server.listen({ ...from, port: 0 });
  else throw error;
});
server.listen(from, () => {
  const { port } = server.address();
  process.stdout.write(`listens on ${port ? `127.0.0.1:${port}` : from.path}\n`);
});

const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.exit();
}, 1000);
