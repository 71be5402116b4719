#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Draws a terminal's screen, as "tmux capture-pane -e -p" prints it, as an SVG.
// Usage: terminal-svg.mjs TITLE <SCREEN >FILE
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** A sequence that sets the style; its numbers are captured. */
const SGR = new RegExp(`${String.fromCharCode(27)}\\[([\\d;]*)m`);
const PLAIN = { bold: false, inverse: false, colour: null, behind: null };
const FRONT = '#d8dee9';
const BACK = '#20252d';
const COLOURS = [
  '#4c566a', // black, lighter than the background
  '#e06c75', // red
  '#98c379', // green
  '#e5c07b', // yellow
  '#61afef', // blue
  '#c678dd', // magenta
  '#56b6c2', // cyan
  '#d8dee9', // white
];
const SIZE = { column: 8, line: 18, edge: 14, bar: 30, font: 13.3 };

/** The style after an SGR sequence, of which only what our screens use is known. */
function restyle(style, codes) {
  let next = { ...style };
  for (const code of codes.split(';').map(Number)) {
    if (code === 0) next = { ...PLAIN };
    else if (code === 1) next.bold = true;
    else if (code === 7) next.inverse = true;
    else if (code === 22) next.bold = false;
    else if (code === 27) next.inverse = false;
    else if (code >= 30 && code <= 37) next.colour = COLOURS[code - 30];
    else if (code === 39) next.colour = null;
    else if (code >= 40 && code <= 47) next.behind = COLOURS[code - 40];
    else if (code === 49) next.behind = null;
    else throw new Error(`SGR ${code} is not known here`);
  }
  return next;
}

/** Runs of text in one style, line by line. A style lasts beyond the end of its line. */
export function readScreen(text) {
  let style = PLAIN;
  return text
    .replace(/\n+$/, '')
    .split('\n')
    .map((line) => {
      const runs = [];
      let column = 0;
      // Sequences stand at the odd places.
      for (const [i, part] of line.split(SGR).entries()) {
        if (i % 2 === 1) style = restyle(style, part);
        else if (part !== '') {
          runs.push({ column, text: part, style });
          column += [...part].length;
        }
      }
      return runs;
    });
}

function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** The eighths of a block such as U+2583, which a font would draw with gaps. */
function eighths(character) {
  const height = character.codePointAt(0) - 0x2580;
  return height >= 1 && height <= 8 ? height : 0;
}

function drawRun({ column, text, style }, top) {
  const left = SIZE.edge + column * SIZE.column;
  const characters = [...text];
  const width = characters.length * SIZE.column;
  const front = style.inverse ? (style.behind ?? BACK) : (style.colour ?? FRONT);
  const behind = style.inverse ? (style.colour ?? FRONT) : style.behind;
  const parts = [];
  if (behind) {
    parts.push(
      `<rect x="${left}" y="${top}" width="${width}" height="${SIZE.line}" fill="${behind}"/>`,
    );
  }
  for (const [i, character] of characters.entries()) {
    const height = (eighths(character) * (SIZE.line - 2)) / 8;
    if (height === 0) continue;
    const x = left + i * SIZE.column;
    const y = top + SIZE.line - height;
    parts.push(
      `<rect x="${x}" y="${y}" width="${SIZE.column - 1}" height="${height}" fill="${front}"/>`,
    );
  }
  // Each word by itself, so that columns hold whatever font there is.
  for (const match of text.matchAll(/[^ \u2581-\u2588]+/g)) {
    const x = left + [...text.slice(0, match.index)].length * SIZE.column;
    const length = [...match[0]].length * SIZE.column;
    const bold = style.bold ? ' font-weight="700"' : '';
    parts.push(
      `<text x="${x}" y="${top + 13}" textLength="${length}" lengthAdjust="spacingAndGlyphs"` +
        `${bold} fill="${front}">${escape(match[0])}</text>`,
    );
  }
  return parts;
}

export function drawScreen(title, text) {
  const lines = readScreen(text);
  const ends = lines.flat().map((run) => run.column + [...run.text].length);
  const width = Math.max(...ends) * SIZE.column + 2 * SIZE.edge;
  const height = lines.length * SIZE.line + SIZE.bar + SIZE.edge;
  const dots = ['#e06c75', '#e5c07b', '#98c379'].map(
    (colour, i) => `<circle cx="${20 + 18 * i}" cy="15" r="5.5" fill="${colour}"/>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" ` +
      `height="${height}" font-family="ui-monospace, 'DejaVu Sans Mono', monospace" font-size="${SIZE.font}">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${width}" height="${height}" rx="8" fill="${BACK}"/>`,
    ...dots,
    `<text x="${width / 2}" y="19" text-anchor="middle" fill="#8b95a5">${escape(title)}</text>`,
    ...lines.flatMap((runs, i) =>
      runs.flatMap((run) => drawRun(run, SIZE.bar + i * SIZE.line)),
    ),
    '</svg>',
    '',
  ].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [title] = process.argv.slice(2);
  if (title === undefined) {
    process.stderr.write('Usage: terminal-svg.mjs TITLE <SCREEN >FILE\n');
    process.exit(2);
  }
  process.stdout.write(drawScreen(title, readFileSync(0, 'utf8')));
}
