// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The dashboard on a terminal; what it shows is decided in screen/. */
import blessed from 'blessed';
import type { Line, Style } from './screen/line.js';
import { collect, reduce } from './screen/keys.js';
import { printableLine } from '../text/printable.js';
import type { Sample } from './sample.js';
import { render } from './screen/draw.js';
import { initialState } from './screen/state.js';
import type { ScreenState } from './screen/state.js';

export interface Dashboard {
  show(sample: Sample): void;
  /** A line that says why nothing new comes, or undefined to clear it. */
  notice(text: string | undefined): void;
  /** Resolves when the user quits (q, Ctrl-C), or when close was called. */
  closed: Promise<void>;
  /** Gives the terminal back as it was; may be called more than once. */
  close(): void;
}

/** The colours that every terminal has, by their SGR numbers; blessed knows no dim. */
const SGR: Record<Style, string> = {
  plain: '',
  title: '1',
  heads: '7',
  strong: '1',
  alarm: '1;31',
  notice: '30;43',
  history: '36',
};

/** SGR codes rather than blessed's tags: braces in the filter are then only braces. */
function paint(lines: Line[]): string {
  return lines
    .map((line) =>
      line
        .map(({ text, style }) => {
          const shown = printableLine(text);
          return SGR[style] ? `\x1b[${SGR[style]}m${shown}\x1b[m` : shown;
        })
        .join(''),
    )
    .join('\n');
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGQUIT', 'uncaughtException'] as const;

/**
 * Blessed answers signals and uncaught exceptions by ending the process, with status 0
 * on SIGTERM, unless others listen; and others, such as execa, do not act when it
 * listens. So it shall not. It still restores the terminal when the process exits, which
 * an uncaught exception comes to before its stack is printed.
 */
function openScreen(): blessed.Widgets.Screen {
  const before = SIGNALS.map((signal) => process.listeners(signal as NodeJS.Signals));
  const screen = blessed.screen({
    // The entries of tmux and screen have capabilities blessed complains about.
    terminal: 'xterm-256color',
    // For the blocks of the history, also where LANG is not set (sudo, a container).
    // Each is one column wide, so fullUnicode, which is slower, is not needed.
    forceUnicode: true,
  });
  for (const [index, signal] of SIGNALS.entries()) {
    for (const listener of process.listeners(signal as NodeJS.Signals)) {
      if (!before[index]?.includes(listener)) process.off(signal, listener);
    }
  }
  return screen;
}

/** Whoever opens it has to close it, on SIGTERM and SIGHUP too. */
export function openDashboard(options: {
  interface: string;
  interval: number;
}): Dashboard {
  const screen = openScreen();
  const box = blessed.box({ parent: screen, width: '100%', height: '100%', wrap: false });
  let state = initialState(options);
  let resolveClosed: () => void;
  const closed = new Promise<void>((resolve) => (resolveClosed = resolve));
  let open = true;

  function close(): void {
    if (!open) return;
    open = false;
    screen.destroy();
    resolveClosed();
  }

  function draw(next: ScreenState): void {
    state = next;
    if (!open) return;
    box.setContent(paint(render(state)));
    screen.render();
  }

  function resize(): void {
    const [width, height] = [Number(screen.width) || 1, Number(screen.height) || 1];
    draw({ ...state, width, height });
  }
  screen.on('resize', resize);

  screen.on('keypress', (character: string | undefined, key: { full: string }) => {
    const printable = character !== undefined && /^[ -~]$/.test(character);
    const next = reduce(state, printable ? character : key.full);
    if (next.quit) {
      close();
      return;
    }
    // Where something else has written over the screen.
    if (key.full === 'C-l') screen.realloc();
    draw(next);
  });

  resize();
  return {
    show(sample) {
      const next = collect(state, sample);
      if (next.shown === state.shown) state = next;
      else draw(next);
    },
    notice: (text) => draw({ ...state, notice: text?.replaceAll(/[^ -~]/g, ' ') }),
    closed,
    close,
  };
}
