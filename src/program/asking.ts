// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Asks for all counters of a device again and again, with one bpftool process each time:
 * summed by a program, or where that cannot be, as bpftool prints them.
 */
import { encodeKey, decodeKey } from '../abi/bytes.js';
import type { Counter } from '../abi/counter.js';
import { sumCounters } from '../abi/counter.js';
import { decodeDevice } from '../abi/device.js';
import type { SumAnswer, SumQuestion } from '../abi/sum.js';
import { sumAnswers, sumFrames } from '../abi/sum.js';
import type { Service } from '../plan/services.js';
import { decodeEntries, decodeEntry, lookupLine } from '../system/bpftool-text.js';
import { valueOf } from '../system/bpftool-text.js';
import { MOST_FRAMES, RepeatedQueries } from '../system/repeated-queries.js';
import { must } from '../text/must.js';
import { askCounters, countersIn } from './counters.js';
import type { Maps } from './find.js';

/** What is asked for. */
export interface Asked {
  device: string;
  maps: Maps;
  /** Ids that have a destination. */
  ids: readonly number[];
  /** Those whose answers are counted. */
  answering: readonly number[];
  /** Services whose slots are counted; undefined: nobody wants to know. */
  services: readonly Pick<Service, 'id' | 'firstSlot' | 'log2Slots'>[] | undefined;
}

/** By id; that of id 0 is what was counted for destinations that are gone. */
type Counters = ReadonlyMap<number, Counter>;

export interface Answered {
  /** What bpftool says of the device. */
  net: unknown;
  /** Of the tables, before and after the rest was read. */
  generations: number[];
  counters: Counters;
  returned: Counters;
  verdicts: Counters;
  /** Undefined where nobody wants to know, or no program counts them. */
  slots: CountedSlots | undefined;
}

export interface CountedSlots {
  /** By the id of the service. */
  hot: ReadonlyMap<number, number>;
  /** By the id of the destination. */
  shares: ReadonlyMap<number, number>;
}

export interface Asking {
  ask(): Promise<Answered>;
  close(): void;
}

/** Starts to ask; `sums` is the pin of l4lb_sum.o, if there is one. */
export async function startAsking(
  asked: Asked,
  sums: string | undefined,
): Promise<Asking> {
  const questions = sumQuestions(asked);
  const frames = sumFrames(questions);
  return sums !== undefined && frames.length <= MOST_FRAMES
    ? askSums(asked, questions, { pin: sums, frames })
    : askPlainly(asked);
}

const netLine = (device: string): string => `net show dev ${device}`;

function sumQuestions({ maps, ids, answering, services }: Asked): SumQuestion[] {
  const generation = { of: 'generation', key: 0 } as const;
  const verdicts = Array.from({ length: maps.verdicts.entries }, (_, key) => key);
  const all = (of: SumQuestion['of'], keys: readonly number[]): SumQuestion[] =>
    keys.map((key) => ({ of, key }));
  const slots = (services ?? []).map(({ firstSlot: key, log2Slots }): SumQuestion => ({
    ...{ of: 'slots', key, number: 2 ** log2Slots },
  }));
  return [
    generation,
    ...all('verdicts', verdicts),
    ...all('counters', [0, ...ids]),
    ...(answering.length > 0 ? all('returned', [0, ...answering]) : []),
    ...(services
      ? [
          { of: 'forget', key: 0, number: maps.destinations.entries } as const,
          ...slots,
          ...all('share', ids),
        ]
      : []),
    generation,
  ];
}

async function askSums(
  { device, services }: Asked,
  questions: readonly SumQuestion[],
  runs: { pin: string; frames: Buffer[] },
): Promise<Asking> {
  const queries = await RepeatedQueries.start([netLine(device)], runs);
  return {
    ask: async () => {
      const [net] = await queries.ask();
      const answers = sumAnswers(queries.frames());
      const of = Object.fromEntries(
        SUMMED.map((name) => [name, new Map<number, SumAnswer>()]),
      ) as Record<(typeof SUMMED)[number], Map<number, SumAnswer>>;
      const generations: number[] = [];
      questions.forEach((question, index) => {
        const answer = must(answers[index], 'an answer');
        if (question.of === 'generation') generations.push(Number(answer.first));
        else if (question.of !== 'forget') of[question.of].set(question.key, answer);
      });
      const counted = ([key, { first, second }]: [number, SumAnswer]) =>
        [key, { packets: first, bytes: second }] as const;
      const first = (answer: SumAnswer | undefined): number =>
        Number(must(answer, 'a number of slots').first);
      return {
        ...{ net, generations },
        counters: new Map(Array.from(of.counters, counted)),
        returned: new Map(Array.from(of.returned, counted)),
        verdicts: new Map(Array.from(of.verdicts, counted)),
        slots: services && {
          hot: new Map(
            services.map(({ id, firstSlot }) => [id, first(of.slots.get(firstSlot))]),
          ),
          shares: new Map(Array.from(of.share, ([id, answer]) => [id, first(answer)])),
        },
      };
    },
    close: () => {
      queries.close();
    },
  };
}

const SUMMED = ['counters', 'returned', 'verdicts', 'slots', 'share'] as const;

async function askPlainly({ device, maps, ids, answering }: Asked): Promise<Asking> {
  const generation = lookupLine(maps.device, encodeKey(0));
  const counters = askCounters(maps.counters, ids);
  const queries = await RepeatedQueries.start([
    netLine(device),
    generation,
    `map dump id ${maps.verdicts.id}`,
    ...counters,
    ...(maps.returned && answering.length > 0
      ? askCounters(maps.returned, answering)
      : []),
    generation,
  ]);
  const generationOf = (entry: unknown): number =>
    decodeDevice(valueOf(decodeEntry(entry))).generation;
  return {
    ask: async () => {
      const [net, before, verdicts, ...counted] = await queries.ask();
      const after = counted.pop();
      return {
        net,
        generations: [before, after].map(generationOf),
        counters: countersIn(counted.slice(0, counters.length)),
        returned: countersIn(counted.slice(counters.length)),
        verdicts: new Map(
          decodeEntries(verdicts).map(({ key, values }) => [
            decodeKey(key),
            sumCounters(values),
          ]),
        ),
        slots: undefined,
      };
    },
    close: () => {
      queries.close();
    },
  };
}
