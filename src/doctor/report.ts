// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** A diagnosis in words for people, and as JSON for programs. Pure. */
import { many } from '../format.js';
import type { Diagnosis } from './examine.js';
import { isHealthy } from './examine.js';
import type { Finding } from './facts.js';
import { CHECKS } from './facts.js';

/** So many of one check are told; that there are more is said. */
const MOST_OF_A_KIND = 4;

export function describeDiagnosis(diagnosis: Diagnosis): string[] {
  const { findings, well } = diagnosis;
  const number = (severity: Finding['severity']): number =>
    findings.filter((one) => one.severity === severity).length;
  const counts = [
    number('finding') > 0 ? many(number('finding'), 'finding') : 'healthy',
    ...(number('remark') > 0 ? [many(number('remark'), 'remark')] : []),
  ];
  const width = Math.max(...CHECKS.map((check) => check.length)) + 2;
  return [
    `${diagnosis.interface}: ${counts.join(', ')}`,
    ...describeFindings(findings),
    ...(well.length > 0 ? ['', 'Looked at, and well:'] : []),
    ...well.map(({ check, text }) => `  ${check.padEnd(width)}${text}`),
  ];
}

function describeFindings(findings: readonly Finding[]): string[] {
  const told = new Map<string, number>();
  const lines: string[] = [];
  for (const { check, severity, finding, evidence, mend } of findings) {
    const kind = `${severity} ${check}`;
    const before = told.get(kind) ?? 0;
    told.set(kind, before + 1);
    if (before >= MOST_OF_A_KIND) continue;
    lines.push(
      '',
      `${severity} (${check}): ${finding}`,
      `  evidence: ${evidence}`,
      `  mend: ${mend}`,
    );
  }
  for (const [kind, count] of told) {
    if (count <= MOST_OF_A_KIND) continue;
    const check = kind.slice(kind.indexOf(' ') + 1);
    lines.push('', `and ${count - MOST_OF_A_KIND} more of ${check}; --json has all`);
  }
  return lines;
}

export function diagnosisJson(diagnosis: Diagnosis): unknown {
  const { findings, well } = diagnosis;
  return {
    interface: diagnosis.interface,
    healthy: isHealthy(diagnosis),
    findings,
    well,
  };
}
