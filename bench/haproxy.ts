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
 * (`shards by-thread`), which the manual has for high rates of connections; and
 * `balance roundrobin`, since it advises leastconn for long ones only. No `check`, so
 * that nothing but the client's connections uses the processors.
 *
 * `option splice-auto`, `tcp-smart-accept` with `tcp-smart-connect`, and `leastconn`
 * were tried beside this in interleaved rounds: their medians lay within 2 % of it, and
 * the rounds much farther apart. So none of them is here.
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
