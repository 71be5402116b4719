// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The table against its peers, over random sets of destinations:
 *
 *   npx tsc -p bench && node .make/bench/bench/table.js [SETS]
 *
 * Prints a markdown table; exits 1 when the table misses one of its bars. Loads are
 * in parts of the mean, moves in parts of the share that has to move.
 */
import { hash } from '../src/wire/hash.js';
import type { TableDestination } from '../src/plan/slot-counts.js';
import { seedOf } from '../src/plan/slot-counts.js';
import { consistentTable } from '../src/plan/consistent.js';

type Make = (destinations: readonly TableDestination[], slots: number) => Int32Array;

/** Numbers from 0 to below 1, the same in every run. */
function randomNumbers(seed: number): () => number {
  let count = 0;
  return () => hash(seed, ++count, 0x7ab1e) / 2 ** 32;
}

function randomSet(count: number, seed: number, most = 1): TableDestination[] {
  const random = randomNumbers(seed);
  return Array.from({ length: count }, () => {
    const address = Buffer.alloc(16);
    address.writeUInt16BE(0xffff, 10);
    address.writeUInt32BE(Math.floor(random() * 2 ** 32), 12);
    return { address, weight: 1 + Math.floor(random() * most) };
  });
}

/** Each slot goes to the destination whose hash with it is highest. */
const rendezvous: Make = (destinations, slots) => {
  const seeds = destinations.map(seedOf);
  return Int32Array.from({ length: slots }, (_, slot) => {
    const scores = seeds.map((seed) => hash(seed, slot, 0));
    return scores.indexOf(Math.max(...scores));
  });
};

/** In turn each takes the next free slot, by an offset and an odd skip. */
const maglev: Make = (destinations, slots) => {
  const result = new Int32Array(slots).fill(-1);
  const walks = destinations
    .map(({ address }, index) => ({ address, index, seed: seedOf({ address }) }))
    .sort((a, b) => Buffer.compare(a.address, b.address))
    .map(({ index, seed }) => ({
      index,
      at: hash(seed, 1, 0) & (slots - 1),
      skip: hash(seed, 2, 0) | 1,
    }));
  for (let left = slots; left > 0;) {
    for (const walk of walks.slice(0, left)) {
      while (result[walk.at] !== -1) walk.at = (walk.at + walk.skip) & (slots - 1);
      result[walk.at] = walk.index;
      left--;
    }
  }
  return result;
};

/**
 * Deferred acceptance by one hash: the pairs of slot and destination from the best
 * on, each taken if the slot is free and the destination has room.
 */
function matching(room: (share: number, index: number, extra: number) => number): Make {
  return (destinations, slots) => {
    const result = new Int32Array(slots).fill(-1);
    const order = destinations
      .map(({ address }, index) => ({ address, index }))
      .sort((a, b) => Buffer.compare(a.address, b.address));
    const share = slots / order.length;
    const left = order.map((_, index) => room(share, index, slots % order.length));
    const seeds = order.map(seedOf);
    // The pair's number stands in the lower bits of its score.
    const pairs = new Float64Array(slots * order.length);
    for (let pair = 0; pair < pairs.length; pair++) {
      const place = pair % order.length;
      const score = hash(seeds[place] ?? 0, Math.floor(pair / order.length), 0) >>> 4;
      pairs[pair] = score * 2 ** 24 + pair;
    }
    for (const key of pairs.sort()) {
      const pair = key % 2 ** 24;
      const place = pair % order.length;
      const slot = Math.floor(pair / order.length);
      if (result[slot] !== -1 || (left[place] ?? 0) === 0) continue;
      left[place] = (left[place] ?? 0) - 1;
      result[slot] = order[place]?.index ?? -1;
    }
    return result;
  };
}

const ALGORITHMS: Record<string, Make> = {
  'rendezvous, plain': rendezvous,
  'Maglev, odd skip': maglev,
  'matching by one hash, exact room': matching(
    (share, index, extra) => Math.floor(share) + (index < extra ? 1 : 0),
  ),
  'matching by one hash, 1 % or one slot of slack': matching((share) =>
    Math.floor(share + Math.max(1, share / 101)),
  ),
  "the race (l4lb's)": consistentTable,
};

interface Figures {
  largest: number;
  removed: number;
  added: number;
  milliseconds: number;
}

