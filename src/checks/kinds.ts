// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Who asks which kind of check. */
import type { Kind } from '../health/check.js';
import type { Ask } from './attempt.js';
import { askDns, askUdp } from './datagram.js';
import { askExec } from './exec.js';
import { askGrpc } from './grpc.js';
import { askHttp, askHttps, askTcp } from './stream.js';

const ASKS: Readonly<{ [kind in Kind]: Ask }> = {
  tcp: askTcp,
  http: askHttp,
  https: askHttps,
  dns: askDns,
  udp: askUdp,
  grpc: askGrpc,
  exec: askExec,
};

export const ask: Ask = (probe, done) => ASKS[probe.kind](probe, done);
