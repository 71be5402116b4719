// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The real l4lb-stats, in a real terminal (tmux) and without one, over real traffic. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  test,
} from '@jest/globals';
import { execa } from 'execa';

import { compareAddresses } from '../../src/wire/address.js';
import { Network } from './network.js';
import type { Finished, SampleJson } from './network.js';
import { PATIENCE, PROMPT, Terminal } from './terminal.js';
import type { Screen } from './terminal.js';

const SAMPLE = 'destination_samples/512_destinations.csv';
const OTHER_SAMPLE = 'destination_samples/32_destinations.csv';
const TITLE = '== Load balancer outbound statistics [Driver] ==';
/** The command line as pgrep finds it. */
const DASHBOARD = '^node .*l4lb-stats';
/** The last line of the screen. */
const KEYS = ' s sort  r reverse ';
const WAITING = 'no XDP program on eth0; waiting until it is back';

/** Fewer than usual, so that they are filled sooner. */
const FEW = ['--slots', '1024'];

/** Milliseconds between two samples of the dashboard. */
const INTERVAL = 200;

let network: Network;
beforeAll(async () => {
  network = await Network.up('--destinations', SAMPLE);
  await l4lb('load', '-f', SAMPLE, ...FEW);
  const packets = ['-2', '-I', 'eth0', '-i', 'u1000', '-q', '-c', '900000'];
  const flood = ['hping3', '10.0.0.4', '--rand-source', ...packets];
  network.start('client', 'timeout', '900', ...flood);
});
afterAll(() => network.down());

function l4lb(command: 'load' | 'map', ...args: string[]): Promise<Finished> {
  return network.expectOk('balancer', `bin/l4lb-${command}.js`, '-i', 'eth0', ...args);
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

/** Packets of the verdict balanced since the load, as the screen shows them. */
function balancedOf(screen: Screen): number | undefined {
  const match = /^balanced +[\d,]+ +([\d,]+)/m.exec(screen.join('\n'));
  return match?.[1] === undefined ? undefined : count(match[1]);
}

/** Whether the screen shows a whole frame that has packets in it. */
function hasRates(screen: Screen): boolean {
  const totals = screen.find((line) => line.startsWith('[Totals]'));
  const isWhole = screen[0]?.startsWith(TITLE) && screen.at(-1)?.startsWith(KEYS);
  return Boolean(isWhole && totals?.endsWith(' 100.00%') && balancedOf(screen));
}

function isDescending(values: number[]): boolean {
  return values.every((value, index) => index === 0 || value <= (values[index - 1] ?? 0));
}

/** Whether there are many rows, from fast to slow. */
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

function isAtPrompt(screen: Screen): boolean {
  const lines = screen.filter((line) => line !== '');
  return lines.at(-1) === PROMPT && lines.some((line) => line.startsWith('exit code '));
}

/** What stty -a printed, below the exit code. */
function settingsOf(screen: Screen): string[] {
  const below = screen.findIndex((line) => line.startsWith('exit code ')) + 1;
  return screen
    .slice(below)
    .join(' ')
    .split(/[\s;]+/);
}

async function untilEnded(pid: number): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const state = await execa('ps', ['-o', 'stat=', '-p', String(pid)], {
      reject: false,
    });
    // A zombie has ended, but its parent may be slow to notice.
    if (state.stdout === '' || state.stdout.startsWith('Z')) return;
    if (performance.now() > deadline) throw new Error(`process ${pid} still runs`);
    await sleep(20);
  }
}

