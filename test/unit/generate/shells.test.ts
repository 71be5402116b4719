// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Shells complete what is typed, and readers of manual pages find no fault. */
import { describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

import { packaged } from '../../../src/system/package.js';

const DEVICES = readdirSync('/sys/class/net');
const FOLDER = packaged('.');

/** Runs a test only where its tool is, and says so otherwise. */
function where(tool: string): typeof test | typeof test.skip {
  if (spawnSync(tool, ['--version']).error === undefined) return test;
  console.warn(`skipped: ${tool} is not installed (apt-get install ${tool})`);
  return test.skip;
}

function output(command: string, args: string[]): string {
  const done = spawnSync(command, args, {
    cwd: FOLDER,
    encoding: 'utf8',
    timeout: 30_000,
  });
  expect({ status: done.status, stderr: done.stderr }).toEqual({ status: 0, stderr: '' });
  return done.stdout;
}

const LINES = [
  { line: 'l4lb-load -m ', offers: ['auto', 'xdpdrv', 'xdpgeneric', 'xdpoffload'] },
  { line: 'l4lb off -m xdpg', offers: ['xdpgeneric'] },
  { line: 'l4lb-map --table ', offers: ['consistent', 'minimal'] },
  { line: 'l4lb-stats -i ', offers: DEVICES },
  { line: 'l4lb export --interface ', offers: DEVICES },
  { line: 'l4lb settle --id', offers: ['--idle'] },
  { line: 'l4lb-flood --dst-', offers: ['--dst-mac'] },
  { line: 'l4lb exp', offers: ['explain', 'export'] },
  { line: 'l4lb-map -c l4lb.ex', offers: ['l4lb.example.toml'] },
  { line: 'l4lb-load --obj l4lb_xdp.c', offers: ['l4lb_xdp.c'] },
  { line: 'l4lb check l4lb_xdp.c', offers: ['l4lb_xdp.c'] },
  { line: 'l4lb map -f package.json package.j', offers: ['package.json'], only: 'bash' },
  { line: 'l4lb map -f package.json --dry', offers: ['--dry-run'] },
];

const BASH = `
source completion/l4lb.bash
read -ra COMP_WORDS <<<"$1"
[[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
"$(complete -p "\${COMP_WORDS[0]}" | sed 's/.*-F \\([^ ]*\\).*/\\1/')" "\${COMP_WORDS[0]}"
printf '%s\\n' "\${COMPREPLY[@]}"
`;

describe('bash', () => {
  where('bash').each(LINES)('completes "$line"', ({ line, offers }) => {
    const words = output('bash', ['-c', BASH, 'bash', line]).trim().split('\n');
    expect(words.sort()).toEqual([...offers].sort());
  });
});

describe('fish', () => {
  const lines = LINES.filter(({ only }) => only === undefined);
  where('fish').each(lines)('completes "$line"', ({ line, offers }) => {
    const script = `source completion/l4lb.fish; complete -C ${JSON.stringify(line)}`;
    const words = output('fish', ['--no-config', '-c', script])
      .trim()
      .split('\n')
      .map((one) => one.split('\t')[0]);
    expect(words.sort()).toEqual([...offers].sort());
  });
});

/** A terminal in which zsh runs its own completion, with one word left to offer. */
const ZSH = `
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PROMPT=; stty -echo; fpath=($PWD/completion \\$fpath); autoload -U compinit; compinit -u -D"
zpty -w z 'show() { zle -I; print -r -- "<$BUFFER>" }; zle -N show; bindkey "^T" show; print READ""Y'
zpty -r -m z start '*READY*'
zpty -w -n z "$1"$'\\t\\x14'
zpty -r -m z out '*<*>*'
print -r -- \${\${out##*<}%%>*}
`;

describe('zsh', () => {
  where('zsh').each([
    { line: 'l4lb settle --id', whole: 'l4lb settle --idle' },
    { line: 'l4lb off -m xdpg', whole: 'l4lb off -m xdpgeneric' },
    { line: 'l4lb chec', whole: 'l4lb check' },
    { line: 'l4lb-map -c l4lb.ex', whole: 'l4lb-map -c l4lb.example.toml' },
    {
      line: 'l4lb-map -f package.json --dry',
      whole: 'l4lb-map -f package.json --dry-run',
    },
  ])('completes "$line"', ({ line, whole }) => {
    expect(output('zsh', ['-f', '-c', ZSH, 'zsh', line]).trim()).toBe(whole);
  });
});

describe('manual pages', () => {
  const pages = readdirSync(packaged('man')).map((name) => `man/${name}`);

  where('man').each(pages)('%s is shown without a warning', (page) => {
    expect(output('man', ['--warnings', '-l', page])).toContain('SEE ALSO');
  });
});
