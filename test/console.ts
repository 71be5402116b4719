// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What a page of the documentation shows: files to write, commands, and their output. It
 * does no I/O.
 */

export interface ShownFile {
  kind: 'file';
  name: string;
  text: string;
}

export interface ShownCommand {
  kind: 'command';
  /** The role that runs it, such as client; empty for the machine itself. */
  role: string;
  command: string;
  output: string[];
}

export type Shown = ShownFile | ShownCommand;

const FENCE = /^```(?<language>\S+)(?: (?<name>\S+))?$/;
const PROMPT = /^(?<role>[a-z]*\d?)[#$] (?<command>.*)$/;

/**
 * The steps of a page in order. A named block in another language is a file. A console
 * block marked "norun" shows what only a person can type, such as a shell.
 */
export function shownBy(page: string): Shown[] {
  const steps: Shown[] = [];
  const lines = page.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const { language, name } = FENCE.exec(lines[i] ?? '')?.groups ?? {};
    if (language === undefined) continue;
    const end = lines.indexOf('```', i);
    const block = lines.slice(i + 1, end);
    if (language === 'console' && name === undefined) steps.push(...commandsIn(block));
    else if (language !== 'console' && name !== undefined) {
      steps.push({ kind: 'file', name, text: `${block.join('\n')}\n` });
    }
    i = end;
  }
  return steps;
}

function commandsIn(block: string[]): ShownCommand[] {
  const commands: ShownCommand[] = [];
  for (const line of block) {
    const { role, command } = PROMPT.exec(line)?.groups ?? {};
    const last = commands.at(-1);
    if (role !== undefined && command !== undefined) {
      commands.push({ kind: 'command', role, command, output: [] });
    } else if (last) last.output.push(line);
    else throw new Error(`a console block begins without a prompt: ${line}`);
  }
  return commands;
}

/**
 * Removes from a line what differs from run to run: ids, rates, times, and who got how
 * many.
 */
export function stable(line: string): string {
  return line
    .replace(/program \d+/g, 'program N')
    .replace(/\bin \d+ s\b/g, 'in N s')
    .replace(/\btime \d+ms$/, 'time N ms') // what ping and arping took
    .replace(/ [\d.]+ms$/, ' N ms')
    .replace(/^ *\d+ (?=h[23]\.txt$|total$)/, 'N ') // what wc counts
    .replace(/^ +\d+ (?=destination\d)/, 'N ')
    .replace(/(?<=^IP 10\.9\.9\.)[0-3]\.\d{5} /, 'N ') // an address and port of full-nat
    .replace(/(?<=^ {2}port +10\.9\.9\.)[0-3]:\d{5}/, 'N')
    .replace(/(?<=^IP6 2001:db8:9::)[1-3]?\.\d{5} /, 'N ')
    .replace(/\d+\.\d\d%/g, 'N%')
    .replace(/ +[\d,]+ (?=pkts\/s|bits\/s|answers\/s|in all)/g, ' N ');
}

/** Whether the output matches the page. A line "..." stands for any lines. */
export function isAsShown(shown: string[], output: string[]): boolean {
  const [first, ...rest] = shown;
  if (first === undefined) return output.length === 0;
  if (first.trim() === '...') {
    return output.some((_, i) => isAsShown(rest, output.slice(i))) || rest.length === 0;
  }
  const [line, ...others] = output;
  return line !== undefined && stable(line) === stable(first) && isAsShown(rest, others);
}
