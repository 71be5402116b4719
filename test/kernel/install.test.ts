// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Runs `make install` as root, out of a tree that belongs to somebody else. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  lstatSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { ROOT } from './network.js';

/** The user nobody, in Debian as elsewhere. */
const BUILDER = '65534';
const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-install-'));
const tree = join(folder, 'tree');
const root = join(folder, 'root');

/** Copies the tree as `cp -a` would, but without what only development needs. */
async function copyTree(): Promise<void> {
  const { stdout } = await execa('npm', ['ls', '--omit=dev', '--all', '--parseable'], {
    cwd: ROOT,
  });
  const modules = stdout.split('\n').filter((path) => path.includes('/node_modules/'));
  const names = readdirSync(ROOT).filter(
    (name) => !['.git', 'node_modules', 'test', 'coverage'].includes(name),
  );
  const paths = [...names, ...modules.map((path) => path.slice(ROOT.length))];
  mkdirSync(tree);
  // Times of folders, too: one that is newer than what was built would be built again,
  // which needs what only development has.
  await execa('cp', ['-a', '--parents', ...paths, tree], { cwd: ROOT });
  // A link may lead to a file that its owner changes later.
  symlinkSync('../l4lb.example.toml', join(tree, 'docs/linked.toml'));
}

beforeAll(async () => {
  await copyTree();
  await execa('chown', ['-hR', `${BUILDER}:${BUILDER}`, tree]);
  await execa('chmod', ['-R', 'a+rwX', tree]);
  // Whatever root's umask is.
  const make = `umask 000; exec make -C "$1" --no-print-directory install DESTDIR="$2"`;
  await execa('bash', ['-c', make, 'bash', tree, root]);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('what root installs is root’s, and nobody else can change it', () => {
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' });
  expect(paths).toContain('usr/local/lib/l4lb/node_modules/commander/package.json');
  expect(paths).toContain('usr/local/lib/l4lb/docs/linked.toml');
  const faults = paths.flatMap((path) => {
    const stat = lstatSync(join(root, path));
    const isLink = stat.isSymbolicLink();
    return [
      ...(stat.uid === 0 && stat.gid === 0 ? [] : [`${path} belongs to ${stat.uid}`]),
      ...(isLink || (stat.mode & 0o7022) === 0
        ? []
        : [`${path} has mode ${stat.mode.toString(8)}`]),
      ...(isLink && !path.startsWith('usr/local/bin/') ? [`${path} is a link`] : []),
    ];
  });
  expect(faults).toEqual([]);
});

test('man pages and completion are where shells and man look for them', () => {
  const share = join(root, 'usr/local/share');
  const paths = readdirSync(share, { recursive: true, encoding: 'utf8' });
  expect(paths).toEqual(
    expect.arrayContaining([
      'man/man8/l4lb.8',
      'man/man8/l4lb-load.8',
      'man/man5/l4lb.toml.5',
      'bash-completion/completions/l4lb',
      'bash-completion/completions/l4lb-stats',
      'zsh/site-functions/_l4lb',
      'fish/vendor_completions.d/l4lb-load.fish',
    ]),
  );
});

test.each(['l4lb', 'l4lb-load', 'l4lb-stats'])(
  '%s runs where it is installed',
  async (name) => {
    const { stdout } = await execa(join(root, 'usr/local/bin', name), ['--version']);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+$/);
  },
);

test.each(['l4lb@', 'l4lbd@', 'l4lb-fleet@'])(
  '%s.service has few rights',
  async (unit) => {
    const path = `packaging/systemd/${unit}.service`;
    const limit = ['--offline=true', '--threshold=45'];
    const args = ['security', '--no-pager', ...limit, path];
    await execa('systemd-analyze', args, { cwd: ROOT });
  },
);

test('uninstall removes all of it', async () => {
  await execa('make', [
    '-C',
    tree,
    '--no-print-directory',
    'uninstall',
    `DESTDIR=${root}`,
  ]);
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (path) => !lstatSync(join(root, path)).isDirectory(),
  );
  expect(files).toEqual([]);
});
