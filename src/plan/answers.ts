// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Where destinations send their answers from, and what the program puts into its place. It
 * follows from the ways and entries of a state, so nothing else needs to be kept. By nat an
 * answer has to tell the service that its client had asked. By link it has the service's
 * address, and the MAC address that it comes from tells the destination.
 */
import {
  ANSWERS,
  encodeAnswer,
  encodeAnswerKey,
  encodeSenderKey,
} from '../abi/answer.js';
import type { AnswerFrom, AnswerKey, SenderKey } from '../abi/answer.js';
import { CELL_HASH_SOURCE } from '../abi/cell.js';
import type { Cell } from '../abi/cell.js';
import type { Destination } from '../abi/destination.js';
import { must } from '../text/must.js';
import { ANY_ADDRESS, formatAddress } from '../wire/address.js';
import { formatEndpoint } from '../wire/endpoint.js';
import { familyOf } from '../wire/outer-source.js';
import type { Way } from '../wire/way.js';
import { formatWay } from '../wire/way.js';
import { NoRoom } from './no-room.js';
import { servicesIn } from './services.js';
import type { Tables, Write } from './state.js';

/** By the hex digits of the key. */
export type Answers = ReadonlyMap<string, AnswerFrom>;

interface Told {
  from: AnswerFrom;
  way: Way;
}

const WHOLE = { port: 0, isForFragments: false, isByLink: false };

/** All answers of a state, or a refusal of those that would tell two services. */
export function answersIn(
  cells: ReadonlyMap<number, Cell>,
  destinations: ReadonlyMap<number, Destination>,
): Answers {
  const services = servicesIn(cells);
  const told = new Map<string, Told>();
  const fragments = new Map<string, AnswerFrom | undefined>();
  for (const [id, entry] of destinations) {
    if (entry.forward !== 'nat' || entry.service === 0) continue;
    const service = services.get(entry.service);
    for (const way of service?.ways ?? []) {
      if (familyOf(way.address) !== familyOf(entry.address)) continue;
      const { address, protocol } = way;
      const key = {
        ...{ address: entry.address, protocol },
        port: entry.port || way.port,
      };
      const from = { ...WHOLE, address, port: entry.port && way.port, id };
      const text = textOf(key);
      const other = told.get(text);
      if (other && !sameFrom(other.from, from)) throw isTwice(entry, other.way, way);
      told.set(text, { from, way });
      const isBySource = ((service?.flags ?? 0) & CELL_HASH_SOURCE) !== 0;
      if (way.port === 0 || entry.port !== 0 || !isBySource) continue;
      // Fragments have no ports: none can be given another one, and none tells two services.
      const all = textOf({ ...key, port: 0 });
      const one = { ...WHOLE, address, isForFragments: true, id };
      const there = fragments.get(all);
      const isSame = !fragments.has(all) || (there && sameFrom(there, one));
      fragments.set(all, isSame ? one : undefined);
    }
  }
  const answers = new Map([...told].map(([key, { from }]) => [key, from]));
  for (const [key, from] of fragments) {
    if (from && !answers.has(key)) answers.set(key, from);
  }
  // By nat they have to be turned back, and by link they are only counted.
  for (const [key, from] of answersByLink(services, destinations)) {
    if (!answers.has(key)) answers.set(key, from);
  }
  if (answers.size > ANSWERS) throw tooMany(answers.size);
  return answers;
}

/**
 * The services by link, and their destinations. What a service on any address answers is
 * not told from other packets. Destinations with the same MAC address are one host.
 */
function answersByLink(
  services: ReturnType<typeof servicesIn>,
  destinations: ReadonlyMap<number, Destination>,
): Answers {
  const answers = new Map<string, AnswerFrom>();
  const fragments = new Map<string, AnswerFrom>();
  const shared = new Set<string>();
  const seen = new Set<number>();
  for (const [id, { forward, service, mac }] of destinations) {
    if (forward !== 'link' || service === 0) continue;
    const ways = (services.get(service)?.ways ?? []).filter(
      ({ address }) => !address.equals(ANY_ADDRESS),
    );
    const sender = textOf({ mac, service });
    if (ways.length > 0 && !answers.has(sender)) {
      answers.set(sender, { ...WHOLE, address: ANY_ADDRESS, id });
    }
    if (seen.has(service)) continue;
    seen.add(service);
    for (const { address, port, protocol } of ways) {
      const from = { ...WHOLE, address, isByLink: true, id: service };
      answers.set(textOf({ address, port, protocol }), from);
      if (port === 0) continue;
      // Fragments have no ports, so they tell no two services apart.
      const all = textOf({ address, port: 0, protocol });
      if ((fragments.get(all)?.id ?? service) !== service) shared.add(all);
      fragments.set(all, { ...from, isForFragments: true });
    }
  }
  for (const [key, from] of fragments) {
    if (!answers.has(key) && !shared.has(key)) answers.set(key, from);
  }
  return answers;
}

/** Plans what comes before packets need it, and what goes when none does any more. */
export function planAnswers(
  { answers: there }: Tables,
  wanted: Answers,
): { added: Write[]; gone: Write[] } {
  if (!there) return { added: [], gone: [] };
  const added = [...wanted].flatMap(([key, value]): Write[] => {
    const before = there.get(key);
    return before && sameFrom(before, value) ? [] : [{ map: 'answers', key, value }];
  });
  const gone = [...there.keys()].flatMap((key): Write[] =>
    wanted.has(key) ? [] : [{ map: 'answers', key, value: undefined }],
  );
  return { added, gone };
}

function textOf(key: AnswerKey | SenderKey): string {
  return ('mac' in key ? encodeSenderKey(key) : encodeAnswerKey(key)).toString('hex');
}

function sameFrom(one: AnswerFrom, other: AnswerFrom): boolean {
  return encodeAnswer(one).equals(encodeAnswer(other));
}

function isTwice(entry: Destination, one: Way, other: Way): NoRoom {
  const [first, second] = [one, other].map(formatWay);
  if (first === second) {
    return new NoRoom(
      `${formatAddress(entry.address)} would be two destinations of ${must(first, 'one way')}, with the same port`,
      {
        cause: `a destination without a port gets packets at the port of the service`,
        next: `leave one of the two out: the row without a port, or ${formatEndpoint(entry)}`,
      },
    );
  }
  return new NoRoom(
    `${formatEndpoint(entry)} would answer for ${must(first, 'one way')} and for ${must(second, 'another')}`,
    {
      cause:
        'nat keeps no state, so an answer tells its service only by where it comes from',
      next: `give the destination a port of its own for each of them, or forward one by tunnel or link`,
    },
  );
}

function tooMany(count: number): NoRoom {
  return new NoRoom(`nat and link would need ${count} answers, of at most ${ANSWERS}`, {
    cause:
      'by nat each port and protocol of a service needs one for each destination, by link each of them needs one',
    next: 'take fewer ports or destinations, or forward by tunnel',
  });
}
