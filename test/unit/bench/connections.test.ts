// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { balancerConfig, serverConfig } from '../../../bench/haproxy.js';
import { parseWrk, wrkArguments } from '../../../bench/wrk.js';
import { Failure } from '../../../src/text/failure.js';

describe('what wrk says', () => {
  test('nothing failed: there is no line about it', () => {
    expect(parseWrk(WRK)).toEqual({ perSecond: 14829.9, failed: 0 });
  });

  test('connections that failed, whatever at, and answers other than 200', () => {
    const text = WRK.replace(
      'Requests/sec',
      '  Socket errors: connect 1, read 20, write 300, timeout 4000\n' +
        '  Non-2xx or 3xx responses: 50000\nRequests/sec',
    );
    expect(parseWrk(text).failed).toBe(54321);
  });

  test('no rate: it is told what there was instead', () => {
    const parse = () => parseWrk('unable to connect to 10.0.1.1:80\n');
    expect(parse).toThrow(Failure);
    expect(parse).toThrow('wrk said no rate: unable to connect to 10.0.1.1:80');
  });
});

const WRK = `Running 3s test @ http://10.0.1.5:80/
  2 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.52ms    1.71ms  21.33ms   75.80%
    Req/Sec     7.46k   602.10     8.62k    68.33%
  44519 requests in 3.00s, 3.91MB read
Requests/sec:  14829.90
Transfer/sec:      1.30MB
`;

test('what wrk is asked for', () => {
  const effort = { seconds: 3, connections: 64, threads: 2 };
  expect(wrkArguments('http://10.0.100.1:80/', effort).join(' ')).toBe(
    '--threads 2 --connections 64 --duration 3s --header Connection: close ' +
      'http://10.0.100.1:80/',
  );
});

describe('what HAProxy is told', () => {
  test('as the balancer', () => {
    expect(balancerConfig(80, ['10.0.1.5', '10.0.1.6'], 2)).toBe(`global
  nbthread 2
  maxconn 2000
defaults
  mode tcp
  maxconn 2000
  timeout connect 5s
  timeout client 10s
  timeout server 10s

listen balancer
  bind *:80 shards by-thread
  balance roundrobin
  server destination1 10.0.1.5:80
  server destination2 10.0.1.6:80
`);
  });

  test('as the web server', () => {
    expect(serverConfig(8080, 4)).toBe(`global
  nbthread 4
  maxconn 2000
defaults
  mode http
  maxconn 2000
  timeout connect 5s
  timeout client 10s
  timeout server 10s

frontend server
  bind *:8080 shards by-thread
  http-request return status 200 content-type text/plain string ok
`);
  });
});
