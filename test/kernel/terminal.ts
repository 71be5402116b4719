// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A terminal for one test: a shell in tmux, its keys, and what is on the screen. */
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';

import { ROOT } from './network.js';
import type { Network } from './network.js';

/** Milliseconds that something may take to appear on the screen of a busy machine. */
export const PATIENCE = 40_000;

/** The prompt of the shell. */
export const PROMPT = 'shell>';

/** The lines of the screen, without the blanks at their ends. */
export type Screen = string[];

/** Only one can be open at a time, since it has a tmux server of its own. */
export class Terminal {
  static readonly #SOCKET = `l4lb-test-${process.pid}`;

  static async #tmux(...args: string[]): Promise<string> {
    const tmux = ['-u', '-L', Terminal.#SOCKET, '-f', '/dev/null', ...args];
    const result = await execa('tmux', tmux, { cwd: ROOT, reject: false });
    if (result.code === 'ENOENT') {
      throw new Error(
        'tmux is missing, the terminal of these tests. To install it: make setup',
      );
    }
    if (result.exitCode !== 0)
      throw new Error(`tmux ${args.join(' ')}: ${result.stderr}`);
    return result.stdout;
  }

  /** Opens a shell in the balancer's namespace, with 100 columns and 30 lines. */
  static async open(network: Network): Promise<Terminal> {
    const namespace = `--net=/run/netns/l4lb-${network.name}-balancer`;
    const shell = ['env', `PS1=${PROMPT} `, 'bash', '--norc', '--noprofile'];
    const command = ['nsenter', namespace, ...shell];
    await Terminal.#tmux('new-session', '-d', '-x', '100', '-y', '30', ...command);
    const terminal = new Terminal();
    await terminal.until('the prompt', (screen) => screen[0] === PROMPT);
    return terminal;
  }

  /** Ends the terminal and what runs in it; does nothing if none is open. */
  static async close(): Promise<void> {
    await execa('tmux', ['-L', Terminal.#SOCKET, 'kill-server'], { reject: false });
    // The server leaves its socket behind.
    const folder = `${process.env.TMUX_TMPDIR ?? '/tmp'}/tmux-${process.geteuid?.() ?? 0}`;
    rmSync(`${folder}/${Terminal.#SOCKET}`, { force: true });
  }

  /** Presses keys by tmux's names, such as NPage, or plain characters. */
  async press(...keys: string[]): Promise<void> {
    await Terminal.#tmux('send-keys', ...keys);
  }

  /** Types a command and Enter. */
  async enter(command: string): Promise<void> {
    await Terminal.#tmux('send-keys', '-l', command);
    await this.press('Enter');
  }

  async resize(width: number, height: number): Promise<void> {
    await Terminal.#tmux('resize-window', '-x', String(width), '-y', String(height));
  }

  /** What is on view now, which may be half a frame. */
  async screen(): Promise<Screen> {
    return (await Terminal.#tmux('capture-pane', '-p')).split('\n');
  }

  async until(what: string, holds: (screen: Screen) => boolean): Promise<Screen> {
    const deadline = performance.now() + PATIENCE;
    // To look starts a process, so a longer wait is looked after less often.
    for (let pause = 20; ; pause = Math.min(2 * pause, 150)) {
      const screen = await this.screen();
      if (holds(screen)) return screen;
      if (performance.now() > deadline) {
        throw new Error(`${what} did not come. There is:\n${screen.join('\n')}`);
      }
      await sleep(pause);
    }
  }

  async untilShown(...texts: string[]): Promise<Screen> {
    return this.until(texts.join(' and '), (screen) =>
      texts.every((text) => screen.some((line) => line.includes(text))),
    );
  }

  /** One of tmux's own variables, such as alternate_on. */
  async variable(name: string): Promise<string> {
    return Terminal.#tmux('display-message', '-p', `#{${name}}`);
  }

  /** The oldest process with such a command line; its forks have the same. */
  async pidOf(commandLine: string): Promise<number> {
    const tty = (await this.variable('pane_tty')).replace('/dev/', '');
    const { stdout } = await execa('pgrep', ['-o', '-t', tty, '-f', commandLine]);
    return Number(stdout);
  }
}
