// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What was read of wanted texts: to read those of thousands of destinations takes some tenths
 * of a second, and most documents differ from the one before in weights alone.
 */
import { nameOfRow } from '../../config/destinations-csv.js';
import type { Config } from '../../config/read.js';
import { Fault } from '../../text/fault.js';
import type { WantedTexts } from './wanted.js';
import { joinConfig } from './wanted.js';

export class KnownWanted {
  #common: string | undefined;
  /** By service. */
  readonly #weights = new Map<
    string,
    { wanted: string; weights: ReadonlyMap<string, number> }
  >();
  #joined: (WantedTexts & { config: Config }) | undefined;

  /** The weights of a service's destinations; throws a Fault if its text is none of it. */
  weightsOf(common: string, name: string, wanted: string): ReadonlyMap<string, number> {
    if (common !== this.#common) this.#weights.clear();
    this.#common = common;
    const known = this.#weights.get(name);
    if (known?.wanted === wanted) return known.weights;
    const { services, problems } = joinConfig({
      common,
      services: new Map([[name, wanted]]),
    });
    const [problem] = problems;
    if (problem !== undefined) throw new Fault(problem);
    const rows = services.flatMap((service) => service.rows);
    const weights = new Map(rows.map((row) => [nameOfRow(row), row.weight]));
    this.#weights.set(name, { wanted, weights });
    return weights;
  }

  /** All services together. */
  join(texts: WantedTexts): Config {
    const { common, services } = texts;
    const last = this.#joined;
    const isSame =
      last?.common === common &&
      last.services.size === services.size &&
      [...services].every(([name, text]) => last.services.get(name) === text) &&
      String([...last.services.keys()]) === String([...services.keys()]);
    if (isSame) return last.config;
    const config = joinConfig(texts);
    this.#joined = { common, services: new Map(services), config };
    // Those of services that are gone are of no use any more.
    for (const name of this.#weights.keys())
      if (!services.has(name)) this.#weights.delete(name);
    return config;
  }
}
