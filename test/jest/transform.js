// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Takes the types off for jest, with the esbuild that builds the commands. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { transform, version } from 'esbuild';

/** What else than the source decides what comes out. */
const OWN = `${version}\0${readFileSync(new URL(import.meta.url), 'utf8')}`;

export default {
  async processAsync(source, path) {
    const options = { loader: 'ts', format: 'esm', target: 'node20.19' };
    const { code, map } = await transform(source, {
      ...options,
      sourcefile: path,
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
