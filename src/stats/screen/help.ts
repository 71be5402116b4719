// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The dashboard's help explains its keys, its columns and the verdicts. */
import type { Line, Span } from './line.js';
import { VERDICTS } from '../../abi/verdicts.js';

const KEYS = [
  ['s', 'sort by address, packets/s, bits/s'],
  ['r', 'reverse the order'],
  ['p, space', 'pause: the screen stands still, the history goes on'],
  ['/', 'filter by a part of the address; Enter accepts, Esc clears'],
  ['up, down, k, j', 'scroll by a row'],
  ['PgUp, PgDn', 'scroll by a page'],
  ['Home, End, g, G', 'scroll to the first row, to the last'],
  ['?', 'this help; ? or Esc leaves it'],
  ['q, Ctrl-C', 'quit'],
] as const;

const COLUMNS = [
  ['#', 'position in the order of addresses'],
  ['share', 'part of the packets/s of all destinations'],
  ['answers/s', 'what the destination sent back by this host, and its bits/s beside it'],
  ['history', 'packets/s, scaled to the largest in the row'],
] as const;

function title(text: string): Line {
  return [{ text, style: 'title' }];
}

function explained(name: string, meaning: string, style: Span['style']): Line {
  return [
    { text: `  ${name.padEnd(17)}`, style },
    { text: meaning, style: 'plain' },
  ];
}

export function helpLines(): Line[] {
  return [
    title('Keys'),
    ...KEYS.map(([key, meaning]) => explained(key, meaning, 'strong')),
    title('Columns'),
    ...COLUMNS.map(([name, meaning]) => explained(name, meaning, 'plain')),
    title('Verdicts'),
    ...VERDICTS.map(({ name, action, meaning }) =>
      explained(
        `${name.padEnd(15)}  ${action.padEnd(4)}  `,
        meaning,
        action === 'DROP' ? 'alarm' : 'plain',
      ),
    ),
  ];
}
