// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Runs pages of the guide, command for command, and expects what they show. */
import { mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { afterAll, describe, expect, test } from '@jest/globals';
import { execa } from 'execa';

import { isAsShown, shownBy, stable } from '../console.js';
import type { ShownCommand } from '../console.js';
import { ROOT } from './network.js';

/** What runs on every page. */
export const TOOLS = ['l4lb-load', 'l4lb-map', 'l4lb-explain', 'l4lb-doctor', 'curl'];

export interface Page {
  page: string;
  /** Commands that the page is bound to show. */
  words: string[];
  /** What stands in for the machine itself, on a page that builds a network there. */
  machine?: Machine;
}

export interface Machine {
  /** The option of nsenter that leads to it, once there is one. */
  namespace: () => string;
  env: Record<string, string>;
  /** Runs before each command, since each has a shell of its own. */
  before: string;
  /** A prefix of names, which the page does not show. */
  prefix: string;
}

/**
 * The pages' name of the network, and ours, since other tests and people may have a
 * "try".
 */
const SHOWN_NETWORK = 'try';
const NETWORK = `guide-${process.pid}`;

// Holds the sources, what a reader writes beside them, and what "make install"
// installs.
const scratch = mkdtempSync(join(tmpdir(), 'l4lb-guide-'));
const folder = mkdtempSync(join(scratch, 'sources-'));
for (const name of readdirSync(ROOT)) symlinkSync(join(ROOT, name), join(folder, name));
const installed = join(scratch, 'installed');
const env = {
  DESTDIR: installed,
  PATH: `${installed}/usr/local/bin:${process.env.PATH ?? ''}`,
};

function renamed(command: string): string {
  return command
    .replace(` up ${SHOWN_NETWORK} `, ` up ${NETWORK} --owner ${process.pid} `)
    .replace(` down ${SHOWN_NETWORK}`, ` down ${NETWORK}`);
}

function shell({ role, command }: ShownCommand, machine?: Machine): [string, string[]] {
  const line = ['-c', renamed(command).replace(/ &$/, '')];
  if (machine) {
    return [
      'nsenter',
      [machine.namespace(), 'bash', '-c', `${machine.before}\n${line[1] ?? ''}`],
    ];
  }
  if (role === '') return ['bash', line];
  return ['nsenter', [`--net=/run/netns/l4lb-${NETWORK}-${role}`, 'bash', ...line]];
}

/** The lines that the page shows, with our network's name in them. */
function named({ output }: ShownCommand, machine?: Machine): string[] {
  if (machine) return output.map(evenly);
  return output.map((line) =>
    line.replaceAll('-try-', `-${NETWORK}-`).replace(/ try\b/g, ` ${NETWORK}`),
  );
}

/**
 * Both outputs as a terminal would show them, in lines. They share one pipe, since two
 * would be read in any order.
 */
async function run(step: ShownCommand, machine?: Machine): Promise<string[]> {
  const [file, args] = shell({ ...step, command: `exec 2>&1\n${step.command}` }, machine);
  const options = { ...optionsOf(machine), timeout: 120_000 } as const;
  const { stdout, exitCode } = await execa(file, args, options);
  if (exitCode !== 0) throw new Error(`it exited with ${exitCode}:\n${stdout}`);
  const lines = stdout === '' ? [] : stdout.split('\n');
  if (!machine) return lines;
  return lines.map((line) => evenly(line.replaceAll(machine.prefix, '')));
}

/** Columns are as wide as the prefix makes them. */
function evenly(line: string): string {
  return line.replace(/ {2,}/g, ' ');
}

function optionsOf(machine?: Machine) {
  return { cwd: folder, env: { ...env, ...machine?.env }, reject: false } as const;
}

/**
 * Starts a command that runs until the network goes down, and waits for its first words.
 */
async function start(step: ShownCommand, machine?: Machine): Promise<string[]> {
  const [file, args] = shell(step, machine);
  const child = execa(file, args, { ...optionsOf(machine), buffer: false });
  if (step.output.length === 0) return [];
  const [words] = (await once(child.stdout, 'data')) as [Buffer];
  return words.toString().trimEnd().split('\n');
}

/** For pages that come after one that shows how to install. */
export async function install(): Promise<void> {
  await execa('make', ['install'], { cwd: folder, env });
}

/** Runs them in this order, in one folder, with one installation of the commands. */
export function runPages(pages: Page[]): void {
  afterAll(() => {
    rmSync(scratch, { recursive: true });
  });

  describe.each(pages)('$page', ({ page, words, machine }) => {
    afterAll(async () => {
      // If everything went well, the page itself has taken the network down.
      await execa('testbed/network.sh', ['down', NETWORK], { cwd: ROOT, reject: false });
    });

    const steps = shownBy(readFileSync(join(ROOT, page), 'utf8'));
    /** The step that failed, after which the others would only wait for what is not there. */
    let failed = '';

    test('shows the whole way: load, fill, ask, take off', () => {
      const commands = steps.flatMap((step) => (step.kind === 'command' ? [step] : []));
      const shown = commands.map(({ command }) => command.split(' ')[0]);
      expect(shown).toEqual(expect.arrayContaining(words));
      expect(commands.length).toBeGreaterThan(12);
    });

    for (const step of steps) {
      if (step.kind === 'file') {
        test(`write ${step.name}`, () => {
          writeFileSync(join(folder, step.name), step.text);
        });
        continue;
      }
      test(`${step.role}# ${step.command}`, async () => {
        if (failed !== '')
          throw new Error(`it did not run, since this failed: ${failed}`);
        failed = step.command; // until it has gone well
        const output = step.command.endsWith(' &')
          ? await start(step, machine)
          : await run(step, machine);
        // What is built depends on what was there before, so the page does not show it.
        const isRight =
          step.command.startsWith('make') || isAsShown(named(step, machine), output);
        if (isRight) failed = '';
        // Jest shows the difference better than a message of ours.
        else expect(output.map(stable)).toEqual(named(step, machine).map(stable));
      });
    }
  });
}
