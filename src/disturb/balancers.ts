// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The balancers of a run, loaded and filled by the real tools. The first carries all
 * packets, until the second takes over or carries half of them.
 */
import type { Remember } from '../abi/cell.js';
import type { Forward } from '../wire/forward.js';
import type { Run } from '../system/run.js';
import type { Change, Row, Schedule } from './changes.js';
import { addressOf, everyRow, macOf } from './changes.js';
import { MODULO_SLOTS, writeModulo } from './modulo.js';
import type { Roles } from './roles.js';

export const VIP = '10.0.100.1';
export const PORT = 80;

/** Outer sources that name destinations; nothing in the network has such an address. */
export const NAMES = ['--names', '10.7.0.0/16'];

export interface ToolOptions {
  /** Passed to l4lb-load. */
  object: string | undefined;
  /** Passed to l4lb-map, except `modulo`, which modulo.ts writes. */
  table: string | undefined;
  /** Who knows the connections of slots that moved, for l4lb-map. */
  remember: Remember | undefined;
  /** How packets reach the destinations, for l4lb-map. */
  forward: Forward | undefined;
  /** Of the service, for l4lb-map. */
  slots: number | undefined;
}

/** A namespace that a balancer runs in. */
export interface Place {
  role: string;
  address: string;
  mac: string;
}

/** The parts of l4lb-stats's output that are read here. */
interface SampleJson {
  destinations: { id: number; address: string }[];
  verdicts: Record<string, { packets: number }>;
}

/** Writes a file of destinations, and returns its path. */
export type Write = (name: string, rows: readonly Row[]) => string;

/** What the first balancer sends from by full-nat. */
export const POOL = '198.51.100.0/30';
export const FIRST: Place = {
  role: 'balancer',
  address: '10.0.0.4',
  mac: '02:00:00:00:00:04',
};

export function needsSecond({ steps }: Schedule): boolean {
  return steps.some(({ change: { kind } }) => kind === 'takeover' || kind === 'both');
}

export class Balancers {
  readonly #roles: Roles;
  readonly #run: Run;
  readonly #options: ToolOptions;
  readonly #schedule: Schedule;
  readonly #write: Write;
  readonly #second: Place;
  /** The balancers that have a program, and how many of the files each was filled from. */
  readonly #loaded = new Map<Place, number>();
  /** All files so far, the oldest first. */
  readonly #files: string[] = [];
  /** What the newest file holds. */
  #rows: readonly Row[] = [];
  /** Those that carry packets. */
  #carriers: Place[] = [FIRST];

  constructor(
    roles: Roles,
    run: Run,
    schedule: Schedule,
    options: ToolOptions,
    write: Write,
  ) {
    this.#roles = roles;
    this.#run = run;
    this.#options = options;
    this.#schedule = schedule;
    this.#write = write;
    // One namespace more than there are destinations stands in for the second balancer.
    const number = schedule.destinations + 1;
    const role = `destination${number}`;
    this.#second = { role, address: addressOf({ number }), mac: macOf({ number }) };
  }

  get carriers(): readonly Place[] {
    return this.#carriers;
  }

  async start(): Promise<void> {
    this.#use(this.#schedule.first);
    await this.#startOne(FIRST);
  }

