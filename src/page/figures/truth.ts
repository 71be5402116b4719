// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The line on top of the page: how all is, and how old that is. */
import type { Status } from '../../api/status.js';
import { countConditions, fleetInOneLine, isSilent, seconds } from '../../api/words.js';
import { isWell } from './rows.js';

/** `gone`: l4lbd no longer answers, so nothing that is shown is known to be true. */
export type Mood = 'waiting' | 'gone' | 'bad' | 'watch' | 'well';

export interface Truth {
  mood: Mood;
  /** The mood in words. */
  word: string;
  /** Such as "30 up, 1 down, 1 drained". */
  text: string;
  age: string;
  /** What somebody should look at, the worst first. */
  troubles: string[];
}

/** Milliseconds without an answer after which what is shown may no longer be true. */
export const GONE_AFTER = 7000;

export interface Contact {
  /** Milliseconds since the status came. */
  age: number;
  /** Why no other did after it. */
  fault?: string | undefined;
  /** Nobody asked for a while, because the page was hidden, and the first answer is to come. */
  isAsking?: boolean;
  goneAfter?: number;
}

export function truthOf(status: Status | undefined, contact: Contact): Truth {
  const { age, fault, isAsking = false, goneAfter = GONE_AFTER } = contact;
  if (!status) {
    const word = fault === undefined ? 'asking' : 'no answer';
    const mood = fault === undefined ? 'waiting' : 'gone';
    return { mood, word, text: fault ?? 'l4lbd', age: '', troubles: [] };
  }
  const all = status.services.flatMap(({ destinations }) => destinations);
  const { fleet } = status;
  const counts = countConditions(all);
  const text = fleet ? `${counts}; ${fleetInOneLine(fleet)}` : counts;
  if (age > goneAfter && isAsking) {
    return {
      ...{ mood: 'waiting', word: 'asking', text, troubles: [] },
      age: `last seen ${ago(age)}`,
    };
  }
  if (age > goneAfter) {
    const troubles = [
      `l4lbd does not answer${fault === undefined ? '' : `: ${fault}`}`,
      `What is shown is how it was at ${clock(status.time)}. Packets do not need l4lbd.`,
    ];
    return { mood: 'gone', word: 'gone', text, age: `last seen ${ago(age)}`, troubles };
  }
  const troubles = troublesOf(status);
  const isAllWell = all.every(isWell);
  const [mood, word] =
    troubles.length > 0
      ? (['bad', 'trouble'] as const)
      : isAllWell
        ? (['well', 'well'] as const)
        : (['watch', 'look'] as const);
  return { mood, word, text, age: `seen ${ago(age)}`, troubles };
}

function troublesOf({ ready, file, checker, services, fleet, unseen }: Status): string[] {
  return [
    ...services.flatMap(({ name, panic, on_panic, healthy, weight }) =>
      panic
        ? [`${name}: panic, ${healthy} of ${weight} weight passes (${on_panic})`]
        : [],
    ),
    ...services.flatMap(({ name, destinations }) =>
      destinations.length > 0 && destinations.every(({ live }) => live === 0)
        ? [`${name}: no destination gets new connections`]
        : [],
    ),
    ...services.flatMap(({ name, on_backup }) =>
      on_backup ? [`${name}: the backups stand in`] : [],
    ),
    ...(ready ? [] : ['The tables are not as the file and the checks want them.']),
    ...(file.fault === null
      ? []
      : [`${file.path} has a fault, and what it said before still holds: ${file.fault}`]),
    ...(isSilent(checker)
      ? [`The checker has said nothing for ${seconds(checker.silent_ms)}.`]
      : []),
    ...(fleet && !(fleet.linked && fleet.leader !== null && fleet.up_to_date)
      ? [`${fleetInOneLine(fleet)}.`]
      : []),
    ...(fleet?.disagreements.map((what) => `${what}.`) ?? []),
    ...unseen.map((what) => `Not seen: ${what}`),
  ];
}

export function ago(milliseconds: number): string {
  const whole = Math.max(0, Math.round(milliseconds / 1000));
  if (whole < 1) return 'now';
  if (whole < 120) return `${whole} s ago`;
  if (whole < 7200) return `${Math.round(whole / 60)} min ago`;
  if (whole < 172_800) return `${Math.round(whole / 3600)} h ago`;
  return `${Math.round(whole / 86_400)} days ago`;
}

/** Of an ISO time: 12:00:05, as all that l4lbd says (UTC). */
export function clock(time: string): string {
  return time.slice(11, 19);
}
