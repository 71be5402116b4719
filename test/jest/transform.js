// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Takes the types off for jest, with the esbuild that builds the commands. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { transform, version } from 'esbuild';

/** What else than the source decides what comes out. */
const OWN = `${version}\0${readFileSync(new URL(import.meta.url), 'utf8')}`;

/**
 * Jest runs tests in a context of its own, where each look at a global goes a long way
 * round: a hash of four bytes took a hundred times as long. As constants of the module
 * they are as quick as elsewhere.
 */
const GLOBALS =
  'Array BigInt Buffer DataView JSON Map Math Number Object Set String Uint32Array Uint8Array';

function asConstants(source) {
  const own = GLOBALS.split(' ').filter((name) => !source.includes(`{ ${name} }`));
  return `const { ${own.join(', ')} } = globalThis;`;
}

export default {
  async processAsync(source, path) {
    const options = { loader: 'ts', format: 'esm', target: 'node20.19' };
    const { code, map } = await transform(source, {
      ...options,
      sourcefile: path,
      banner: asConstants(source),
      sourcemap: 'external',
    });
    return { code, map };
  },

  getCacheKey(source, path, { configString }) {
    const hash = createHash('sha256');
    for (const part of [OWN, configString, path, source]) hash.update(`${part}\0`);
    return hash.digest('hex').slice(0, 32);
  },
};
