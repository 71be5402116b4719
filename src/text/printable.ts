// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Makes foreign text safe for a terminal. A name, a cell or another tool's message can
 * hold escape sequences, which move the cursor or set the title, and marks that reverse the
 * order of the text behind them.
 */

/** Controls of both blocks, format characters, line separators, and halves of pairs. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Escapes unsafe characters as \u001b, the form that JSON and TOML use too. */
export function printable(text: string): string {
  return text.replaceAll(UNSAFE, (one) =>
    one === '\n' || one === '\t' ? one : name(one),
  );
}

/** Does the same and returns one line: for a name or an argument inside a message. */
export function printableLine(text: string): string {
  return text.replaceAll(UNSAFE, name);
}

function name(character: string): string {
  if (character === '\n') return '\\n';
  if (character === '\t') return '\\t';
  let text = '';
  // Above U+FFFF there are two units, as JSON wants them.
  for (let at = 0; at < character.length; at++) {
    text += `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`;
  }
  return text;
}
