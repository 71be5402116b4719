// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Tells what became of a packet, in words for people and as JSON for programs. */
import { append } from '../text/lists.js';
import { must } from '../text/must.js';
import { NOBODY } from '../abi/slot.js';
import type { Slot } from '../abi/slot.js';
import {
  CLAIM_ANSWERED,
  CLAIM_CLIENT_FIN,
  CLAIM_ESTABLISHED,
  CLAIM_RST,
  CLAIM_SERVER_FIN,
} from '../abi/port.js';
import type { Claim } from '../abi/port.js';
import { CELL_HASH_SOURCE } from '../abi/cell.js';
import type { Destination } from '../abi/destination.js';
import { VERDICTS } from '../abi/verdicts.js';
import { formatMac } from '../wire/address.js';
import { formatEndpoint } from '../wire/endpoint.js';
import type { EntryForward } from '../wire/forward.js';
import { many } from '../text/format.js';
import type { Tables } from '../plan/state.js';
import { protocolName } from '../wire/protocols.js';
import { formatWay } from '../wire/way.js';
import type { Explained } from './ask.js';
import type { Field, Header } from './headers.js';
import { headersOf } from './headers.js';

export function describeExplained(one: Explained, number: number): string[] {
  const { frame, program, model } = one;
  const isSame = program.frame.equals(frame);
  return [
    `packet ${number}: ${many(frame.length, 'byte')}`,
    ...describeReasons(one).map(([name, text]) => `  ${name.padEnd(12)} ${text}`),
    ...(one.differences.length === 0
      ? ['  program and model agree']
      : [
          '  PROGRAM AND MODEL DISAGREE:',
          ...one.differences.map((text) => `    ${text}`),
          `    the model says ${model.verdict}`,
        ]),
    'before',
    ...describeFrame(frame),
    ...(isSame
      ? [`after: as it came, ${WHERE[program.action]}`]
      : ['after', ...describeFrame(program.frame)]),
  ];
}

const WHERE: Record<Explained['program']['action'], string> = {
  TX: 'sent back',
  REDIRECT: 'sent by another device',
  PASS: "passed to the host's stack",
  DROP: 'dropped',
};

const BY: Record<EntryForward, string> = {
  tunnel: '',
  link: ', by the link',
  nat: ', by nat',
  'full-nat': ', by full-nat',
  local: ', on this host',
};

/** How the packet came to its verdict, step by step, as far as it got. */
function describeReasons(one: Explained): [string, string][] {
  const { live, program, model, exit } = one;
  const { cell, hash, slotNumber, slot, hot, noSender } = model.reasons;
  const lines: [string, string][] = [];
  if (cell) {
    const inputs = cell.flags & CELL_HASH_SOURCE ? 'source' : 'source and ports';
    lines.push([
      'service',
      `${formatWay(cell)} leads to service ${cell.service}, ` +
        `${many(1 << cell.log2Slots, 'slot')} from ${cell.firstSlot}, chosen by ${inputs}`,
    ]);
  }
  if (hash !== undefined) lines.push(['hash', `0x${hash.toString(16).padStart(8, '0')}`]);
  if (slotNumber !== undefined && slot) {
    lines.push(['slot', `${slotNumber}, ${describeSlot(slot, live)}`]);
  }
  if (hot !== undefined) lines.push(['because', hot]);
  if (noSender !== undefined) lines.push(['because', describeNoSender(noSender)]);
  append(lines, describePort(one));
  const entry = program.id === undefined ? undefined : live.destinations.get(program.id);
  if (entry && program.id !== undefined) {
    lines.push([
      'destination',
      describeEntry(entry, program.id) + (exit === undefined ? '' : `, by ${exit}`),
    ]);
  }
  const meaning = must(
    VERDICTS.find(({ name }) => name === program.verdict),
    program.verdict,
  ).meaning;
  lines.push(['verdict', `${program.verdict}: ${meaning}`]);
  const from =
    model.returned === undefined ? undefined : live.destinations.get(model.returned);
  if (from && model.returned !== undefined) {
    lines.push(['answer of', describeEntry(from, model.returned)]);
  }
  return lines;
}

function describeNoSender(service: number): string {
  return `it comes from the address of service ${service}, but from the MAC address of none of its destinations (--src-mac)`;
}

/** By full-nat: from which port of ours the packet goes, or whose port it was sent to. */
function describePort({ model, isKeyNew }: Explained): [string, string][] {
  const { port, noPort } = model.reasons;
  if (noPort !== undefined) return [['port', `none: ${noPort}`]];
  if (!port) return [];
  const { of, claim, why } = port;
  const service = formatEndpoint({ address: of.address, port: of.servicePort });
  const client = formatEndpoint({ address: of.client, port: of.clientPort });
  const isNew = isKeyNew && model.returned === undefined;
  return [
    [
      'port',
      `${formatEndpoint(port)}: ${why}` +
        (isNew ? '; the program has no key yet, so it will be another port' : ''),
    ],
    [
      'connection',
      `${client} to ${service}/${protocolName(of.protocol) ?? of.protocol}: ` +
        (describeClaim(claim).join(', ') || 'not answered'),
    ],
  ];
}

