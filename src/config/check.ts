// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads `check` of a service: how l4lbd learns which of its destinations serve. */
import type { Kind, Question, Via } from '../health/check.js';
import { KINDS, VIAS } from '../health/check.js';
import type { Patience } from '../health/condition.js';
import type { OnPanic } from '../health/weights.js';
import { ON_PANIC } from '../health/weights.js';
import { Fault } from '../text/fault.js';
import { must } from '../text/must.js';
import type { Way } from '../wire/way.js';
import type { DestinationRow } from './destinations-csv.js';
import { CHECK_KEYS, namesOf } from './keys.js';
import { show } from './problems.js';
import { Section, isSection } from './section.js';
import type { Reader } from './section.js';
import { oneOf, readBoolean, readPort } from './values.js';

const ALL_DOWN = ['serve', 'withdraw'] as const;
export type AllDown = (typeof ALL_DOWN)[number];

/** Times in milliseconds. */
export interface WantedCheck extends Patience {
  question: Question;
  /** Undefined: that of the destination, or of the service. */
  port: number | undefined;
  /** Undefined: that of the service's packets, if it can be. */
  via: Via | undefined;
  /** Whether the file says so. */
  isViaWanted: boolean;
  /** FILE:LINE of it, for messages. */
  viaPlace: string;
  interval: number;
  timeout: number;
  /** Between two checks while the next one may decide. */
  fast: number;
  onPanic: OnPanic;
  /** What a fleet announces while no destination passes. */
  allDown: AllDown;
  /** The most slots that health moves in a minute, in percent. */
  mostMoves: number;
}

/** Keys that only some kinds have. */
const ONLY_FOR = new Map<string, readonly Kind[]>([
  ['path', ['http', 'https']],
  ['host', ['http', 'https', 'grpc']],
  ['status', ['http', 'https']],
  ['verify', ['https']],
  ['name', ['dns']],
  ['send', ['tcp', 'udp']],
  ['expect', ['tcp', 'udp']],
  ['service', ['grpc']],
  ['command', ['exec']],
]);

const DAY = 86_400_000;

/** Undefined if the service has none. Its ways say which port is asked. */
export function readCheck(
  service: Section,
  ways: readonly Way[],
  rows: readonly DestinationRow[],
): WantedCheck | undefined {
  const value = service.get('check', (found) => {
    if (isSection(found)) return found;
    if (typeof found === 'string') return { kind: found };
    throw new Fault(
      `${show(found)} is not a check, such as { kind = "http", path = "/" }`,
    );
  });
  if (value === undefined) return undefined;
  const section = new Section(service.problems, service.at('check'), value);
  section.checkKeys(namesOf(CHECK_KEYS));
  const kind = section.get('kind', oneOf(KINDS)) ?? 'tcp';
  if (!section.has('kind')) section.fault('kind', 'it is missing; write kind = "tcp"');
  for (const [key, kinds] of ONLY_FOR) {
    if (section.has(key) && !kinds.includes(kind)) {
      section.fault(key, `only ${kinds.join(', ')} can have it, and this is ${kind}`);
    }
  }
  const interval = section.get('interval', milliseconds(100, DAY)) ?? 1000;
  const timeout =
    section.get('timeout', milliseconds(10, DAY)) ?? Math.min(500, interval);
  const fast = section.get('fast', milliseconds(100, DAY)) ?? Math.min(250, interval);
  if (fast > interval) section.fault('fast', 'it is longer than the interval');
  if (timeout > interval) section.fault('timeout', 'it is longer than the interval');
  return {
    ...{
      question: readQuestion(section, kind),
      port: readCheckPort(section, ways, rows),
    },
    via: section.get('via', oneOf(VIAS)),
    isViaWanted: section.has('via'),
    viaPlace: section.problems.place(section.at('via')),
    ...{ interval, timeout, fast },
    rise: section.get('rise', count(1, 100)) ?? 2,
    fall: section.get('fall', count(1, 100)) ?? 3,
    deadAfter: section.get('dead_after', milliseconds(1000, DAY)) ?? 30_000,
    slowStart: section.get('slow_start', milliseconds(0, DAY)) ?? 0,
    onPanic: section.get('on_panic', oneOf(ON_PANIC)) ?? 'keep',
    allDown: section.get('all_down', oneOf(ALL_DOWN)) ?? 'serve',
    mostMoves: section.get('most_moves', count(1, 100)) ?? 20,
  };
}

