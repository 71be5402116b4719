// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** JSON as it lies in files that several commands have printed to, one after another. */
import { Fault } from './fault.js';
import { append } from './lists.js';

/**
 * Reads a text of one value or several, which may be separated by spaces and lines. A list
 * counts as its elements. Throws a Fault that names the line where a value begins.
 */
export function parseDocuments(text: string): unknown[] {
  const documents: unknown[] = [];
  for (const { start, end } of spans(text)) {
    const value = parse(text, start, end);
    append(documents, Array.isArray(value) ? (value as unknown[]) : [value]);
  }
  return documents;
}

function parse(text: string, start: number, end: number): unknown {
  try {
    return JSON.parse(text.slice(start, end));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const line = text.slice(0, start).split('\n').length;
    throw new Fault(`what begins on line ${line} is not JSON`);
  }
}

/** Where each value lies: an object or a list up to its closing bracket, else the rest. */
function* spans(text: string): Generator<{ start: number; end: number }> {
  let [depth, start] = [0, -1];
  let isText = false;
  for (let at = 0; at < text.length; at++) {
    const one = text[at] ?? '';
    if (isText) {
      if (one === '\\') at++;
      else if (one === '"') isText = false;
      continue;
    }
    if (start < 0) {
      if (/\s/.test(one)) continue;
      start = at;
    }
    if (one === '"') isText = true;
    else if (one === '{' || one === '[') depth++;
    else if (one === '}' || one === ']') depth--;
    if (depth > 0 || (one !== '}' && one !== ']')) continue;
    yield { start, end: at + 1 };
    [depth, start] = [0, -1];
  }
  if (start >= 0) yield { start, end: text.length };
}
