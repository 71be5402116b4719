// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reports what the card would say about an object, as text and as JSON. */
import { formatCount, many } from '../text/format.js';
import type { Verdict } from './check.js';
import type { Finding } from './rules/rules.js';
import { RULES } from './rules/rules.js';

/** The text shows this many findings of a rule, and only counts the others. */
const MOST_OF_A_RULE = 4;

/** Equal findings about one source line, which may be compiled into several places. */
interface Told extends Finding {
  functions: string[];
  times: number;
}

export function describeVerdict(object: string, verdict: Verdict): string[] {
  const [findings, remarks] = [together(verdict.findings), together(verdict.remarks)];
  const answer =
    findings.length > 0
      ? `an Agilio would refuse this, ${many(findings.length, 'finding')}`
      : 'nothing that an Agilio would refuse';
  const doubts = remarks.length > 0 ? `, ${many(remarks.length, 'remark')}` : '';
  return [
    `${object}: ${answer}${doubts}`,
    `  ${many(verdict.instructions, 'instruction')}, ${verdict.stack} bytes of stack, ` +
      `${many(verdict.maps, 'map')} with ${formatCount(verdict.entries)} entries`,
    ...[...byRule(findings), ...byRule(remarks)].flatMap(describeRule),
  ];
}

export function verdictJson(object: string, verdict: Verdict): unknown {
  return {
    object,
    taken: verdict.findings.length === 0,
    instructions: verdict.instructions,
    stack: verdict.stack,
    maps: verdict.maps,
    entries: verdict.entries,
    findings: together(verdict.findings).map(findingJson),
    remarks: together(verdict.remarks).map(findingJson),
  };
}

function together(findings: readonly Finding[]): Told[] {
  const told = new Map<string, Told>();
  for (const one of findings) {
    const { rule, what, place } = one;
    const where = place?.line ? `${place.line.file}:${place.line.line}` : place?.function;
    const key = [rule, what, where].join('\n');
    const before = told.get(key) ?? { ...one, functions: [], times: 0 };
    if (place && !before.functions.includes(place.function)) {
      before.functions.push(place.function);
    }
    told.set(key, { ...before, times: before.times + 1 });
  }
  return [...told.values()];
}

function byRule(all: readonly Told[]): Told[][] {
  const rules = new Map<string, Told[]>();
  for (const one of all) rules.set(one.rule, [...(rules.get(one.rule) ?? []), one]);
  return [...rules.values()];
}

function describeRule(all: readonly Told[]): string[] {
  const [first] = all;
  if (!first) return [];
  const kind = `${first.severity} (${first.rule})`;
  const more = all.length - MOST_OF_A_RULE;
  return [
    ...all
      .slice(0, MOST_OF_A_RULE)
      .flatMap((one) => [
        '',
        `${kind}: ${one.what}`,
        ...describePlace(one),
        `  instead: ${RULES[one.rule]}`,
      ]),
    ...(more > 0 ? ['', `${kind}: ${more} more like these; --json shows all`] : []),
  ];
}

function describePlace({ place, functions, times }: Told): string[] {
  if (!place) return [];
  const often = times > 1 ? ` (${times} times)` : '';
  const within = `in ${functions.join(', ')}${often}`;
  if (!place.line)
    return [`  at: ${within}; the object has no line info: compile with -g`];
  const { file, line, text } = place.line;
  return [`  at: ${file}:${line} ${within}: ${text}`];
}

function findingJson({ rule, what, place, functions, times }: Told): unknown {
  return {
    rule,
    what,
    ...(place && { functions, times }),
    ...(place?.line && place.line),
    instead: RULES[rule],
  };
}
