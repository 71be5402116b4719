// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Tells an `l4lb watch` by its command line. Pure. */
import { basename } from 'node:path';

/** Of the package, and of the tree. */
const NAMES = ['l4lb', 'l4lb.js'];
const OPTION = '--interface';

/** Whether a command line is an `l4lb watch` of a device. */
export function watches(words: readonly string[], device: string): boolean {
  const verb = words.findIndex(
    (word, index) => word === 'watch' && NAMES.includes(basename(words[index - 1] ?? '')),
  );
  if (verb === -1) return false;
  return words.slice(verb + 1).some((word, index, rest) => {
    const before = rest[index - 1];
    const isValue = before === '-i' || before === OPTION;
    return (
      (isValue && word === device) ||
      word === `-i${device}` ||
      word === `${OPTION}=${device}`
    );
  });
}
