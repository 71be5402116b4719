// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** programs/sum.h in TypeScript: what l4lb_sum.c is asked in a frame, and what it answers. */
import { putU32, u64 } from './bytes.js';

/** enum sum_of. */
export const SUM_OF = {
  counters: 1,
  returned: 2,
  verdicts: 3,
  forget: 4,
  slots: 5,
  share: 6,
  generation: 7,
} as const;

/** struct sum_question. */
export interface SumQuestion {
  of: keyof typeof SUM_OF;
  /** An id, the number of a verdict, or the first slot. */
  key: number;
  /** How many slots, or ids to forget what was found for. */
  number?: number;
}

/** struct sum_answer. */
export interface SumAnswer {
  first: bigint;
  second: bigint;
}

const SIZE = 16;

/**
 * A frame consists of a page and 17 others at most, and of those some bytes are not its own:
 * these many questions fit anywhere.
 */
const MOST_QUESTIONS = 4000;

/** The frames that ask all of this, in this order. */
export function sumFrames(questions: readonly SumQuestion[]): Buffer[] {
  const frames: Buffer[] = [];
  for (let first = 0; first < questions.length; first += MOST_QUESTIONS) {
    const asked = questions.slice(first, first + MOST_QUESTIONS);
    const frame = Buffer.alloc(asked.length * SIZE);
    asked.forEach(({ of, key, number = 0 }, index) => {
      putU32(frame, SUM_OF[of], index * SIZE);
      putU32(frame, key, index * SIZE + 4);
      putU32(frame, number, index * SIZE + 8);
    });
    frames.push(frame);
  }
  return frames;
}

/** The answers in these frames: one to each question. */
export function sumAnswers(frames: readonly Buffer[]): SumAnswer[] {
  return frames.flatMap((frame) =>
    Array.from({ length: frame.length / SIZE }, (_, index) => ({
      first: u64(frame, index * SIZE),
      second: u64(frame, index * SIZE + 8),
    })),
  );
}
