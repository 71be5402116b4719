// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Puts the parts of l4lbd together. */
import { join } from 'node:path';

import type { Entry } from '../api/events.js';
import type { WantedDaemon } from '../config/daemon.js';
import type { Context } from '../program/tools.js';
import { daemonSocket, nameInNamespace } from '../system/daemon-socket.js';
import { Failure } from '../text/failure.js';
import type { Mode } from '../text/mode.js';
import { watchTables } from '../watch/watch.js';
import { Control } from './control.js';
import { Hook } from './hooks.js';
import { Journal } from './journal.js';
import { Notifier } from './notify.js';
import { Sampler } from './sampler.js';
import { ApiServer } from './server.js';

export interface DaemonOptions {
  device: string;
  file: string;
  mode: Mode | undefined;
  /** The folder of what survives a restart. */
  state: string;
}

export class Daemon {
  readonly #tools: Context;
  readonly #options: DaemonOptions;
  readonly #journal: Journal;
  readonly #hook: Hook;
  readonly #control: Control;
  readonly #server: ApiServer;
  readonly #notifier: Notifier;
  readonly #sampler: Sampler;

  constructor(tools: Context, options: DaemonOptions, print: (entry: Entry) => void) {
    const { device, file, mode, state } = options;
    this.#tools = tools;
    this.#options = options;
    this.#journal = new Journal(device);
    this.#hook = new Hook((what) => {
      this.#journal.add({ kind: 'trouble', what });
    });
    this.#journal.follow(print);
    this.#journal.follow((entry) => {
      this.#hook.tell(entry);
    });
    const saved = join(state, `${nameInNamespace(device)}.json`);
    const all = { device, file, mode, saved, user: undefined };
    this.#control = new Control(tools, all, this.#journal);
    this.#sampler = Sampler.of(tools, device, mode);
    this.#server = new ApiServer(this.#control, this.#journal, () => this.#sampler.see());
    this.#notifier = new Notifier(tools.run, process.env, this.#control, (what) => {
      this.#journal.add({ kind: 'trouble', what });
    });
    this.#journal.follow((entry) => {
      this.#notifier.take(entry);
    });
  }

  /** Reads the file again; what is wrong with it is told as trouble. */
  async reload(): Promise<void> {
    this.#notifier.reloading();
    try {
      await this.#control.reload();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
    }
  }

  stop(): void {
    this.#notifier.stopping();
    this.#control.stop();
  }

  /** Runs until it is stopped, or until the program is gone, which is a Failure. */
  async run(): Promise<void> {
    const { device, mode } = this.#options;
    const watch = (): Promise<never> =>
      watchTables(this.#tools, device, mode, ({ changes, troubles }) => {
        for (const what of changes) this.#journal.add({ kind: 'followed', what });
        for (const what of troubles) this.#journal.add({ kind: 'trouble', what });
      });
    try {
      await this.#server.listenOnSocket(daemonSocket(device));
      const take = (wanted: WantedDaemon): Promise<void> => this.#take(wanted);
      await Promise.race([this.#control.run(take), watch()]);
      await this.#notifier.told();
    } finally {
      await this.#control.end();
      this.#server.close();
      this.#sampler.close();
    }
  }

  /** Takes what the file says about l4lbd itself. */
  async #take({ listen, onChange }: WantedDaemon): Promise<void> {
    this.#hook.set(onChange);
    await this.#server.listenOn(listen);
  }
}
