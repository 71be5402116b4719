// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What a run needs of a network, whatever its shape: one switch, or a router and links. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Failure } from '../text/failure.js';
import type { LongRunning } from '../system/long-running.js';
import { packaged } from '../system/package.js';
import type { Run } from '../system/run.js';
import type { Step } from './changes.js';
import type { FloodTotal } from './flood.js';
import type { HalfOpen } from './judge-half-open.js';
import type { Shift } from './ecmp/judge.js';
import type { Flow, Settings } from './protocol.js';
import type { Roles } from './roles.js';

/** The service that the client's connections go to. */
export interface Service {
  vip: string;
  port: number;
  /** As l4lb-map reads it. */
  endpoint: string;
  /** The client's addresses, which it takes in turn; none: the one that it has. */
  sources: readonly string[];
}

export const SERVICE: Service = {
  vip: '10.0.100.1',
  port: 80,
  endpoint: '10.0.100.1:80/tcp',
  sources: [],
};

/** What the first balancer sends from by full-nat. */
export const POOL = '198.51.100.0/30';

/** What is known of a run beside its connections. */
export interface Beside {
  flood: FloodTotal | undefined;
  halfOpen: HalfOpen[];
  /** What a router did at each change; undefined: there is none. */
  shifts?: Shift[] | undefined;
}

export interface Testbed {
  readonly service: Service;
  up(): Promise<void>;
  /** Stops everything that was started. */
  down(): Promise<void>;
  /** Starts the client, which opens connections at once. */
  startClient(settings: Settings): LongRunning;
  /** Starts the flood, if there is to be one. It ends by itself after `limit` ms. */
  startFlood(limit: number): Promise<void>;
  /** Does what comes before change `index`, when these connections are open. */
  beforeChange(index: number, flows: readonly Flow[]): Promise<void>;
  /** Makes one change with the tools that an operator would use. */
  change(step: Step): Promise<void>;
  /** Ends what was beside the connections, and tells what it was. */
  finish(): Promise<Beside>;
  /** Returns packets by verdict, summed over all balancers that were used. */
  verdicts(): Promise<Record<string, number>>;
}

/** Where testbed/network.sh keeps a directory for each network while it is up. */
const NETWORKS = '/run/l4lb-testbed';

/** The namespaces of a run, which testbed/network.sh makes and takes down. */
export class Namespaces {
  readonly #run: Run;
  readonly #roles: Roles;
  readonly #name: string;
  #isMade = false;

  constructor(run: Run, roles: Roles, name: string) {
    this.#run = run;
    this.#roles = roles;
    this.#name = name;
  }

  get folder(): string {
    return join(NETWORKS, this.#name);
  }

  /** Writes a file that goes with the network, and returns its path. */
  write(file: string, text: string): string {
    const path = join(this.folder, file);
    writeFileSync(path, text);
    return path;
  }

  async up(options: readonly string[]): Promise<void> {
    this.#isMade = true;
    await this.#roles.expect(
      'could not build the network',
      packaged('testbed/network.sh'),
      ['up', this.#name, '--quiet', '--owner', String(process.pid), ...options],
    );
  }

  async down(): Promise<void> {
    await this.#roles.stop();
    if (!this.#isMade) return;
    // Ctrl-C in the terminal must not stop it half way.
    const args = ['down', this.#name];
    const network = packaged('testbed/network.sh');
    const { exitCode, stderr } = await this.#run(network, args, { detached: true });
    if (exitCode === 0 || stderr.includes('there is no network')) return;
    throw new Failure(`could not take the network down: ${stderr.trim()}`, {
      next: `${network} down ${this.#name}`,
    });
  }
}
