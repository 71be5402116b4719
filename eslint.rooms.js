// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The rooms of src/, from the bottom floor up, and the rooms that each may import from.
 * Imports go down only, and no room imports from its neighbour on the same floor.
 * disturb/ alone stands above fleet/: its network announces as a fleet does.
 * At the top, src/*.ts are the commands: they may import anything, and nobody them.
 */
import { readdirSync } from 'node:fs';

const BOTTOM = ['text', 'wire', 'abi'];
const PURE = ['config', 'plan', 'model', 'card', 'health', 'api'];
const JOBS = [
  'load',
  'fill',
  'watch',
  'checks',
  'stats',
  'explain',
  'doctor',
  'disturb',
  'flood',
];
const BELOW_FLEET = JOBS.filter((job) => job !== 'disturb');

const MAY_IMPORT = {
  text: [],
  wire: ['text'],
  abi: ['text', 'wire'],
  config: [...BOTTOM, 'health'],
  plan: [...BOTTOM, 'config'],
  model: BOTTOM,
  card: BOTTOM,
  health: BOTTOM,
  api: [...BOTTOM, 'health'],
  page: [...BOTTOM, 'health', 'api'],
  system: BOTTOM,
  program: [...BOTTOM, ...PURE, 'system'],
  ...Object.fromEntries(
    JOBS.map((job) => [job, [...BOTTOM, ...PURE, 'system', 'program']]),
  ),
  disturb: [...BOTTOM, ...PURE, 'system', 'program', 'fleet'],
  daemon: [...BOTTOM, ...PURE, 'system', 'program', ...BELOW_FLEET],
  fleet: [...BOTTOM, ...PURE, 'system', 'program', ...BELOW_FLEET, 'daemon'],
  cli: [...BOTTOM, ...PURE, 'system', 'program', ...JOBS, 'daemon', 'fleet'],
};

/** Folders of other rooms that are as pure. */
const PURE_FOLDERS = [
  'doctor/checks',
  'fill/text',
  'fleet/agreement',
  'fleet/announce',
  'page/figures',
  'stats/screen',
];

const PURITY = 'This room is pure: it starts no process, reads no file and no clock.';

const IMPURE_MODULES = {
  regex:
    '^(?:node:)?(?:fs|child_process|timers|process|dgram|http|https|worker_threads)(?:/|$)|^execa$',
  message: PURITY,
};

const IMPURE_GLOBALS = [
  'error',
  ...['process', 'performance', 'setTimeout', 'setInterval', 'setImmediate'].map(
    (name) => ({ name, message: PURITY }),
  ),
];

function room(name, allowed) {
  const forbidden = Object.keys(MAY_IMPORT).filter(
    (other) => other !== name && !allowed.includes(other),
  );
  const neighbours = {
    regex: `^(?:\\.\\./)+(?:${forbidden.join('|')})/`,
    message: `src/${name}/ may import only from ${allowed.join(', ') || 'itself'}.`,
  };
  const message = 'A command is imported by the executables only.';
  // A file reaches the commands by ../ in the room itself, by ../../ in a folder of it.
  return [
    [`src/${name}/*.ts`, '^\\.\\./[^/]+\\.js$', isPure(name)],
    ...foldersOf(name).map((folder) => [
      `src/${folder}/*.ts`,
      '^\\.\\./\\.\\./[^/]+\\.js$',
      isPure(name) || PURE_FOLDERS.includes(folder),
    ]),
  ].map(([files, regex, pure]) => ({
    files: [files, `${files}x`],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [neighbours, { regex, message }, ...(pure ? [IMPURE_MODULES] : [])] },
      ],
      ...(pure && { 'no-restricted-globals': IMPURE_GLOBALS }),
    },
  }));
}

function isPure(name) {
  return [...BOTTOM, ...PURE].includes(name);
}

function foldersOf(name) {
  return readdirSync(`${import.meta.dirname}/src/${name}`, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `${name}/${entry.name}`);
}

export const rooms = Object.entries(MAY_IMPORT).flatMap(([name, allowed]) =>
  room(name, allowed),
);
