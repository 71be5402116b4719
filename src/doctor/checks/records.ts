// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checks whether there is room for the records of new connections. */
import { MOST_RECORDS } from '../../abi/limits.js';
import { fullShare, isNearlyFull, moreMegabytes } from '../../plan/records.js';
import { formatShare, many } from '../../text/format.js';
import { Unseen } from '../../text/unseen.js';
import type { Check } from '../facts.js';
import { found, orWell, remark } from '../findings.js';

export const checkRecords: Check = ({ records, device }) => {
  if (records === undefined || records instanceof Unseen) return records;
  const share = formatShare(records.full, records.seen);
  const findings = [];
  if (isNearlyFull(records)) {
    findings.push(
      found({
        finding: `records are nearly full: ${share} of new connections in hot slots go to the previous destination, even if it is drained`,
        evidence: `in ${records.full} of ${many(records.seen, 'set')} that were looked at, all records are of established connections`,
        fix: `l4lb-load -i ${device.name} --replace --flows ${moreMegabytes(records)}`,
      }),
    );
  }
  if (records.limited !== undefined) {
    findings.push(
      remark({
        finding:
          'more connections began in hot slots than may be recorded; the others went to the previous destination',
        evidence: `a processor recorded ${many(MOST_RECORDS, 'connection')} in a second, ${records.limited} s ago, as many as it may`,
        fix: `l4lb-stats -i ${device.name}, to see whether it is a flood; services with --remember destinations have no such limit`,
      }),
    );
  }
  const room =
    fullShare(records) === 0
      ? 'any new connection'
      : `all but ${share} of new connections`;
  return orWell(findings, `there is room for the record of ${room}`);
};