describe('in a terminal', () => {
  let terminal: Terminal;
  beforeEach(async () => {
    terminal = await Terminal.open(network);
  });
  afterEach(() => Terminal.close());

  /**
   * Starts it from sh, which, unlike bash, does not restore the terminal after a command.
   */
  async function enterDashboard(...args: string[]): Promise<void> {
    const command = ['bin/l4lb-stats.js', '--interval', `${INTERVAL / 1000}`, ...args];
    await terminal.enter(`sh -c '${command.join(' ')}; echo "exit code $?"; stty -a'`);
  }

  async function openDashboard(): Promise<Screen> {
    await enterDashboard('-i', 'eth0');
    return terminal.until('a whole dashboard with rates', hasRates);
  }

  /** Waits until the screen has exactly the rows with these numbers. */
  async function untilRows(first: number, last: number, of = 512): Promise<Screen> {
    const numbers = Array.from({ length: last - first + 1 }, (_, index) => first + index);
    const status = `${first}-${last} of ${of} `;
    return terminal.until(`rows ${status}`, (screen) => {
      const shown = rowsOf(screen).map(({ number }) => number);
      return screen.join('\n').includes(status) && shown.join() === numbers.join();
    });
  }

  test('it has the header, rows, totals and verdicts', async () => {
    const screen = await openDashboard();
    expect(screen[0]).toMatch(/ {2}eth0 {2}up 00:\d\d:\d\d$/);
    expect(screen[1]).toMatch(/^1-\d\d of 512 {3}by address {3}every 0\.2 s$/);
    expect(screen[2]).toMatch(/^ {3}# {2}address +pkts\/s +bits\/s +share {2}history$/);
    expect(rowsOf(screen)[0]).toMatchObject({ number: 1, address: '10.0.1.11' });
    const text = screen.join('\n');
    expect(text).toMatch(/^\[Totals\] +[1-9][\d,]* +[1-9][\d,]* +100\.00%$/m);
    expect(text).toMatch(/^verdict +pkts\/s +in all/m);
    expect(balancedOf(screen)).toBeGreaterThan(0);
  });

  test('PgDn leads through all 512 rows, Home to the first and End to the last', async () => {
    await terminal.resize(100, 70);
    const page = rowsOf(await openDashboard()).length;
    expect(page).toBeGreaterThan(50);
    const end = 513 - page;
    for (let first = 1; first < end;) {
      first = Math.min(first + page, end);
      await terminal.press('NPage');
      await untilRows(first, first + page - 1);
    }
    await terminal.press('Home');
    await untilRows(1, page);
    await terminal.press('End');
    await untilRows(end, 512);
  });

  test('s sorts by packets, by bits, and by address again, numerically', async () => {
    await openDashboard();
    for (const name of ['packets/s', 'bits/s']) {
      await terminal.press('s');
      await terminal.until(`the fastest first, by ${name}`, (screen) =>
        Boolean(screen[1]?.includes(`by ${name} `) && isFastestFirst(screen)),
      );
    }
    await terminal.press('s');
    await terminal.until('the order of addresses', (screen) =>
      Boolean(screen[1]?.includes('by address ') && isByAddress(screen)),
    );
  });

  test('r reverses the order, and reverses it back', async () => {
    await openDashboard();
    await terminal.press('r');
    await terminal.until('the last address first', (screen) => {
      const isSaid = screen[1]?.includes('by address, reversed ');
      return Boolean(isSaid && isByAddress(screen.toReversed()));
    });
    await terminal.press('r');
    await terminal.until('the first address first', isByAddress);
  });

  test('p and space pause it and let it go on', async () => {
    await openDashboard();
    for (const key of ['p', 'Space']) {
      await terminal.press(key);
      await terminal.untilShown(' PAUSED ');
      await sleep(INTERVAL);
      const paused = await terminal.screen();
      await sleep(3 * INTERVAL);
      expect(await terminal.screen()).toEqual(paused);
      await terminal.press(key);
      await terminal.until('a later sample', (screen) => {
        const [before = 0, now = 0] = [balancedOf(paused), balancedOf(screen)];
        return now > before && !screen.join('\n').includes('PAUSED');
      });
    }
  });

  test('/ filters while it is typed, Enter keeps the filter, Esc clears it', async () => {
    await openDashboard();
    await terminal.press('/', '0', '.', '6', '1', '.');
    await terminal.until('the 8 rows with 0.61.', (screen) => {
      const addresses = rowsOf(screen).map(({ address }) => address);
      const isFiltered = addresses.every((address) => address.startsWith('10.0.61.'));
      const isTyped = screen.at(-1)?.startsWith(' Filter: 0.61._ ');
      return Boolean(isTyped && isFiltered && screen[1]?.startsWith('1-8 of 8 '));
    });
    await terminal.press('Enter');
    await terminal.untilShown('filter "0.61."', KEYS);
    await terminal.press('Escape');
    await terminal.untilShown(' of 512 ');
    await terminal.press('/', '9', 'x');
    await terminal.untilShown('No address contains "9x".');
    await terminal.press('Escape');
    await terminal.untilShown(' of 512 ', KEYS);
  });

  test('? shows the help, ? or Esc leaves it', async () => {
    await openDashboard();
    for (const leave of ['?', 'Escape']) {
      await terminal.press('?');
      const text = (await terminal.untilShown('Keys', 'Verdicts', 'Esc back')).join('\n');
      expect(text).toMatch(/^ {2}PgUp, PgDn +scroll by a page$/m);
      expect(text).toMatch(/^ {2}balanced +TX +sent to a destination/m);
      expect(text).not.toContain(TITLE);
      await terminal.press(leave);
      await terminal.untilShown(TITLE, KEYS);
    }
  });

  test('it fits a terminal that becomes small, large, and as before', async () => {
    const before = await openDashboard();
    await terminal.resize(20, 5);
    const small = await terminal.until('five lines', (screen) =>
      screen.join('\n').startsWith(`${TITLE.slice(0, 20)}\n   1  10.0.1.11\n`),
    );
    expect(small).toHaveLength(5);
    await terminal.resize(200, 60);
    const large = await untilRows(1, 53);
    expect(large).toHaveLength(60);
    await terminal.resize(100, 30);
    await untilRows(1, rowsOf(before).length);
  });

  describe('it gives the terminal back as it was', () => {
    async function signal(name: NodeJS.Signals): Promise<void> {
      process.kill(await terminal.pidOf(DASHBOARD), name);
    }

    async function expectAsBefore(exitCode: number, text: string): Promise<void> {
      const screen = await terminal.until('the prompt', isAtPrompt);
      expect(screen).toContain(text);
      expect(screen).toContain(`exit code ${exitCode}`);
      expect(settingsOf(screen)).toEqual(expect.arrayContaining(['icanon', 'echo']));
      expect(screen.join('\n')).not.toContain(TITLE);
      expect(await terminal.variable('alternate_on')).toBe('0');
      expect(await terminal.variable('cursor_flag')).toBe('1');
    }

    test.each([
      ['after q', 0, () => terminal.press('q')],
      ['after Ctrl-C', 0, () => terminal.press('C-c')],
      ['after SIGTERM from outside', 143, () => signal('SIGTERM')],
      ['after SIGHUP from outside', 129, () => signal('SIGHUP')],
    ])('%s, exit code %i', async (_, exitCode, leave) => {
      await terminal.enter('echo earlier "text"');
      await terminal.untilShown('earlier text');
      await openDashboard();
      expect(await terminal.variable('alternate_on')).toBe('1');
      await leave();

      await expectAsBefore(exitCode, 'earlier text');
    });

    test.each([
      ['after --count samples', 0, ['-i', 'eth0', '--count', '2'], 'earlier text'],
      ['where there is no program', 1, ['-i', 'lo'], 'l4lb-stats: no XDP program on lo'],
    ])('%s, exit code %i', async (_, exitCode, options, text) => {
      await terminal.enter('echo earlier "text"');
      await enterDashboard(...options);
      await expectAsBefore(exitCode, text);
    });
  });

  test('it ends when its terminal is closed', async () => {
    await openDashboard();
    const pid = await terminal.pidOf(DASHBOARD);
    await Terminal.close();
    await untilEnded(pid);
  });

  test('--plain prints lines all the same', async () => {
    await enterDashboard('-i', 'eth0', '--plain', '--count', '1');
    const screen = await terminal.until('the prompt', isAtPrompt);
    expect(screen.join('\n')).toMatch(/^ 512 {2}10\.0\.61\.221 +\d+ pkts\/s/m);
    expect(screen).toContain('exit code 0');
  });

  test('it says that the program is gone, and goes on when it is back', async () => {
    await openDashboard();
    await l4lb('load', '--off');
    const gone = Date.now();
    try {
      await terminal.untilShown(WAITING, TITLE);
    } finally {
      await l4lb('load', '-f', SAMPLE, ...FEW);
    }
    const screen = await terminal.until('rates without the notice', (one) => {
      const isBack = !one.includes(WAITING) && one[1]?.includes(' of 512 ');
      return Boolean(isBack && hasRates(one));
    });
    // It counts from the program that is back, however long a busy machine took.
    const [, minutes, seconds] = /up 00:(\d\d):(\d\d)$/.exec(screen[0] ?? '') ?? [];
    const up = Number(minutes) * 60 + Number(seconds);
    // The kernel tells in whole seconds when it was loaded.
    expect(up).toBeLessThanOrEqual((Date.now() - gone) / 1000 + 1);
  });

  test('it is not disturbed by l4lb-load --replace', async () => {
    const screens = [await openDashboard()];
    const replacing = l4lb('load', '--replace');
    const done = replacing.then(() => true);
    while (!(await Promise.race([done, sleep(0, false)]))) {
      screens.push(await terminal.screen());
    }
    expect((await replacing).stdout).toContain('maps and counters are kept');
    const counts = screens.flatMap((screen) => balancedOf(screen) ?? []);
    const most = Math.max(...counts);
    await terminal.until('more packets', (screen) => (balancedOf(screen) ?? 0) > most);
    expect(Math.min(...counts)).toBe(counts[0]);
    expect(screens.flat().filter((line) => line.includes('waiting'))).toEqual([]);
  });

  test('it has the new rows after a refill with another file', async () => {
    await openDashboard();
    await l4lb('map', '-f', OTHER_SAMPLE);
    try {
      await terminal.until('32 rows, with rates', (screen) => {
        const [first] = rowsOf(screen);
        const isNew = screen[1]?.includes(' of 32 ') && first?.address === '10.0.0.57';
        return Boolean(isNew && first.pps > 0);
      });
    } finally {
      await l4lb('map', '-f', SAMPLE);
    }
    await terminal.untilShown(' of 512 ', '10.0.1.11 ');
  });
});

describe('without a terminal', () => {
  const often = ['--interval', '0.2'];

  test.each([
    ['lines without being asked', []],
    ['lines with --plain', ['--plain']],
  ])('it prints %s, as many blocks as --count says', async (_, options) => {
    const { exitCode, stdout, stderr } = await network.l4lb(
      'stats',
      ...often,
      ...['--count', '3'],
      ...options,
    );
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).not.toContain('\x1b');
    const [nothing, ...blocks] = stdout.split(TITLE);
    expect(nothing).toBe('');
    expect(blocks).toHaveLength(3);
    for (const block of blocks) {
      expect(
        block.match(/^ *\d+ {2}10\.[\d.]+ +[\d,]+ pkts\/s +[\d,]+ bits\/s$/gm),
      ).toHaveLength(512);
      expect(block).toMatch(/^\[Totals\] +[1-9][\d,]* pkts\/s +[1-9][\d,]* bits\/s$/m);
    }
  });

  test('a reader that has seen enough, such as head, ends it quietly', async () => {
    const pipe = `bin/l4lb-stats.js -i eth0 --interval 0.1 | head -1; echo "\${PIPESTATUS[*]}"`;
    const finished = await network.run('balancer', 'timeout', ['20', 'bash', '-c', pipe]);
    expect(finished).toEqual({ exitCode: 0, stdout: `${TITLE}\n0 0`, stderr: '' });
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'ended by %s, it leaves no process behind',
    async (signal) => {
      const stats = network.start(
        'balancer',
        'bin/l4lb-stats.js',
        '-i',
        'eth0',
        '--json',
      );
      let children: string[] = [];
      while (children.length === 0 && stats.exitCode === null) {
        await sleep(20);
        const args = ['-P', String(stats.pid), '-x', 'sh'];
        const { stdout } = await execa('pgrep', args, { reject: false });
        children = stdout.split('\n').filter(Boolean);
      }
      expect(children).toHaveLength(1);
      stats.kill(signal);
      for (const child of children) await untilEnded(Number(child));
    },
  );

  test('--once --json prints one line', async () => {
    const { stdout } = await network.l4lb('stats', '--once', '--json', ...often);
    expect(stdout.split('\n')).toHaveLength(1);
    const sample = JSON.parse(stdout) as SampleJson;
    expect(sample).toMatchObject({ interface: 'eth0', mode: 'Driver' });
    expect(sample.destinations).toHaveLength(512);
    expect(sample.totals.pps).toBeGreaterThan(0);
  });
});
