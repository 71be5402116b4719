// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The real l4lb-stats, in a real terminal (tmux) and without one, over real traffic. */
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  jest,
  test,
} from '@jest/globals';
import { execa } from 'execa';

import { compareAddresses } from '../../src/address.js';
import { Network, ROOT } from './network.js';
import type { SampleJson } from './network.js';

const SAMPLE = 'destination_samples/512_destinations.csv';
const OTHER_SAMPLE = 'destination_samples/32_destinations.csv';
const TITLE = '== Load balancer outbound statistics [Driver] ==';
const WAITING = 'no XDP program on eth0; waiting until it is back';

/** Between two samples of the dashboard; in ms. */
const INTERVAL = 200;
/** How long something may take to come on the screen; in ms. */
const PATIENCE = 8000;

// The patience, and then the start and the end of a terminal.
jest.setTimeout(2 * PATIENCE);

let network: Network;
beforeAll(async () => {
  network = await Network.up('--destinations', SAMPLE);
  await network.expectOk('balancer', 'bin/l4lb-load.js', '-i', 'eth0', '-f', SAMPLE);
  const packets = ['-2', '-I', 'eth0', '-i', 'u200', '-q', '-c', '100000'];
  const flood = ['hping3', '10.0.0.4', '--rand-source', ...packets];
  network.start('client', 'timeout', '60', ...flood);
});
afterAll(() => network.down());

type Screen = string[];

/** A shell in the balancer's namespace, in a tmux server of its own. */
class Terminal {
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

  static async open(): Promise<Terminal> {
    const shell = ['env', 'PS1=shell> ', 'bash', '--norc', '--noprofile'];
    const space = `--net=/run/netns/l4lb-${network.name}-balancer`;
    const size = ['-x', '100', '-y', '30'];
    await Terminal.#tmux('new-session', '-d', ...size, 'nsenter', space, ...shell);
    const terminal = new Terminal();
    await terminal.until('the prompt', (screen) => screen[0] === 'shell>');
    return terminal;
  }

  /** Ends what runs in it; nothing where none is open. */
  static async close(): Promise<void> {
    const args = ['-L', Terminal.#SOCKET, 'kill-server'];
    await execa('tmux', args, { reject: false });
    // The server leaves it behind, where TMUX_TMPDIR says.
    const folder = `${process.env.TMUX_TMPDIR ?? '/tmp'}/tmux-${process.geteuid?.() ?? 0}`;
    rmSync(`${folder}/${Terminal.#SOCKET}`, { force: true });
  }

  /** Keys by tmux's names, such as PPage, or plain characters. */
  async press(...keys: string[]): Promise<void> {
    await Terminal.#tmux('send-keys', ...keys);
  }

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
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const screen = await this.screen();
      if (holds(screen)) return screen;
      if (Date.now() > deadline) {
        throw new Error(`${what} did not come. There is:\n${screen.join('\n')}`);
      }
      await sleep(20);
    }
  }

  async untilShown(...texts: string[]): Promise<Screen> {
    return this.until(texts.join(' and '), (screen) =>
      texts.every((text) => screen.some((line) => line.includes(text))),
    );
  }

  /** One of tmux's own variables, such as pane_tty. */
  async variable(name: string): Promise<string> {
    return Terminal.#tmux('display-message', '-p', `#{${name}}`);
  }

  /** The process of the dashboard. */
  async dashboardPid(): Promise<number> {
    const tty = (await this.variable('pane_tty')).replace('/dev/', '');
    const { stdout } = await execa('pgrep', ['-t', tty, '-f', '^node .*l4lb-stats']);
    return Number(stdout);
  }
}

interface ShownRow {
  number: number;
  address: string;
  pps: number;
  bps: number;
}

function rowsOf(screen: Screen): ShownRow[] {
  return screen.flatMap((line) => {
    const match = /^ *(\d+) {2}([\d.]+) +([\d,]+) +([\d,]+) +[\d.]+%/.exec(line);
    const [, number = '', address = '', pps = '', bps = ''] = match ?? [];
    const row = { number: Number(number), address, pps: count(pps), bps: count(bps) };
    return match ? [row] : [];
  });
}

function count(text: string): number {
  return Number(text.replaceAll(',', ''));
}

/** Packets of the verdict balanced since the load, as the screen has them. */
function balancedOf(screen: Screen): number | undefined {
  const match = /^balanced +[\d,]+ +([\d,]+)/m.exec(screen.join('\n'));
  return match?.[1] === undefined ? undefined : count(match[1]);
}

function isDescending(values: number[]): boolean {
  return values.every((value, index) => index === 0 || value <= (values[index - 1] ?? 0));
}

/** Many rows, from fast to slow. */
function isFastestFirst(screen: Screen): boolean {
  const rates = rowsOf(screen).map(({ pps }) => pps);
  const slowest = rates.at(-1) ?? 0;
  return rates.length > 15 && isDescending(rates) && (rates[0] ?? 0) > slowest;
}

function isByAddress(screen: Screen): boolean {
  const addresses = rowsOf(screen).map(({ address }) => address);
  const inOrder = [...addresses].sort(compareAddresses);
  return addresses.length > 15 && addresses.join() === inOrder.join();
}

describe('in a terminal', () => {
  let terminal: Terminal;
  beforeEach(async () => {
    terminal = await Terminal.open();
  });
  afterEach(() => Terminal.close());

  /** In a sh, which unlike bash does not mend the terminal behind its commands. */
  async function enterDashboard(...args: string[]): Promise<void> {
    const command = ['bin/l4lb-stats.js', '--interval', `${INTERVAL / 1000}`, ...args];
    await terminal.enter(`sh -c '${command.join(' ')}; echo "exit code $?"; stty -a'`);
  }

  async function openDashboard(): Promise<Screen> {
    await enterDashboard('-i', 'eth0');
    return terminal.until('a dashboard of 512 rows, with rates', (screen) => {
      const isComplete = screen[1]?.startsWith('1-') && screen[29]?.startsWith(' s sort');
      return Boolean(isComplete) && rowsOf(screen).some(({ pps }) => pps > 0);
    });
  }

  test('it has the header, rows, totals and verdicts', async () => {
    const screen = await openDashboard();
    expect(screen[0]).toContain(`${TITLE}  eth0  up 00:`);
    expect(screen[1]).toMatch(/^1-\d\d of 512 {3}by address {3}every 0\.2 s$/);
    expect(screen[2]).toMatch(/^ {3}# {2}address +pkts\/s +bits\/s +share {2}history$/);
    expect(rowsOf(screen)[0]).toMatchObject({ number: 1, address: '10.0.1.11' });
    const text = screen.join('\n');
    expect(text).toMatch(/^\[Totals\] +[1-9][\d,]* +[1-9][\d,]* +100\.00%$/m);
    expect(text).toMatch(/^verdict +pkts\/s +in all/m);
    expect(balancedOf(screen)).toBeGreaterThan(0);
  });

  test('PgDn goes through all 512 rows, Home and End to the first and last', async () => {
    await terminal.resize(100, 70);
    const seen = new Set((await openDashboard70()).map(({ number }) => number));
    for (let last = Math.max(...seen); last < 512; last = Math.max(...seen)) {
      await terminal.press('PPage');
    }
  });
});
