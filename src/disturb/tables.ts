// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Loads balancers and fills their tables with the real tools, as an operator would. All are
 * filled from the same files in the same order; one that comes later catches up.
 */
import type { Remember } from '../abi/cell.js';
import type { Forward } from '../wire/forward.js';
import type { Run } from '../system/run.js';
import type { Row, Schedule } from './changes.js';
import { everyRow } from './changes.js';
import { MODULO_SLOTS, writeModulo } from './modulo.js';
import type { Roles } from './roles.js';
import type { Service } from './testbed.js';
import { POOL } from './testbed.js';

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
  /** Slots remember the same in all balancers, whenever each was filled, as in a fleet. */
  isFleet?: boolean;
}

/** So many files before the newest are a fleet's history. */
const HISTORY = 4;

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

export class Tables {
  readonly #roles: Roles;
  readonly #run: Run;
  readonly #options: ToolOptions;
  readonly #schedule: Schedule;
  readonly #service: Service;
  readonly #write: Write;
  /** The balancers that have a program, and how many of the files each was filled from. */
  readonly #loaded = new Map<Place, number>();
  /** All files so far, the oldest first. */
  readonly #files: string[] = [];
  /** What the newest file holds. */
  #rows: readonly Row[] = [];

  constructor(
    roles: Roles,
    run: Run,
    schedule: Schedule,
    options: ToolOptions,
    service: Service,
    write: Write,
  ) {
    this.#roles = roles;
    this.#run = run;
    this.#options = options;
    this.#schedule = schedule;
    this.#service = service;
    this.#write = write;
  }

  /** From here on balancers are filled from these rows. */
  use(rows: readonly Row[]): void {
    if (rows === this.#rows) return;
    this.#rows = rows;
    this.#files.push(this.#write(`${this.#files.length + 1}.csv`, rows));
  }

  /** Fills one from the files that it has missed, in the same order. */
  async catchUp(place: Place): Promise<void> {
    const seen = this.#loaded.get(place);
    if (seen === undefined) {
      await this.#start(place);
      return;
    }
    const { table, isFleet } = this.#options;
    if (table === 'modulo') await this.#fillModulo(place);
    else if (isFleet) {
      const file = this.#files.at(-1) ?? '';
      const fill = ['-f', file, ...this.#history()];
      if (seen < this.#files.length) await this.#roles.tool(place.role, 'map', fill);
    } else {
      for (const file of this.#files.slice(seen)) {
        await this.#roles.tool(place.role, 'map', ['-f', file]);
      }
    }
    this.#loaded.set(place, this.#files.length);
  }

  async replace(place: Place): Promise<void> {
    await this.#load(place, '--replace');
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

  async #start(place: Place): Promise<void> {
    await this.#load(place);
    const { table, remember, forward, slots, isFleet } = this.#options;
    const ways = [
      ...['--vip', this.#service.endpoint],
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
      await this.#roles.tool(place.role, 'map', [
        ...['-f', this.#files.at(-1) ?? '', ...ways],
        ...(slots === undefined ? [] : ['--slots', String(slots)]),
        ...(table === undefined ? [] : ['--table', table]),
        ...(remember === undefined ? [] : ['--remember', remember]),
        ...(remember === 'destinations' ? NAMES : []),
        ...(isFleet || remember === 'destinations' ? this.#history() : []),
      ]);
    }
    this.#loaded.set(place, this.#files.length);
  }

  /** What makes slots remember the earlier files, and in a fleet nothing else. */
  #history(): string[] {
    const { isFleet } = this.#options;
    const older = this.#files.slice(0, -1).slice(isFleet ? -HISTORY : 0);
    const previous = older.length === 0 ? [] : ['--previous', ...older];
    return isFleet ? [...previous, '--no-settle'] : previous;
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
