// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What destinations by nat and by link answer, by chance. */
import type {
  ModelAnswer,
  ModelDestination,
  ModelSender,
} from '../../src/model/types.js';
import { onWire } from '../../src/wire/address.js';
import {
  CLIENTS,
  IPV4,
  PORTS,
  SERVICES,
  SERVICE_ADDRESSES,
  TCP,
  UDP,
} from './choices.js';
import type { Flow } from './flow.js';
import type { Random } from './random.js';

/** Most are destinations of the table, but any address will do. */
export function makeAnswers(
  random: Random,
  destinations: readonly ModelDestination[],
): ModelAnswer[] {
  const answers = new Map<string, ModelAnswer>();
  for (let count = random.between(4, 12); count > 0; count--) {
    const isV4 = random.chance(50);
    const others = isV4
      ? Buffer.concat([Buffer.from(IPV4, 'hex'), random.bytes(4)])
      : random.bytes(16);
    const nat = destinations.filter(({ forward }) => forward === 'nat');
    const address =
      nat.length > 0 && random.chance(60) ? random.pick(nat).address : others;
    const isAnyPort = random.chance(40);
    const key = {
      address,
      port: isAnyPort ? 0 : random.pick(PORTS),
      protocol: random.pick([TCP, UDP]),
    };
    const isForFragments = key.port === 0 && random.chance(40);
    const vips = SERVICE_ADDRESSES.filter(
      (one) => onWire(one).length === onWire(address).length,
    );
    const value = {
      address: random.pick(vips),
      // With any port, too: then the program has to refuse fragments.
      port: random.chance(40) ? 0 : random.pick(PORTS),
      isForFragments,
      isByLink: false,
      id: random.between(1, 12),
    };
    answers.set(`${address.toString('hex')} ${key.port} ${key.protocol}`, { key, value });
  }
  for (let count = random.between(0, 6); count > 0; count--) {
    const address = random.pick(SERVICE_ADDRESSES);
    const port = random.chance(40) ? 0 : random.pick(PORTS);
    const key = { address, port, protocol: random.pick([TCP, UDP]) };
    const isForFragments = port === 0 && random.chance(40);
    const id = random.between(1, SERVICES);
    const value = { address, port: 0, isForFragments, isByLink: true, id };
    answers.set(`${address.toString('hex')} ${port} ${key.protocol}`, { key, value });
  }
  return [...answers.values()];
}

/** Of a few hosts, most are destinations of most services. */
export function makeSenders(random: Random): ModelSender[] {
  const macs = Array.from({ length: 3 }, () => random.bytes(6));
  return macs.flatMap((mac) =>
    Array.from({ length: SERVICES }, (_, index) => index + 1)
      .filter(() => random.chance(80))
      .map((service) => ({ key: { mac, service }, id: random.between(1, 12) })),
  );
}

/** From a destination to a client, mostly. */
export function makeFlowBack(random: Random, answers: readonly ModelAnswer[]): Flow {
  const { key } = random.pick(answers);
  const source = onWire(key.address);
  const clients = CLIENTS.filter(({ length }) => length === source.length);
  return {
    source,
    address: random.chance(40) ? random.pick(clients) : random.bytes(source.length),
    protocol: random.chance(95) ? key.protocol : random.pick([TCP, UDP]),
    sequence: random.word(),
    data: 0,
    ports: {
      source: key.port !== 0 && random.chance(90) ? key.port : random.pick(PORTS),
      destination: random.below(65536),
    },
  };
}
