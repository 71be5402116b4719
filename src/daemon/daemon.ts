// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Puts the parts of l4lbd together. */
import type { Entry } from '../api/events.js';
import { HISTORY_EVERY } from '../api/history.js';
import type { WantedDaemon } from '../config/daemon.js';
import type { Context } from '../program/tools.js';
import { daemonSocket, sweepSockets } from '../system/daemon-socket.js';
import { Failure } from '../text/failure.js';
import type { Mode } from '../text/mode.js';
import { watchTables } from '../watch/watch.js';
import { readToken } from './guard.js';
import { Hook } from './hooks.js';
import { Journal } from './journal.js';
import { LastMinutes } from './last-minutes.js';
import type { Control as Viewed } from './notify.js';
import { Notifier } from './notify.js';
import { Sampler } from './sampler.js';
import type { Asks } from './server.js';
import { ApiServer } from './server.js';

export interface DaemonOptions {
  device: string;
  mode: Mode | undefined;
}

/** What it runs: it decides what is filled, alone or as a node of a fleet. */
export interface Controller extends Asks, Viewed {
  /** `take` gets what is asked of l4lbd itself, and may refuse it. */
  run: (take: (wanted: WantedDaemon) => Promise<void>) => Promise<void>;
  stop: () => void;
  end: () => Promise<void>;
}

export class Daemon {
  readonly #tools: Context;
  readonly #options: DaemonOptions;
  readonly #journal: Journal;
  readonly #hook: Hook;
  readonly #control: Controller;
  readonly #server: ApiServer;
  readonly #notifier: Notifier;
  readonly #sampler: Sampler;
  readonly #minutes = new LastMinutes();
  #looking: ReturnType<typeof setInterval> | undefined;

  constructor(
    tools: Context,
    options: DaemonOptions,
    control: (journal: Journal) => Controller,
    print: (entry: Entry) => void,
  ) {
    const { device, mode } = options;
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
    this.#control = control(this.#journal);
    this.#sampler = Sampler.of(tools, device, mode);
    this.#server = new ApiServer(
      this.#control,
      this.#journal,
      () => this.#sampler.see(),
      () => this.#minutes.history(),
    );
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
      await sweepSockets();
      const take = (wanted: WantedDaemon): Promise<void> => this.#take(wanted);
      await Promise.race([this.#control.run(take), watch()]);
      await this.#notifier.told();
    } finally {
      this.#keepMinutes(false);
      await this.#control.end();
      this.#server.close();
      this.#sampler.close();
    }
  }

  /** Takes what the file says about l4lbd itself. */
  async #take(wanted: WantedDaemon): Promise<void> {
    const { listen, names = [], tokenFile, onChange } = wanted;
    // May fail, and then the file changes nothing.
    const token = tokenFile === undefined ? undefined : readToken(tokenFile);
    await this.#server.listenOn(listen);
    this.#server.setAccess({ names, token });
    this.#hook.set(onChange);
    this.#keepMinutes(listen !== undefined);
  }

  /** Looks now and then for those who look only later, if anybody can. */
  #keepMinutes(isWanted: boolean): void {
    if (isWanted === (this.#looking !== undefined)) return;
    clearInterval(this.#looking);
    this.#looking = isWanted
      ? setInterval(() => void this.#look(), HISTORY_EVERY)
      : undefined;
  }

  async #look(): Promise<void> {
    try {
      this.#minutes.add(this.#control.status(await this.#sampler.see()));
    } catch (error) {
      if (!(error instanceof Failure)) throw error; // it has just begun
    }
  }
}