/** What its claim says of a connection. */
function describeClaim({ state }: Claim): string[] {
  const words: [number, string][] = [
    [CLAIM_ANSWERED, 'answered'],
    [CLAIM_ESTABLISHED, 'established'],
    [CLAIM_CLIENT_FIN, 'closed by its client'],
    [CLAIM_SERVER_FIN, 'closed by its destination'],
    [CLAIM_RST, 'reset'],
  ];
  return words.flatMap(([flag, word]) => ((state & flag) === 0 ? [] : [word]));
}

function describeEntry(entry: Destination, id: number): string {
  const { forward, weight, isForgotten, mac } = entry;
  const state = isForgotten ? ', forgotten' : '';
  const head = `${formatEndpoint(entry)} (id ${id}, weight ${weight}${state}`;
  const hardware = forward === 'local' ? '' : `, MAC ${formatMac(mac)}`;
  return `${head}${hardware})${BY[forward]}`;
}

function describeSlot({ current, previous, second }: Slot, live: Tables): string {
  const name = (id: number): string => {
    const entry = live.destinations.get(id);
    return entry ? formatEndpoint(entry) : 'none';
  };
  if (previous === 0) return `cold, to ${name(current)}`;
  const before = previous === NOBODY ? 'one that is gone' : name(previous);
  const earlier =
    second === undefined || second === current ? '' : ` and ${name(second)}`;
  return `hot, to ${name(current)}, remembers ${before}${earlier}`;
}

/** Describes a frame header by header: the bytes and what they mean. */
export function describeFrame(frame: Buffer): string[] {
  return headersOf(frame).flatMap(describeHeader);
}

const BYTES_IN_A_LINE = 8;

function describeHeader({ name, fields }: Header): string[] {
  return [`  ${name}`, ...fields.flatMap(describeField)];
}

function describeField({ at, bytes, name, meaning }: Field): string[] {
  const lines: string[] = [];
  for (let from = 0; from < bytes.length; from += BYTES_IN_A_LINE) {
    const some = bytes.subarray(from, from + BYTES_IN_A_LINE);
    const hex = [...some].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const text = from === 0 ? `${name.padEnd(15)} ${meaning}` : '';
    lines.push(
      `    ${String(at + from).padStart(5)}  ${hex.padEnd(25)} ${text}`.trimEnd(),
    );
    // The beginning of the data is enough.
    if (from >= 2 * BYTES_IN_A_LINE && bytes.length > 4 * BYTES_IN_A_LINE) {
      lines.push('           ...');
      break;
    }
  }
  return lines;
}

export function explainedJson(one: Explained): Record<string, unknown> {
  const { frame, live, program, model, exit, differences } = one;
  const { cell, hash, slotNumber, slot, hot, noSender } = model.reasons;
  const entry = program.id === undefined ? undefined : live.destinations.get(program.id);
  return {
    verdict: program.verdict,
    action: program.action,
    service: cell ? { id: cell.service, way: formatWay(cell) } : null,
    hash: hash ?? null,
    slot: slotNumber ?? null,
    hot: slot ? slot.previous !== 0 : null,
    because: hot ?? (noSender === undefined ? null : describeNoSender(noSender)),
    port: portJson(one),
    destination: entry
      ? {
          id: program.id,
          address: formatEndpoint(entry),
          forward: entry.forward,
          device: exit ?? null,
        }
      : null,
    agrees: differences.length === 0,
    differences,
    before: sideJson(frame),
    after: sideJson(program.frame),
  };
}

/** Null but for full-nat. */
function portJson({ model }: Explained): Record<string, unknown> | null {
  const { port, noPort } = model.reasons;
  if (noPort !== undefined) return { address: null, because: noPort };
  if (!port) return null;
  const { of, claim, why, number } = port;
  return {
    address: formatEndpoint(port),
    because: why,
    number,
    client: formatEndpoint({ address: of.client, port: of.clientPort }),
    service: formatEndpoint({ address: of.address, port: of.servicePort }),
    state: describeClaim(claim),
  };
}

function sideJson(frame: Buffer): Record<string, unknown> {
  return {
    frame: frame.toString('hex'),
    headers: headersOf(frame).map(({ name, fields }) => ({
      name,
      fields: fields.map(({ at, bytes, ...words }) => ({
        at,
        bytes: bytes.toString('hex'),
        ...words,
      })),
    })),
  };
}