  /** Makes one change with the tools that an operator would use. */
  async change(change: Change, rows: readonly Row[]): Promise<void> {
    if (change.kind === 'replace') {
      for (const place of this.#carriers) await this.#load(place, '--replace');
      return;
    }
    this.#use(rows);
    if (change.kind === 'both') await this.#carryBy([FIRST, this.#second]);
    else if (change.kind === 'takeover') {
      await this.#carryBy([this.#carriers.includes(this.#second) ? FIRST : this.#second]);
    } else for (const place of this.#carriers) await this.#catchUp(place);
  }

  /** Returns packets by verdict, summed over all balancers that were used. */
  async verdicts(): Promise<Record<string, number>> {
    const sums = new Map<string, number>();
    for (const place of this.#loaded.keys()) {
      const sample = await this.#sample(place);
      for (const [name, { packets }] of Object.entries(sample.verdicts)) {
        sums.set(name, (sums.get(name) ?? 0) + packets);
      }
    }
    return Object.fromEntries(sums);
  }

  /** From here on balancers are filled from these rows. */
  #use(rows: readonly Row[]): void {
    if (rows === this.#rows) return;
    this.#rows = rows;
    this.#files.push(this.#write(`${this.#files.length + 1}.csv`, rows));
  }

  /** Fills those that shall carry packets from now on, then gives them the client's. */
  async #carryBy(places: Place[]): Promise<void> {
    for (const place of places) await this.#catchUp(place);
    this.#carriers = places;
    const hops = places.flatMap(({ address }) => [
      ...(places.length > 1 ? ['nexthop'] : []),
      ...['via', address, 'dev', 'eth0'],
    ]);
    const mtu = ['mtu', '1480'];
    const what = 'could not switch the route of the client';
    // By ports too, or all connections of the one client would go one way.
    const policy = ['-qw', 'net.ipv4.fib_multipath_hash_policy=1'];
    if (places.length > 1) await this.#roles.within('client', what, 'sysctl', policy);
    await this.#roles.within('client', what, 'ip', [
      ...['route', 'replace', `${VIP}/32`],
      ...(places.length > 1 ? [...mtu, ...hops] : [...hops, ...mtu]),
    ]);
  }

  /** Fills one from the files that it has missed, in the same order. */
  async #catchUp(place: Place): Promise<void> {
    const seen = this.#loaded.get(place);
    if (seen === undefined) {
      await this.#startOne(place);
      return;
    }
    if (this.#options.table === 'modulo') await this.#fillModulo(place);
    else {
      for (const file of this.#files.slice(seen)) {
        await this.#roles.tool(place.role, 'map', ['-f', file]);
      }
    }
    this.#loaded.set(place, this.#files.length);
  }

  async #startOne(place: Place): Promise<void> {
    await this.#load(place);
    const { table, remember, forward, slots } = this.#options;
    const ways = [
      ...['--vip', `${VIP}:${PORT}/tcp`],
      ...(forward === undefined ? [] : ['--forward', forward]),
      ...(forward === 'full-nat' ? ['--source', POOL] : []),
    ];
    if (table === 'modulo') {
      // First all destinations of the run, so that each gets an id; then the slots.
      const all = this.#write('all.csv', everyRow(this.#schedule));
      const slots = ['--slots', String(MODULO_SLOTS)];
      await this.#roles.tool(place.role, 'map', ['-f', all, ...ways, ...slots]);
      await this.#fillModulo(place);
    } else {
      const older = this.#files.slice(0, -1);
      const previous = older.length === 0 ? [] : ['--previous', ...older];
      await this.#roles.tool(place.role, 'map', [
        ...['-f', this.#files.at(-1) ?? '', ...ways],
        ...(slots === undefined ? [] : ['--slots', String(slots)]),
        ...(table === undefined ? [] : ['--table', table]),
        ...(remember === undefined ? [] : ['--remember', remember]),
        ...(remember === 'destinations' ? [...NAMES, ...previous] : []),
      ]);
    }
    this.#loaded.set(place, this.#files.length);
  }

  async #load(place: Place, ...more: string[]): Promise<void> {
    const { object } = this.#options;
    const args = ['-m', 'xdpdrv', ...(object === undefined ? [] : ['--obj', object])];
    await this.#roles.tool(place.role, 'load', [...args, ...more]);
  }

  async #fillModulo(place: Place): Promise<void> {
    const { destinations } = await this.#sample(place);
    const ids = new Map(destinations.map(({ address, id }) => [address, id]));
    const { role } = place;
    const [inside, namespace] = [this.#roles.inside(role), this.#roles.namespace(role)];
    await writeModulo(this.#run, inside, namespace, this.#rows, ids);
  }

  async #sample({ role }: Place): Promise<SampleJson> {
    const args = ['--once', '--json', '--interval', '0.05'];
    return JSON.parse(await this.#roles.tool(role, 'stats', args)) as SampleJson;
  }
}
