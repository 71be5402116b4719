// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What can be fuzzed, and what is said of a difference. */
import { describeFrame } from '../../src/explain/text.js';
import { Random } from './random.js';

export const ROOT = new URL(import.meta.url).pathname.replace(
  /\/(\.make\/fuzz\/)?test\/fuzz\/.*$/,
  '/',
);

/** What one page holds beside what the kernel needs of it. */
const LONGEST_IN_ONE_BUFFER = 3456;
/** Of a jumbo frame, in several pages. */
const LONGEST_IN_SEVERAL = 9018;

interface Subject {
  object: string;
  /** Of the packets, this share. */
  share: number;
  longest: number;
}

export const PROGRAMS = {
  host: { object: 'l4lb_xdp_host.o', share: 1, longest: LONGEST_IN_ONE_BUFFER },
  portable: { object: 'l4lb_xdp.o', share: 1, longest: LONGEST_IN_ONE_BUFFER },
  frags: { object: 'l4lb_xdp_frags.o', share: 1 / 4, longest: LONGEST_IN_SEVERAL },
  decap: { object: 'l4lb_decap.o', share: 1, longest: LONGEST_IN_ONE_BUFFER },
  'decap-frags': {
    object: 'l4lb_decap_frags.o',
    share: 1 / 4,
    longest: LONGEST_IN_SEVERAL,
  },
} satisfies Record<string, Subject>;

export type Program = keyof typeof PROGRAMS;
export const PROGRAM_NAMES = Object.keys(PROGRAMS) as Program[];

export interface Found {
  packet?: number;
  frame?: Buffer;
  what: string;
}

export interface Difference extends Found {
  /** How the chunk can be run again. */
  seed: number;
  chunk: number;
  program: Program;
}

/** Each chunk has a chance of its own, so that one alone can be run again. */
export function randomOf(seed: number, chunk: number): Random {
  return new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(chunk + 1, 0x85ebca77));
}

export function describeDifference(one: Difference): string {
  const { seed, chunk, program, packet, frame, what } = one;
  return [
    `${program}: seed ${seed}, chunk ${chunk}${packet === undefined ? '' : `, packet ${packet}`}`,
    ...(frame
      ? [
          `packet of ${frame.length} bytes: ${frame.toString('hex')}`,
          ...describeFrame(frame),
        ]
      : []),
    what,
  ].join('\n');
}
