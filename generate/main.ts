// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** make docs: writes what is generated and says which files have changed. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

import { packaged } from '../src/system/package.js';
import { generatedFiles } from './files.js';

for (const { path, text } of generatedFiles()) {
  const file = packaged(path);
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
  writeFileSync(file, text);
  process.stdout.write(`${path}\n`);
}
