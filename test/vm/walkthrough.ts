// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The walkthrough of docs/guide/card.md on a device that offloads, command for command. */
import { describe, expect, test } from '@jest/globals';

import { ZERO } from '../../src/abi/counter.js';
import type { SampleJson } from '../kernel/network.js';
import {
  OFFLOADED,
  countSlots,
  programsOn,
  readCounters,
  readTable,
  useCard,
  writeCounter,
} from './card.js';
import type { Vm } from './vm.js';
import { IS_ALL, MOST_MS } from './vm.js';

const SLOTS = 512;
/** The destination that is removed from the sample of 32, and its id. */
const GONE = { address: '10.0.125.19', id: 2 };
/** What the card has counted before that. */
const COUNTED = [
  { id: 1, packets: 1000n, bytes: 98_000n },
  { id: GONE.id, packets: 500n, bytes: 49_000n },
];

export function walkthrough(vm: Vm): void {
  describe('the walkthrough in offload mode', () => {
    useCard(vm);

    const walk = (what: string, act: () => Promise<void>): void =>
      test(what, act, MOST_MS);

    async function sample(...args: string[]): Promise<SampleJson[]> {
      const { stdout } = await vm.l4lb('stats', '-i', 'eth0', '--json', ...args);
      const lines = stdout.trim().split('\n');
      return lines.map((line) => JSON.parse(line) as SampleJson);
    }

    walk('ip link loads the portable build without a word', async () => {
      const [command = '', ...args] = OFFLOADED.split(' ');
      const silence = { exitCode: 0, stdout: '', stderr: '' };
      expect(await vm.run(command, args)).toEqual(silence);
      expect(await programsOn(vm, 'eth0')).toMatchObject([
        { mode: 'xdpoffload', name: 'l4lb_2' },
      ]);
    });

    walk('l4lb-map fills it with 32 destinations', async () => {
      const fill = ['-i', 'eth0', '-f', '32_destinations.csv'];
      const { exitCode, stdout, stderr } = await vm.run('bin/l4lb-map.js', fill);
      expect(stderr).toBe('');
      expect(stdout.trimEnd().split('\n')).toEqual([
        'Loading file with 32 destinations',
        'eth0 [Offload] any/tcp, any/udp: 32 destinations in 512 slots, ssh kept',
        '  32 added, 0 removed, 0 changed, 512 slots moved',
        '  answers to connections that this host opens are balanced too; --vip ADDRESS takes one address only',
      ]);
      expect(exitCode).toBe(0);

      const counts = countSlots(await readTable(vm));
      expect(counts.size).toBe(32);
      // The share of each is 16; 17 is as good as equal.
      expect(Math.max(...counts.values())).toBeLessThanOrEqual(17);
      expect(Math.min(...counts.values())).toBeGreaterThanOrEqual(13);
    });

    walk('l4lb-stats says that it is offloaded', async () => {
      const once = ['-i', 'eth0', '--once', '--interval', '0.1'];
      const { exitCode, stdout, stderr } = await vm.l4lb('stats', ...once);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      const lines = stdout.split('\n');
      expect(lines[0]).toBe('== Load balancer outbound statistics [Offload] ==');
      expect(lines.filter((line) => /^ +\d+ +10\.0\./.test(line))).toHaveLength(32);
      expect(lines.find((line) => line.startsWith('[Totals]'))).toMatch(/ 0 pkts\/s/);
    });

    walk('a refill with one destination fewer keeps the counters', async () => {
      for (const { id, ...counter } of COUNTED) await vm.shell(writeCounter(id, counter));
      const before = await readTable(vm);
      expect(before).toContain(GONE.address);
      const file = 'destination_samples/32_destinations.csv';
      await vm.shell(`grep -v '^${GONE.address},' ${file} > /tmp/31.csv`);

      const { stdout } = await vm.l4lb('map', '-i', 'eth0', '-f', '/tmp/31.csv');
      const after = await readTable(vm);
      const moved = after.filter((address, slot) => address !== before[slot]).length;
      expect(stdout).toContain(`0 added, 1 removed, 0 changed, ${moved} slots moved`);
      expect(countSlots(after).size).toBe(31);
      expect(after).not.toContain(GONE.address);
      // Its own 16 or so have to move, and a few more to keep the load even.
      expect(moved).toBeLessThan(SLOTS / 10);

      const counters = await readCounters(vm);
      for (const { id, ...counter } of COUNTED) expect(counters.get(id)).toEqual(counter);
      const [{ totals } = { totals: undefined }] = await sample(
        '--once',
        '--interval',
        '0.1',
      );
      expect(totals).toMatchObject({ packets: 1500, bytes: 147_000 });
    });

    walk('512 destinations have a slot each, and 32 have all of them again', async () => {
      const fill = async (count: number): Promise<string[]> => {
        const file = `${count}_destinations.csv`;
        const { stdout, stderr } = await vm.l4lb('map', '-i', 'eth0', '-f', file);
        expect(stderr).toBe('');
        expect(stdout).toContain(`${count} destinations in 512 slots`);
        return readTable(vm);
      };
      const counts = countSlots(await fill(512));
      expect(counts.size).toBe(512);
      expect(new Set(counts.values())).toEqual(new Set([1]));
      expect(countSlots(await fill(32)).size).toBe(32);
      const [{ totals } = { totals: undefined }] = await sample(
        '--once',
        '--interval',
        '0.1',
      );
      expect(totals).toMatchObject({ packets: 1500, bytes: 147_000 });
    });

    walk('rates are what the counters grow by', async () => {
      // The earlier fills have decided which id the address has by now.
      const [before] = await sample('--once', '--interval', '0.1');
      const id = before?.destinations[0]?.id ?? 0;
      // A hundred packets of one byte each time.
      const words = '$((n & 255)) $((n >> 8)) 0 0 0 0 0 0';
      const grow = writeCounter(id, ZERO).replace(
        /value hex .*/,
        `value ${words} ${words}`,
      );
      const growing = vm.shell(
        `n=0; until [ -e /tmp/enough ]; do n=$((n + 100)); ${grow}; sleep 0.1; done`,
      );
      const samples = await sample('--count', '2', '--interval', '1');
      await vm.shell('touch /tmp/enough');
      await growing;
      expect(samples.map(({ mode }) => mode)).toEqual(['Offload', 'Offload']);
      const [first, second] = samples.map(({ destinations }) =>
        destinations.find((one) => one.id === id),
      );
      const grown = (second?.packets ?? 0) - (first?.packets ?? 0);
      const interval = samples[1]?.interval_s ?? 1;
      expect(grown).toBeGreaterThan(0);
      expect(second?.pps).toBeCloseTo(grown / interval, 0);
      expect(second?.bps).toBeCloseTo((8 * grown) / interval, 0);
    });

    const screen = async (): Promise<void> => {
      const tmux = 'tmux -u -f /dev/null';
      const show = `${tmux} new-session -d -x 100 -y 30 bin/l4lb-stats.js -i eth0`;
      const until = `until ${tmux} capture-pane -p | grep -F '[Offload]'; do sleep 0.5; done`;
      await vm.shell(show);
      expect(await vm.shell(`timeout 120 bash -c "${until}"`)).toContain('eth0');
      await vm.shell(
        `${tmux} send-keys q; while ${tmux} has-session; do sleep 0.1; done`,
      );
    };
    if (IS_ALL) walk('the full screen says so too', screen);

    walk('l4lb-explain asks a copy, and counts nothing', async () => {
      const before = await readCounters(vm);
      const packet = ['--src', '192.0.2.7:4242', '--dst', '10.0.0.4:80/tcp', '--json'];
      const { stdout, stderr, exitCode } = await vm.l4lb(
        'explain',
        '-i',
        'eth0',
        ...packet,
      );
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      const told = JSON.parse(stdout) as {
        slot: number;
        destination: { address: string };
      };
      expect(told).toMatchObject({ verdict: 'balanced', agrees: true });
      expect(told.destination.address).toBe((await readTable(vm))[told.slot]);
      expect(await readCounters(vm)).toEqual(before);
    });

    walk('l4lb-doctor finds what nobody answers, and the program well', async () => {
      const look = ['-i', 'eth0', '-m', 'xdpoffload'];
      const { stdout, exitCode } = await vm.l4lb('doctor', ...look);
      const kinds = [...stdout.matchAll(/^finding \((.+)\):/gm)].map(([, kind]) => kind);
      expect(new Set(kinds)).toEqual(new Set(['answers', 'counters']));
      expect(stdout).toContain('eth0 accepts the portable build');
      expect(stdout).toMatch(/l4lb_2 in mode Offload, portable build \(program \d+\)/);
      expect(stdout).toContain(
        '1 service with 32 destinations; every slot has a destination',
      );
      expect(exitCode).toBe(1);
    });

    walk('ip link takes it off', async () => {
      const off = ['link', 'set', 'dev', 'eth0', 'xdpoffload', 'off'];
      const silence = { exitCode: 0, stdout: '', stderr: '' };
      expect(await vm.run('ip', off)).toEqual(silence);
      const { exitCode, stderr } = await vm.l4lb('stats', '-i', 'eth0', '--once');
      expect(stderr).toContain('no XDP program on eth0');
      expect(exitCode).toBe(1);
    });
  });
}
