// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The destinations of a run: they echo, and decapsulate if there is a tunnel. */
import { existsSync } from 'node:fs';

import type { Remember } from '../abi/cell.js';
import { Failure } from '../text/failure.js';
import { packaged } from '../system/package.js';
import type { Schedule } from './changes.js';
import { addressOf, everyRow } from './changes.js';
import type { Roles } from './roles.js';
import type { Write } from './tables.js';
import { NAMES } from './tables.js';
import { SERVICE } from './testbed.js';

export interface DestinationOptions {
  /** Who knows the connections of slots that moved. */
  remember: Remember | undefined;
  /** net.ipv4.tcp_syncookies; undefined: as the kernel has it. */
  syncookies: string | undefined;
  /** Without a tunnel, a connection shows that no program is needed. */
  hasTunnel: boolean;
  /** What the servers listen on. */
  host?: string | undefined;
}

export class Destinations {
  readonly #roles: Roles;
  readonly #schedule: Schedule;
  readonly #options: DestinationOptions;
  readonly #write: Write;

  constructor(
    roles: Roles,
    schedule: Schedule,
    options: DestinationOptions,
    write: Write,
  ) {
    this.#roles = roles;
    this.#schedule = schedule;
    this.#options = options;
    this.#write = write;
  }

  /** `configure` does what else is needed in each. */
  async start(configure: (role: string) => Promise<void>): Promise<void> {
    const numbers = Array.from({ length: this.#schedule.destinations }, (_, i) => i + 1);
    const servers = numbers.map(async (number) => {
      const role = `destination${number}`;
      await this.#setCookies(role);
      await configure(role);
      if (this.#options.hasTunnel) await this.#loadDecap(role);
      const { host } = this.#options;
      const where = [addressOf({ number }), String(SERVICE.port), host ?? '0.0.0.0'];
      const server = this.#roles.start(role, 'echo.mjs', where);
      await server.firstLine(`the echo server in ${role}`);
    });
    // Wait for all even if one fails: down() would miss servers that start later.
    for (const server of await Promise.allSettled(servers)) {
      if (server.status === 'rejected') throw server.reason;
    }
  }

  async #setCookies(role: string): Promise<void> {
    const { syncookies } = this.#options;
    if (syncookies === undefined) return;
    const setting = `net.ipv4.tcp_syncookies=${syncookies}`;
    const what = `could not set tcp_syncookies in ${role}`;
    await this.#roles.within(role, what, 'sysctl', ['-qw', setting]);
  }

  /** By hand, as it knows no address then; or by the tool, with the names of all others. */
  async #loadDecap(role: string): Promise<void> {
    if (this.#options.remember === 'destinations') {
      const siblings = this.#write('siblings.csv', everyRow(this.#schedule));
      const known = [...NAMES, '--siblings', siblings];
      await this.#roles.tool(role, 'load', ['-m', 'xdpdrv', '--decap', ...known]);
      return;
    }
    const decap = packaged('l4lb_decap.o');
    const load = ['link', 'set', 'dev', 'eth0', 'xdpdrv', 'obj', decap, 'sec', 'xdp'];
    await this.#roles.within(role, `could not load l4lb_decap.o in ${role}`, 'ip', load);
  }
}

/** Fails if files that come with the package were not built. */
export function checkBuilt(needed: readonly string[]): void {
  const missing = needed.map(packaged).filter((path) => !existsSync(path));
  if (missing.length === 0) return;
  throw new Failure(`missing: ${missing.join(' and ')}`, {
    cause: 'the objects were not compiled',
    next: 'make objects',
  });
}
