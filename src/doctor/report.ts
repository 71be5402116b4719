// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A diagnosis in words for people, and as JSON for programs. */
import { many } from '../text/format.js';
import type { Diagnosis } from './examine.js';
import { isHealthy } from './examine.js';
import type { Finding } from './facts.js';
import { CHECKS } from './facts.js';
import { largest } from '../text/lists.js';

/** The most findings of one check that are shown; a line says how many more there are. */
const MOST_OF_A_KIND = 4;

export function describeDiagnosis(diagnosis: Diagnosis): string[] {
  const { findings, well, unseen } = diagnosis;
  const number = (severity: Finding['severity']): number =>
    findings.filter((one) => one.severity === severity).length;
  const counts = [
    number('finding') > 0 ? many(number('finding'), 'finding') : 'healthy',
    ...(number('remark') > 0 ? [many(number('remark'), 'remark')] : []),
    ...(unseen.length > 0 ? [`${many(unseen.length, 'check')} not made`] : []),
  ];
  const width = largest(CHECKS.map((check) => check.length)) + 2;
  return [
    `${diagnosis.interface}: ${counts.join(', ')}`,
    ...describeFindings(findings),
    ...(well.length > 0 ? ['', 'Checked, and well:'] : []),
    ...well.map(({ check, text }) => `  ${check.padEnd(width)}${text}`),
    ...(unseen.length > 0 ? ['', 'Could not be checked:'] : []),
    ...unseen.map(({ check, text }) => `  ${check.padEnd(width)}${text}`),
  ];
}

function describeFindings(findings: readonly Finding[]): string[] {
  const kinds = new Map<string, Finding[]>();
  for (const one of findings) {
    const kind = `${one.severity} (${one.check})`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), one]);
  }
  return [...kinds].flatMap(([kind, all]) => [
    ...all
      .slice(0, MOST_OF_A_KIND)
      .flatMap(({ finding, evidence, fix }) => [
        '',
        `${kind}: ${finding}`,
        `  evidence: ${evidence}`,
        `  fix: ${fix}`,
      ]),
    ...(all.length > MOST_OF_A_KIND
      ? ['', `${kind}: ${all.length - MOST_OF_A_KIND} more like these; --json shows all`]
      : []),
  ]);
}

export function diagnosisJson(diagnosis: Diagnosis): unknown {
  const { findings, well, unseen } = diagnosis;
  return {
    interface: diagnosis.interface,
    healthy: isHealthy(diagnosis),
    findings,
    well,
    unseen,
  };
}
