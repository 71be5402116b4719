// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Says which slots went cold, and why others did not. */
import { formatCount, many } from '../../text/format.js';
import type { Records } from '../../plan/records.js';
import { describeRecords, recordsJson } from '../../plan/records.js';
import type { HotPair } from '../../plan/used.js';

export interface SettledSlots {
  /** Slots that went cold. */
  settled: number;
  /** Slots that forgot a drained destination after its deadline, but are still hot. */
  forgotten: number;
  /** Slots that are still hot. */
  hot: number;
  /** Seconds until the next slot may go cold; 0 where none is hot. */
  wait: number;
  /** What destinations said about the slots that were hot; undefined: nobody was asked. */
  pairs?: HotPair[];
  /** Whether records have room; undefined if nobody looked, or no service keeps any. */
  records?: Records;
}

export function describeSettled(
  { settled, forgotten, hot, wait, pairs = [], records }: SettledSlots,
  device: string,
  isDryRun = false,
): string[] {
  const lines: string[] = [];
  if (settled > 0) {
    lines.push(`  ${many(settled, 'slot')} ${isDryRun ? 'would go' : 'went'} cold`);
  }
  if (forgotten > 0) {
    const forget = isDryRun ? 'would forget' : 'forgot';
    lines.push(
      `  ${many(forgotten, 'slot')} ${forget} a drained destination, whose deadline has passed`,
    );
  }
  if (hot > 0) {
    lines.push(
      `  ${many(hot, 'slot')} ${isDryRun ? 'would stay hot' : 'hot'}, remembering their previous destinations; the next may go cold in ${wait} s: l4lb-map -i ${device} --settle`,
    );
  }
  return [
    ...lines,
    ...describePairs(pairs, isDryRun),
    ...describeRecords(records).map((line) => `  ${line}`),
  ];
}

/** The most pairs that are shown; a line says how many more there are. */
const MOST_PAIRS = 8;

/** Pairs that are needed come first, then those that nobody could tell of. */
function describePairs(pairs: readonly HotPair[], isDryRun: boolean): string[] {
  const rank = ({ testimony }: HotPair): number =>
    testimony.isSeen ? (testimony.isUsed ? 0 : 2) : 1;
  const told = [...pairs]
    .sort((one, other) => rank(one) - rank(other) || other.slots - one.slots)
    .map((pair) => {
      const outcome = isDryRun ? describeOutcome(pair) : '';
      return `  from ${namesOf(pair)}: ${describeTestimony(pair)}${outcome}`;
    });
  const rest = told.length - MOST_PAIRS;
  if (rest <= 0) return told;
  const more = `  ${many(rest, 'pair')} more like these; --json shows all`;
  return [...told.slice(0, MOST_PAIRS), more];
}

function namesOf({ current, previous }: HotPair): string {
  return `${[...previous].reverse().join(', ')} to ${current}`;
}

function describeTestimony({ slots, settled, testimony }: HotPair): string {
  const were = many(slots, 'slot');
  if (!testimony.isSeen) {
    return `${were} not seen, so the idle time decides: ${testimony.why}`;
  }
  const { isUsed, age, quiet } = testimony;
  if (isUsed) return `${were} needed, the last time ${Math.round(age + quiet)} s ago`;
  const since = Number.isFinite(quiet) ? ` for ${Math.floor(quiet)} s` : '';
  const late = slots - settled;
  const who = late === slots ? 'all' : formatCount(late);
  const but = late > 0 ? `, but ${who} moved too lately` : '';
  return `${were} not needed${since}${but}`;
}

function describeOutcome({ slots, settled }: HotPair): string {
  if (settled === 0) return '; would stay hot';
  return settled === slots
    ? '; would go cold'
    : `; ${formatCount(settled)} would go cold`;
}

export function settledJson(result: SettledSlots): Record<string, unknown> {
  return {
    slots_settled: result.settled,
    slots_forgot: result.forgotten,
    slots_hot: result.hot,
    next_settles_in_s: result.wait,
    ...(result.records && { records: recordsJson(result.records) }),
    ...(result.pairs && { pairs: result.pairs.map(pairJson) }),
  };
}

function pairJson({ current, previous, slots, settled, testimony }: HotPair): unknown {
  const seen = testimony.isSeen ? testimony : undefined;
  return {
    current,
    previous,
    slots,
    slots_settled: settled,
    seen: testimony.isSeen,
    needed: seen?.isUsed ?? null,
    quiet_s: seen && Number.isFinite(seen.quiet) ? Math.floor(seen.quiet) : null,
    why: testimony.isSeen ? null : testimony.why,
  };
}