/** One set: its table, one destination taken away, and another one added. */
function measure(make: Make, count: number, slots: number, seed: number): Figures {
  const more = randomSet(count + 1, seed);
  const here = more.slice(1);
  const fewer = here.slice(1);
  const start = process.hrtime.bigint();
  const now = make(here, slots);
  const milliseconds = Number(process.hrtime.bigint() - start) / 1e6;
  const owners = (set: readonly TableDestination[], made: Int32Array) =>
    Array.from(made, (index) => set[index]);
  const own = owners(here, now);
  const movedTo = (set: readonly TableDestination[]): number =>
    owners(set, make(set, slots)).filter((one, slot) => one !== own[slot]).length;
  const load = here.map(() => 0);
  for (const index of now) load[index] = (load[index] ?? 0) + 1;
  return {
    largest: (Math.max(...load) * count) / slots,
    removed: (movedTo(fewer) * count) / slots,
    added: (movedTo(more) * (count + 1)) / slots,
    milliseconds,
  };
}

function average(all: readonly Figures[], key: keyof Figures): number {
  return all.reduce((sum, one) => sum + one[key], 0) / all.length;
}

const failures: string[] = [];
function hold(what: string, value: number, bar: number): void {
  if (!(value <= bar)) failures.push(`${what}: ${value.toFixed(3)}, the bar is ${bar}`);
}

function compare(slots: number, sets: number, bars: { largest: number; moved: number }) {
  console.log(`\n32 destinations in ${slots} slots, ${sets} sets\n`);
  console.log('| algorithm | largest load | moved by removing | by adding | ms |');
  console.log('| --- | --- | --- | --- | --- |');
  for (const [name, make] of Object.entries(ALGORITHMS)) {
    const all = Array.from({ length: sets }, (_, seed) => measure(make, 32, slots, seed));
    const figures = (['largest', 'removed', 'added'] as const).map((key) =>
      average(all, key),
    );
    const [largest = 0, removed = 0, added = 0] = figures;
    const time = average(all, 'milliseconds').toFixed(1);
    console.log(
      `| ${[name, ...figures.map((one) => one.toFixed(3)), time].join(' | ')} |`,
    );
    if (make !== consistentTable) continue;
    hold(`largest load in ${slots}`, largest, bars.largest);
    hold(`moved by removing in ${slots}`, removed, bars.moved);
    hold(`moved by adding in ${slots}`, added, bars.moved);
  }
}

/** How far weights are missed, in units of 1 % or one slot; and a change of one. */
function weigh(slots: number, sets: number): void {
  let farthest = 0;
  let moved = 0;
  for (let seed = 0; seed < sets; seed++) {
    const here = randomSet(10 + seed * 3, seed, 100);
    const total = here.reduce((sum, { weight }) => sum + weight, 0);
    const load = here.map(() => 0);
    const made = consistentTable(here, slots);
    for (const index of made) load[index] = (load[index] ?? 0) + 1;
    here.forEach(({ weight }, index) => {
      const share = (weight * slots) / total;
      const off = Math.abs((load[index] ?? 0) - share) / Math.max(1, share / 100);
      farthest = Math.max(farthest, off);
    });
    const first = here[0]?.weight ?? 0;
    const twice = here.map((one, at) => (at === 0 ? { ...one, weight: 2 * first } : one));
    const ideal = ((2 * first) / (total + first) - first / total) * slots;
    moved +=
      consistentTable(twice, slots).filter((one, slot) => one !== made[slot]).length /
      ideal;
  }
  console.log(
    `\nWeights 1 to 100 in ${slots} slots: off by ${farthest.toFixed(2)} of what they`,
    `may; one weight doubled moves ${(moved / sets).toFixed(3)} of the ideal.`,
  );
  hold('weights', farthest, 1);
}

function time(count: number, slots: number, bar: number): void {
  const { removed, added, milliseconds } = measure(consistentTable, count, slots, 1);
  const memory = process.memoryUsage.rss() / 2 ** 20;
  console.log(
    `${count} destinations in ${slots} slots: ${milliseconds.toFixed(0)} ms, moved by`,
    `removing ${removed.toFixed(2)}, adding ${added.toFixed(2)}; ${memory.toFixed(0)} MB`,
  );
  hold(`milliseconds for ${count}`, milliseconds, bar);
  hold('MB', memory, 300);
}

const sets = Number(process.argv[2] ?? 50);
time(512, 65536, 500);
time(4096, 65536, 4000);
weigh(65536, sets);
compare(512, 4 * sets, { largest: 1.07, moved: 1.7 });
compare(65536, sets, { largest: 1.01, moved: 1.06 });
for (const failure of failures) console.error(`missed: ${failure}`);
process.exitCode = failures.length > 0 ? 1 : 0;