function readQuestion(section: Section, kind: Kind): Question {
  const question: Question = { kind };
  const path = section.get(
    'path',
    matching(/^\/[\x21-\x7e]*$/, 'a path, such as "/health"'),
  );
  const host = section.get(
    'host',
    matching(/^[A-Za-z0-9]([\w.-]*)(:\d+)?$/, 'the name of a host'),
  );
  const status = section.list('status', readStatus);
  const verify = section.get('verify', readBoolean);
  const name = section.get(
    'name',
    matching(DNS_NAME, 'a name, such as "www.example.org"'),
  );
  const send = section.get('send', readBytes);
  const expect = section.get('expect', readBytes);
  const service = section.get(
    'service',
    matching(/^[\w./-]{1,100}$/, 'the name of a service'),
  );
  const command = section.list('command', readWord);
  if (kind === 'exec' && !section.has('command')) {
    section.fault('command', 'it is missing; write command = ["/usr/local/bin/check"]');
  }
  if (command?.[0]?.startsWith('/') === false) {
    section.fault(
      'command',
      `write the program with its whole path, not ${show(command[0])}`,
    );
  }
  return {
    ...question,
    ...(path !== undefined && { path }),
    ...(host !== undefined && { host }),
    ...(status !== undefined && { status }),
    ...(verify !== undefined && { verify }),
    ...(name !== undefined && { name }),
    ...(send !== undefined && { send }),
    ...(expect !== undefined && { expect }),
    ...(service !== undefined && { service }),
    ...(command !== undefined && { command }),
  };
}

/** A service that has several ports, or all, must say which one is asked. */
function readCheckPort(
  section: Section,
  ways: readonly Way[],
  rows: readonly DestinationRow[],
): number | undefined {
  const port = section.get('port', readPort);
  if (port === 0) section.fault('port', 'a check goes to one port, not to "all"');
  const needsOne = rows.some((row) => (row.port ?? 0) === 0);
  if (section.has('port') || !needsOne || onlyPort(ways) !== undefined) return port;
  const isAll = ways.some((way) => way.port === 0);
  section.problems.add(
    section.path,
    `the service has ${isAll ? 'all' : 'several'} ports; say which one is asked, such as port = 80`,
    'check',
  );
  return undefined;
}

/** The port of all ways; undefined if there are several, or all. */
function onlyPort(ways: readonly Way[]): number | undefined {
  const [port = 0, ...others] = new Set(ways.map((way) => way.port));
  return others.length > 0 || port === 0 ? undefined : port;
}

/** The port that is asked of a destination. */
export function checkedPort(
  { port }: Pick<WantedCheck, 'port'>,
  ways: readonly Way[],
  row: Pick<DestinationRow, 'port'>,
): number {
  return must(port ?? row.port ?? onlyPort(ways), 'the port of a check');
}

const DNS_NAME = /^(?=.{1,253}$)(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?$/;

const UNITS = new Map([
  ['ms', 1],
  ['', 1000],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/** Reads a time as milliseconds; a number alone is seconds, as everywhere in the file. */
function milliseconds(least: number, most: number): Reader<number> {
  return (value) => {
    const isText = typeof value === 'number' || typeof value === 'string';
    const [, digits, unit] =
      /^(\d{1,7}(?:\.\d{1,3})?)(ms|[smh]?)$/.exec(isText ? String(value) : '') ?? [];
    const time = Math.round(Number(digits) * (UNITS.get(unit ?? '') ?? NaN));
    if (time >= least && time <= most) return time;
    throw new Fault(
      `${show(value)} is not a time from ${inWords(least)} to ${inWords(most)}, such as "500ms", 2 or "5m"`,
    );
  };
}

function inWords(time: number): string {
  return time % 1000 === 0 ? `${time / 1000} s` : `${time} ms`;
}

function count(least: number, most: number): Reader<number> {
  return (value) => {
    const isCount =
      typeof value === 'number' &&
      Number.isInteger(value) &&
      value >= least &&
      value <= most;
    if (isCount) return value;
    throw new Fault(`${show(value)} is not a number from ${least} to ${most}`);
  };
}

function matching(form: RegExp, what: string): Reader<string> {
  return (value) => {
    if (typeof value === 'string' && form.test(value)) return value;
    throw new Fault(`${show(value)} is not ${what}`);
  };
}

/** Text of one byte a letter, as it goes over the wire. */
function readBytes(value: unknown): string {
  if (typeof value === 'string' && /^[\0-\xff]{1,512}$/.test(value)) return value;
  throw new Fault(`${show(value)} is not text of 1 to 512 bytes, such as "PING\\r\\n"`);
}

export function readWord(value: unknown): string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value;
  throw new Fault(`${show(value)} is not a word of a command`);
}

/** A status, or a range of them such as "200-399". */
function readStatus(value: unknown): readonly [number, number] {
  const text =
    typeof value === 'number' || typeof value === 'string' ? String(value) : '';
  const [, first, last = first] = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(text) ?? [];
  if (first !== undefined && Number(first) <= Number(last))
    return [Number(first), Number(last)];
  throw new Fault(`${show(value)} is not a status, such as 200 or "200-399"`);
}
