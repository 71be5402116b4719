// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What HAProxy is told: as the balancer that connections through l4lb are compared
 * with, and as the web server behind both. Pure.
 */

/** Far more than the client has at once, so that none waits for another one's end. */
const MOST_CONNECTIONS = 2000;

/**
 * No `log` line stands anywhere, so nothing is logged. HAProxy says that it wants the
 * timeouts; no connection lasts as long.
 */
function beginning(mode: 'tcp' | 'http', threads: number): string {
  return `global
  nbthread ${threads}
  maxconn ${MOST_CONNECTIONS}
defaults
  mode ${mode}
  maxconn ${MOST_CONNECTIONS}
  timeout connect 5s
  timeout client 10s
  timeout server 10s
`;
}

/**
 * A thread for each processor, each with a socket of its own to listen at
 * (`shards by-thread`), as the manual advises for many connections a second.
 *
 * - `balance roundrobin`: for short connections; leastconn is for long ones, it says.
 * - `option tcp-smart-connect`: the request goes with the handshake's last packet to
 *   the server, a packet less for each connection.
 * - `option tcp-smart-accept`: the same towards the client.
 * - no `check`: nothing but the client's connections uses the processors.
 * - no `option splice-auto`: it moves large bodies past HAProxy's buffers; an answer
 *   of a hundred bytes would pay for the pipe and never gain.
 */
export function balancerConfig(
  port: number,
  destinations: readonly string[],
  threads: number,
): string {
  const servers = destinations.map(
    (address, index) => `  server destination${index + 1} ${address}:${port}\n`,
  );
  return `${beginning('tcp', threads)}
listen balancer
  bind *:${port} shards by-thread
  balance roundrobin
  option tcp-smart-accept
  option tcp-smart-connect
${servers.join('')}`;
}

/** It answers every request from memory, and closes as the client asks for. */
export function serverConfig(port: number, threads: number): string {
  return `${beginning('http', threads)}
frontend server
  bind *:${port} shards by-thread
  http-request return status 200 content-type text/plain string ok
`;
}
