// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { largest } from '../text/lists.js';

/** The columns of words; all others have numbers. */
const WORDS = ['change', 'destination', 'connections by'];

/** Aligns rows in columns: words to the left, numbers to the right. */
export function layOut(rows: readonly (readonly string[])[]): string[] {
  const titles = rows[0] ?? [];
  const widths = titles.map((_, column) =>
    largest(rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        const isWord = WORDS.includes(titles[column] ?? '');
        return isWord ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd(),
  );
}
