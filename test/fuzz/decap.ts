// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The decapsulation program. */
import { DECAP_VERDICTS } from '../../src/abi/decap.js';
import { encodeKey } from '../../src/abi/bytes.js';
import { decap } from '../../src/model/decap.js';
import { wrongInnerSums } from '../../src/model/sums.js';
import { Sums, compareSums, counted } from './compare.js';
import type { Expected, Prepared } from './engines.js';
import { makeTunnels } from './packets.js';
import type { Random } from './random.js';
import type { Program } from './target.js';
import { PROGRAMS } from './target.js';
import { Request } from './worker.js';

const OWN = [
  '00000000000000000000ffff0a00010f',
  '00000000000000000000ffff0a000110',
  '20010db800020000000000000000000f',
].map((text) => Buffer.from(text, 'hex'));
const ON_WIRE = OWN.map((one) =>
  one.subarray(0, 12).toString('hex').endsWith('ffff') ? one.subarray(12) : one,
);
const NUMBERS = new Map<string, number>(
  DECAP_VERDICTS.map(({ name, number }) => [name, number]),
);

export function prepareDecap(program: Program, random: Random, count: number): Prepared {
  const { longest } = PROGRAMS[program];
  return {
    frames: makeTunnels(random, ON_WIRE, count, longest),
    tables: () =>
      new Request()
        .write(
          'addresses',
          OWN.map((address) => [address, encodeKey(1)] as const),
        )
        .write('host', [[encodeKey(0), Buffer.concat([encodeKey(1), encodeKey(0)])]])
        .zeros('verdicts'),
    dumps: ['verdicts'],
    expect: (_, frames) => expectation(frames),
    about: '',
  };
}

function expectation(frames: readonly Buffer[]): Expected {
  const sums = new Sums();
  const answers = frames.map((frame) => {
    const answer = decap(OWN, frame);
    sums.add(NUMBERS.get(answer.verdict) ?? -1, frame.length);
    return answer;
  });
  return {
    answers: answers.map((answer) => ({
      ran: answer,
      says: `${answer.action}, ${answer.verdict}`,
    })),
    judge: (packet, { frame }) =>
      answers[packet]?.verdict === 'decapsulated'
        ? wrongInnerSums(frames[packet] as Buffer, frame)
        : [],
    compareMaps: (dumped) =>
      compareSums('verdict', counted(dumped.get('verdicts')), sums.text()),
  };
}
