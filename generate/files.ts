// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * All files that are generated from the commands themselves, and the pages with generated
 * blocks.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { VERSION, packaged } from '../src/system/package.js';
import { programs as describePrograms } from './commands.js';
import { bash, fish, zsh } from './completion.js';
import { commandPage, filePage } from './man.js';
import { fillBlocks, tables } from './reference.js';

export interface GeneratedFile {
  /** Relative to the repository. */
  path: string;
  text: string;
}

export function generatedFiles(): GeneratedFile[] {
  const programs = describePrograms();
  const filling = tables(programs);
  const example = readFileSync(packaged('l4lb.example.toml'), 'utf8');
  return [
    ...programs.map((program) => ({
      path: `man/${program.name}.8`,
      text: commandPage(program, programs, VERSION),
    })),
    { path: 'man/l4lb.toml.5', text: filePage(example, VERSION) },
    { path: 'completion/l4lb.bash', text: bash(programs) },
    { path: 'completion/_l4lb', text: zsh(programs) },
    { path: 'completion/l4lb.fish', text: fish(programs) },
    ...markdownPages().map((path) => ({
      path,
      text: fillBlocks(readFileSync(packaged(path), 'utf8'), filling),
    })),
  ];
}

function markdownPages(): string[] {
  return readdirSync(packaged('docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name))
    .sort();
}
