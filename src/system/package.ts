// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The package that this code belongs to: its folder and its version. The code searches
 * for the folder, since the bundled commands in dist/ lie at another depth than their
 * sources.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MANIFEST = 'package.json';

const ROOT = above(fileURLToPath(import.meta.url));

function above(path: string): string {
  const folder = dirname(path);
  return existsSync(join(folder, MANIFEST)) || folder === path ? folder : above(folder);
}

/** The path of a file that comes with the package. */
export function packaged(name: string): string {
  return join(ROOT, name);
}

export const VERSION = (
  JSON.parse(readFileSync(packaged(MANIFEST), 'utf8')) as { version: string }
).version;
