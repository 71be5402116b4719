// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Who asks which kind of check. */
import type { Kind, Probe } from '../health/check.js';
import type { Ask, Done } from './attempt.js';
import { once } from './attempt.js';
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

export const ask: Ask = (probe, done) => {
  const { alsoAt, ...first } = probe;
  const askOne = ASKS[probe.kind];
  if (!alsoAt) return askOne(first, done);
  const all = [probe.address, ...alsoAt].map((address) => ({ ...first, address }));
  return askAll(askOne, all, done);
};

/** Passes when all have passed, and ends as the first that has not. */
function askAll(askOne: Ask, probes: readonly Probe[], done: Done): () => void {
  const running: (() => void)[] = [];
  let left = probes.length;
  const state = { isOver: false };
  const { end, giveUp } = once(() => {
    state.isOver = true;
    for (const one of running) one();
  }, done);
  const pass: Done = (passed, reason) => {
    if (passed !== true || --left === 0) end(passed, reason);
  };
  try {
    for (const probe of probes) {
      const one = askOne(probe, pass);
      if (state.isOver) one();
      running.push(one);
    }
  } catch (error) {
    giveUp();
    throw error;
  }
  return giveUp;
}
