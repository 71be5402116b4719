// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What is wanted of a fleet: a config file, in the parts that the store keeps. One part holds
 * what is the same for all services, and each service has one of its own, with its
 * destinations in it. Each is text that the reader of config files reads, so what is right in
 * a file is right in the store, and a fault has the same words.
 */
import { parse, stringify } from 'smol-toml';

import type { DestinationFile, DestinationRow } from '../../config/destinations-csv.js';
import { nameOfRow } from '../../config/destinations-csv.js';
import type { Config, WantedService } from '../../config/read.js';
import { parseConfig } from '../../config/read.js';
import type { OpenFile } from '../../config/rows.js';
import { Fault } from '../../text/fault.js';
import { many } from '../../text/format.js';
import { at } from '../../text/must.js';
import { ANY_ADDRESS } from '../../wire/address.js';
import { USUAL_SLOTS } from './sets.js';

/** The texts of a config, as the store keeps them. */
export interface WantedTexts {
  /** The keys above the services. */
  common: string;
  /** By their names. */
  services: ReadonlyMap<string, string>;
}

export interface SplitConfig extends WantedTexts {
  config: Config;
}

/** `FILE:LINE: reason`, one for each fault; of a config that balancers could not share, too. */
export type Problems = string[];

/** That the tables of any build hold: more would be accepted, and applied by no node. */
const MOST_DESTINATIONS = 4096;

/** Keys that only one balancer can make sense of. */
const OWN_KEYS = ['daemon', 'seed'];

/** Reads a config file for a fleet. What is wrong with it is among the config's problems. */
export function splitConfig(file: DestinationFile, open: OpenFile): SplitConfig {
  const config = parseConfig(file, open);
  const problems = [...config.problems, ...config.services.flatMap(unshareable)];
  if (problems.length > 0) {
    return { config: { ...config, problems }, common: '', services: new Map() };
  }
  const { service: raw = [], source, ...others } = parse(file.text);
  const common = Object.entries(others).filter(([key]) => !OWN_KEYS.includes(key));
  const tables = raw as Record<string, unknown>[];
  const services = config.services.map(({ name, slots, rows }, index) => {
    const table = Object.entries(at(tables, index)).filter(([key]) => key !== 'file');
    const own = {
      ...(source !== undefined && { source }),
      ...Object.fromEntries(table),
      slots: slots ?? USUAL_SLOTS,
      destinations: rows.map(rawRow),
    };
    return [name, stringify({ service: [own] })] as const;
  });
  return {
    config,
    common: stringify(Object.fromEntries(common)),
    services: new Map(services),
  };
}

/** As short as can be: there may be thousands, and each node reads all of them. */
function rawRow(row: DestinationRow): string | Record<string, unknown> {
  const { weight, isBackup } = row;
  const address = nameOfRow(row);
  if (weight === 1 && !isBackup) return address;
  return { address, weight, ...(isBackup && { backup: true }) };
}

/** Why balancers that must agree cannot have this service. */
function unshareable(service: WantedService): Problems {
  const { name, place, ways, table, forward, rows, drainDeadline, check } = service;
  const fault = (reason: string): string => `${place}: ${name}: in a fleet ${reason}`;
  const own = rows.find(({ mac, device, isLocal }) => mac ?? device ?? isLocal);
  return [
    ...(ways.some(({ address }) => address.equals(ANY_ADDRESS))
      ? [fault('address = "any" would take the packets of BGP and BFD; name addresses')]
      : []),
    ...(table === 'minimal'
      ? [fault('table = "minimal" is refused: balancers would disagree')]
      : []),
    ...(forward === 'full-nat'
      ? [fault('forward = "full-nat" is refused: each balancer knows only its own ports')]
      : []),
    ...(drainDeadline === undefined
      ? []
      : [fault('drain_deadline is refused: l4lb fleet settle forgets for all')]),
    ...(check?.question.kind === 'exec'
      ? [fault('a check of kind "exec" is refused: the store would run programs')]
      : []),
    ...(rows.length > MOST_DESTINATIONS
      ? [fault(`${many(rows.length, 'destination')} are too many: tables hold 4,096`)]
      : []),
    ...(own
      ? [
          fault(
            `${nameOfRow(own)} has a mac, a device or local: these hold on one balancer only`,
          ),
        ]
      : []),
  ];
}

/** The weights of the destinations of one service's text; throws a Fault if it has none. */
export function weightsOf(common: string, wanted: string): Map<string, number> {
  const { services, problems } = parseConfig(
    { name: 'wanted', text: `${common}\n${wanted}` },
    NO_FILE,
  );
  const [problem] = problems;
  if (problem !== undefined) throw new Fault(problem);
  const [service, other] = services;
  if (!service || other) throw new Fault('it is not wanted of one service');
  return new Map(service.rows.map((row) => [nameOfRow(row), row.weight]));
}

const NO_FILE: OpenFile = (name) => {
  throw new Fault(`${name} is a file, which the store does not have`);
};

/**
 * Reads texts of the store as one config. They are as untrusted as a file, and as a whole
 * they may contradict each other where none does alone.
 */
export function joinConfig({ common, services }: WantedTexts): Config {
  const none = services.size === 0 ? ['service = []'] : [];
  const text = [common, ...none, ...services.values()].join('\n');
  const config = parseConfig({ name: 'the store', text }, NO_FILE);
  const names = [...services.keys()];
  const isNamed =
    config.services.length === names.length &&
    config.services.every(({ name }, index) => name === names[index]);
  const problems = [
    ...config.problems,
    ...(isNamed || config.problems.length > 0
      ? []
      : ['the store: a service has another name than its key']),
    ...config.services.flatMap(unshareable),
  ];
  return { ...config, problems };
}
