// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Puts the dashboard on a terminal; screen/ decides what it shows. */
import blessed from 'blessed';
import type { Line, Style } from './screen/line.js';
import { collect, reduce } from './screen/keys.js';
import { printableLine } from '../text/printable.js';
import type { Sample } from './sample.js';
import { render } from './screen/draw.js';
import { initialState } from './screen/state.js';
import type { ScreenState } from './screen/state.js';

export interface Dashboard {
  /** Also ends a notice. */
  show(sample: Sample): void;
  /** Shows a line that says why no samples come. */
  notice(text: string): void;
  /** Resolves when the user quits (q, Ctrl-C) or close() is called. */
  closed: Promise<void>;
  /** Restores the terminal; may be called more than once. */
  close(): void;
}

/** SGR numbers of colours that every terminal has; blessed does not support dim. */
const SGR: Record<Style, string> = {
  plain: '',
  title: '1',
  heads: '7',
  strong: '1',
  alarm: '1;31',
  notice: '30;43',
  history: '36',
};

/** Uses SGR codes, because blessed's tags would give braces in the filter a meaning. */
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
 * Opens a screen and removes blessed's listeners for signals and uncaught exceptions.
 * Unless others listen too, blessed ends the process, with status 0 on SIGTERM. Others,
 * such as execa, do not act while blessed listens. Blessed still restores the terminal
 * when the process exits; after an uncaught exception, before its stack is printed.
 */
function openScreen(): blessed.Widgets.Screen {
  const before = SIGNALS.map((signal) => process.listeners(signal as NodeJS.Signals));
  const screen = blessed.screen({
    // blessed complains about capabilities in the terminfo of tmux and screen.
    terminal: 'xterm-256color',
    // The history draws blocks, even without LANG (sudo, a container). Each block is
    // one column wide, so the slower fullUnicode is not needed.
    forceUnicode: true,
  });
  for (const [index, signal] of SIGNALS.entries()) {
    for (const listener of process.listeners(signal as NodeJS.Signals)) {
      if (!before[index]?.includes(listener)) process.off(signal, listener);
    }
  }
  return screen;
}

/** The caller must close the dashboard, on SIGTERM and SIGHUP too. */
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
    // Draws everything anew, in case something else has written over the screen.
    if (key.full === 'C-l') screen.realloc();
    draw(next);
  });

  resize();
  return {
    show(sample) {
      const next = collect({ ...state, notice: undefined }, sample);
      if (next.shown === state.shown && next.notice === state.notice) state = next;
      else draw(next);
    },
    notice: (text) => draw({ ...state, notice: text.replaceAll(/[^ -~]/g, ' ') }),
    closed,
    close,
  };
}
