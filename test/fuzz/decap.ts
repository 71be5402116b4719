// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The decapsulation program. */
import { DECAP_VERDICTS, encodeHost } from '../../src/abi/decap.js';
import { encodeKey } from '../../src/abi/bytes.js';
import { DECAP_ABI } from '../../src/abi/maps.js';
import {
  EMPTY_PAIR,
  encodePair,
  encodeSibling,
  encodeSiblingKey,
} from '../../src/abi/siblings.js';
import type { Pair } from '../../src/abi/siblings.js';
import { decap } from '../../src/model/decap.js';
import type { Neighbourhood, PairEvent, Socket } from '../../src/model/names.js';
import { wrongInnerSums } from '../../src/model/sums.js';
import { onWire } from '../../src/wire/address.js';
import type { Names, NamesPrefix } from '../../src/wire/names.js';
import { bitsOfNumber, formatNames } from '../../src/wire/names.js';
import { Sums, compareSums, counted } from './compare.js';
import type { Expected, Prepared, Time } from './engines.js';
import { makeTunnels } from './packets.js';
import type { Random } from './random.js';
import { SIBLINGS, numberOf } from './siblings.js';
import { flowsOf, socketEntry } from './sockets.js';
import type { Program } from './target.js';
import { PROGRAMS } from './target.js';
import { Request } from './worker.js';

/** They are read after each chunk. */
export const DECAP_SIZES = { siblings: 64, pairs: 16 };

const OWN = [
  '00000000000000000000ffff0a00000f',
  '00000000000000000000ffff0a000010',
  '20010db800020000000000000000000f',
].map((text) => Buffer.from(text, 'hex'));
const ON_WIRE = OWN.map(onWire);
const NUMBERS = new Map<string, number>(
  DECAP_VERDICTS.map(({ name, number }) => [name, number]),
);
const PREFIX_V4 = Buffer.from('00000000000000000000ffff0a000000', 'hex');
const PREFIX_V6 = Buffer.from('fd000007000000000000000000000000', 'hex');
const DECAPSULATED = ['decapsulated', 'taken hot', 'nobody named'];

export function prepareDecap(
  program: Program,
  random: Random,
  count: number,
  sockets: readonly Socket[],
): Prepared {
  const { longest } = PROGRAMS[program];
  const names = chooseNames(random);
  const all = [names.ipv4, names.ipv6].flatMap((one) => one ?? []);
  const neighbourhood: Neighbourhood = {
    names: all.map(({ address, length }) => ({ prefix: onWire(address), length })),
    siblings: SIBLINGS.map((one) => ({ ...one, address: onWire(one.address) })),
    sockets,
  };
  const choices = {
    own: ON_WIRE,
    source: sourceOf(all),
    flows: flowsOf(random, sockets),
  };
  return {
    frames: makeTunnels(random, choices, count, longest),
    tables: () =>
      new Request()
        .write(
          'addresses',
          OWN.map((address) => [address, encodeKey(1)] as const),
        )
        .write('host', [[encodeKey(0), encodeHost({ abi: DECAP_ABI, names })]])
        .write('siblings', SIBLINGS.map(siblingEntry))
        .write('sockets', sockets.map(socketEntry))
        .zeros('pairs')
        .zeros('verdicts'),
    dumps: ['verdicts', 'pairs'],
    expect: (time, frames) => expectation(neighbourhood, time, frames),
    about: `names: ${all.map(formatNames).join(', ')}`,
  };
}

function chooseNames(random: Random): Names {
  const ipv4 = { address: PREFIX_V4, length: random.pick([8, 12, 16, 16, 24]) };
  const ipv6 = { address: PREFIX_V6, length: random.pick([96, 104, 112, 112, 120]) };
  return {
    ...(random.chance(90) && { ipv4 }),
    ...(random.chance(90) && { ipv6 }),
  };
}

/** Sources that name up to two destinations, most of them siblings. */
function sourceOf(names: readonly NamesPrefix[]) {
  return (random: Random, length: number): Buffer => {
    const mine = names.find(({ address }) => onWire(address).length === length);
    if (!mine || random.chance(20)) return random.bytes(length);
    const source = Buffer.from(onWire(mine.address));
    const most = 2 ** bitsOfNumber(mine);
    const number = (): number =>
      random.chance(80)
        ? random.pick([0, 0, 1, 2, 3, 4, 5, 15, 16]) % most
        : random.below(most);
    const numbers = number() * most + number();
    source.writeUInt32BE(source.readUInt32BE(length - 4) + numbers, length - 4);
    return source;
  };
}

function siblingEntry(one: (typeof SIBLINGS)[number]): readonly [Buffer, Buffer] {
  const version = onWire(one.address).length === 4 ? 4 : 6;
  return [
    encodeSiblingKey({ number: numberOf(one.address), version }),
    encodeSibling(one),
  ];
}

function expectation(
  neighbourhood: Neighbourhood,
  { seconds }: Time,
  frames: readonly Buffer[],
): Expected {
  const sums = new Sums();
  const pairs = new Map<number, Pair>();
  const answers = frames.map((frame) => {
    const answer = decap(OWN, frame, neighbourhood);
    sums.add(NUMBERS.get(answer.verdict) ?? -1, frame.length);
    if (answer.event) addEvent(pairs, answer.event, frame.length, BigInt(seconds));
    return answer;
  });
  return {
    answers: answers.map((answer) => ({
      ran: answer,
      says: `${answer.action}, ${answer.verdict}`,
    })),
    judge: (packet, { frame }) =>
      DECAPSULATED.includes(answers[packet]?.verdict ?? '')
        ? wrongInnerSums(frames[packet] as Buffer, frame)
        : [],
    compareMaps: (dumped) => [
      ...compareSums('verdict', counted(dumped.get('verdicts')), sums.text()),
      ...comparePairs(dumped.get('pairs') ?? [], pairs),
    ],
  };
}

function addEvent(
  pairs: Map<number, Pair>,
  { pair, kind }: PairEvent,
  bytes: number,
  last: bigint,
): void {
  const had = pairs.get(pair) ?? EMPTY_PAIR;
  const counts = { ...had[kind], packets: had[kind].packets + 1n, last };
  const more = kind === 'sent' ? { bytes: had.sent.bytes + BigInt(bytes) } : {};
  pairs.set(pair, { ...had, [kind]: { ...counts, ...more } });
}

function comparePairs(
  there: readonly Buffer[],
  wanted: ReadonlyMap<number, Pair>,
): string[] {
  return there.flatMap((value, pair) => {
    const expected = encodePair(wanted.get(pair) ?? EMPTY_PAIR);
    if (value.equals(expected)) return [];
    const [model, program] = [expected, value].map((one) => one.toString('hex'));
    return [`pair ${pair}: model ${model ?? ''}, program ${program ?? ''}`];
  });
}
