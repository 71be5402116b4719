// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checks what l4lbd knows: whether destinations really serve, and whether it can tell. */
import type { DestinationStatus, ServiceStatus, Status } from '../../api/status.js';
import { conditionOf, isSilent } from '../../api/words.js';
import { many } from '../../text/format.js';
import { Unseen } from '../../text/unseen.js';
import type { Check, Facts, Finding } from '../facts.js';
import { found, orWell, remark, some } from '../findings.js';

type Found = Omit<Finding, 'check'>;

export const checkServing: Check = (facts) => {
  const { daemon } = facts;
  // That it could not be asked is told once.
  if (daemon === undefined || daemon instanceof Unseen) return undefined;
  const asked = daemon.services.filter(({ check }) => check !== null);
  if (asked.length === 0) return undefined;
  const findings = asked.flatMap((service) => [
    ...notServing(facts, service),
    ...byHand(facts, service),
  ]);
  const count = asked.reduce((sum, { destinations }) => sum + destinations.length, 0);
  return orWell(
    findings,
    `the checks of l4lbd say that ${many(count, 'destination')} serve`,
  );
};

function notServing({ device }: Facts, service: ServiceStatus): Found[] {
  const { name, destinations, panic, healthy, weight } = service;
  const failing = destinations.filter(
    ({ state, by_hand }) => by_hand === null && ['down', 'dead'].includes(state),
  );
  if (failing.length === 0) return [];
  const whole = `${healthy} of ${weight} weight of ${name} is healthy`;
  return [
    found({
      finding: `${some(failing.map((one) => one.name))} of ${name} ${failing.length === 1 ? 'does' : 'do'} not serve`,
      evidence: `${failing.map(reasonOf).slice(0, MOST).join(', ')}; ${whole}${panic ? ', which is a panic' : ''}`,
      fix: `start what answers there, or mend its check in the file and: l4lb ctl -i ${device.name} reload`,
    }),
  ];
}

const MOST = 4;

function reasonOf({ name, state, reason, since }: DestinationStatus): string {
  return `${name} is ${state} since ${since.slice(11, 19)} UTC: ${reason}`;
}

function byHand({ device }: Facts, { name, destinations }: ServiceStatus): Found[] {
  return destinations
    .filter(({ by_hand }) => by_hand !== null)
    .map((one) =>
      remark({
        finding: `${one.name} of ${name} is ${conditionOf(one)}`,
        evidence: 'somebody decided so, and nobody has taken it back',
        fix: `l4lb ctl -i ${device.name} auto ${name} ${one.name}`,
      }),
    );
}

/** Whether l4lbd itself can see and do what it is there for. */
export const checkDaemon: Check = (facts) => {
  const { daemon, device } = facts;
  if (daemon === undefined || daemon instanceof Unseen) return daemon;
  const findings = [...badFile(daemon, device.name), ...silent(daemon)];
  const isLate = daemon.checker.late > 0 ? `, ${daemon.checker.late} times too late` : '';
  return orWell(
    findings,
    `l4lbd (process ${daemon.pid}) keeps the tables by ${daemon.file.path}${isLate}`,
  );
};

function badFile({ file }: Status, device: string): Found[] {
  if (file.fault === null) return [];
  return [
    found({
      finding: `the file that l4lbd read last has a fault, and the one before it counts`,
      evidence: file.fault.split('\n').join('; '),
      fix: `mend ${file.path}, and: l4lb ctl -i ${device} reload`,
    }),
  ];
}

function silent({ checker, pid }: Status): Found[] {
  if (!isSilent(checker)) return [];
  const since = `it has said nothing for ${Math.round(checker.silent_ms / 1000)} s`;
  return [
    found({
      finding: 'the checks of l4lbd are not running, so nobody sees who serves',
      evidence:
        checker.pid === null
          ? `its second process has ended; ${since}`
          : `process ${checker.pid} is there, but ${since}`,
      fix:
        checker.pid === null
          ? `journalctl _PID=${pid} | grep checker`
          : `kill ${checker.pid}, after which l4lbd starts it again`,
    }),
  ];
}
