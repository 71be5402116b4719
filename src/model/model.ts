// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Runs all steps in order: from the tables and a frame to the verdict and a frame. */
import { DEVICE_ANSWERS, DEVICE_NO_ECHO } from '../abi/device.js';
import { onWire } from '../wire/address.js';
import { VERDICTS } from '../abi/verdicts.js';
import type { VerdictName } from '../abi/verdicts.js';
import {
  echoReply,
  isEchoRequest,
  isOneHost,
  mayBeTold,
  tooBigAnswer,
} from './answers.js';
import { forward, frameOf, leaveBy } from './forward.js';
import { assignPort, numberOf, sendFrom, turnBack } from './full-nat.js';
import { isIcmp, isWholeIcmp, quotedConnection } from './icmp.js';
import { translate, whyNot } from './nat.js';
import type { Connection, Ip, Link, Refused } from './parse.js';
import { isTcpOrUdp, parseIp, parseLink, parseTransport } from './parse.js';
import { findService, isMeantForUs, isServiceAddress } from './service.js';
import type { Chosen } from './slot.js';
import { chooseSlot } from './slot.js';
import type {
  Answer,
  ModelAnswer,
  ModelDestination,
  ModelExit,
  ProgramState,
  Reasons,
  Tables,
} from './types.js';

export function model(tables: Tables, state: ProgramState, frame: Buffer): Answer {
  const untouched = (verdict: VerdictName, reasons: Reasons = {}): Answer =>
    answer(verdict, frame, frame.length, reasons);

  const link = parseLink(frame);
  if (!link) return untouched('not ip');
  const isOwnMac = link.to.equals(tables.device.mac);
  const refuse = (what: Refused): Answer => {
    if (!isMeantForUs(tables, what)) return untouched('not ours');
    return untouched(isOwnMac ? what.refused : 'not for us');
  };

  const ip = parseIp(link.rest, link.isIpv4);
  if ('refused' in ip) return refuse(ip);
  const connection = connectionOf(link, ip);
  if (!connection) {
    if (!isAnsweredEcho(tables, link, ip)) return untouched('not tcp or udp');
    if (!isOwnMac) return untouched('not for us');
    if (!state.mayEcho) return untouched('echo limited');
    return answer('echo answered', echoReply(link, ip), frame.length, {});
  }
  if ('refused' in connection) return refuse(connection);

  const service = findService(tables, connection, isOwnMac);
  if ('verdict' in service) {
    const number =
      service.verdict === 'not ours' ? numberOf(tables, connection) : undefined;
    if (number !== undefined) {
      if (!isOwnMac) return untouched('not for us');
      const turned = turnBack(tables, state, link.rest, ip, connection, number);
      if (!turned) return untouched('not ours');
      const sent = frameOf({ ...link, rest: turned.bytes });
      const reasons = { port: turned.reason };
      return {
        ...answer('answer passed', sent, frame.length, reasons),
        ports: turned.writes,
        returned: turned.id,
      };
    }
    const back = service.verdict === 'not ours' && findAnswer(tables, connection);
    if (!back) return untouched(service.verdict);
    if (!isOwnMac) return untouched('not for us');
    if (back.value.isByLink) return answerByLink(tables, link, back.value.id);
    // What cannot be turned back is nobody's packet.
    if (whyNot(ip, connection, back.value)) return untouched(service.verdict);
    const rest = translate(link.rest, ip, connection, 'source', back.value);
    return {
      ...answer('answer passed', frameOf({ ...link, rest }), frame.length, {}),
      returned: back.value.id,
    };
  }
  const { cell } = service;
  const chosen = chooseSlot(tables, state, connection, cell);
  const destination = chosen.id === 0 ? undefined : tables.destinations.get(chosen.id);
  const reasons = {
    cell,
    hash: chosen.hash,
    slotNumber: chosen.slotNumber,
    slot: chosen.slot,
    ...(chosen.hot !== undefined && { hot: chosen.hot }),
    ...(destination && { destination }),
  };
  const written = writes(chosen);
  if (!destination) return { ...untouched('empty slot', reasons), ...written };

  if (ip.length > destination.largestPacket) {
    const isTold =
      tables.build === 'host' && mayBeTold(link, ip, connection) && state.mayTell;
    if (!isTold) return { ...untouched('too big', reasons), ...written };
    const told = tooBigAnswer(link, ip, destination.largestPacket);
    return { ...answer('too big told', told, frame.length, reasons), ...written };
  }
  if (destination.forward === 'full-nat' && tables.build === 'host') {
    const toPool = { id: chosen.id, destination };
    const sent = sendByFullNat(tables, state, { link, ip, connection }, toPool, reasons);
    return { ...sent, ...written };
  }
  const exit = exitOf(tables, destination);
  if (exit && !exit.isThere) return { ...untouched('exit gone', reasons), ...written };

  if (destination.forward === 'local' && tables.build === 'host') {
    return { ...untouched('local server', reasons), ...written, id: chosen.id };
  }
  const leaving = exit ? leaveBy(exit, link) : link;
  const { mac } = exit ?? tables.device;
  let sent: Buffer;
  if (destination.forward === 'nat' && tables.build === 'host') {
    const why = whyNot(ip, connection, destination);
    if (why) return { ...untouched(why, reasons), ...written };
    const rest = translate(link.rest, ip, connection, 'destination', destination);
    sent = frameOf({ ...leaving, to: destination.mac, from: mac, rest });
  } else {
    sent = forward(leaving, ip, destination, mac, chosen.hash, chosen.source);
  }
  return {
    ...answer('balanced', sent, sent.length, reasons),
    ...(exit && { action: 'REDIRECT' }),
    ...written,
    id: chosen.id,
  };
}

interface Parsed {
  link: Link;
  ip: Ip;
  connection: Connection;
}

/** Sends a packet from a port of ours, to the destination that its connection has. */
function sendByFullNat(
  tables: Tables,
  state: ProgramState,
  { link, ip, connection }: Parsed,
  chosen: { id: number; destination: ModelDestination },
  before: Reasons,
): Answer {
  const frame = frameOf(link);
  const untouched = (verdict: VerdictName, reasons: Reasons): Answer =>
    answer(verdict, frame, frame.length, reasons);
  const assigned = assignPort(tables, state, ip, connection, chosen);
  if ('verdict' in assigned) {
    const { verdict, why, writes: ports } = assigned;
    return { ...untouched(verdict, { ...before, noPort: why }), ports };
  }
  const { id, destination, source, reason, writes: ports } = assigned;
  const reasons = { ...before, destination, port: reason };
  const exit = exitOf(tables, destination);
  if (exit && !exit.isThere) return { ...untouched('exit gone', reasons), ports };
  const sent = frameOf({
    ...(exit ? leaveBy(exit, link) : link),
    to: destination.mac,
    from: (exit ?? tables.device).mac,
    rest: sendFrom(link.rest, ip, connection, destination, source),
  });
  return {
    ...answer('balanced', sent, sent.length, reasons),
    ...(exit && { action: 'REDIRECT' }),
    ports,
    id,
  };
}

function exitOf(
  { exits }: Tables,
  { exit }: Pick<ModelDestination, 'exit'>,
): ModelExit | undefined {
  return exit === 0 ? undefined : exits?.get(exit);
}

/** It has its service's address already. Its sender is known by the MAC address alone. */
function answerByLink({ senders = [] }: Tables, link: Link, service: number): Answer {
  const frame = frameOf(link);
  const sender = senders.find(
    ({ key }) => key.service === service && key.mac.equals(link.from),
  );
  return sender
    ? { ...answer('answer passed', frame, frame.length, {}), returned: sender.id }
    : answer('not ours', frame, frame.length, { noSender: service });
}

/**
 * Finds whose answer a packet is, and what it gets as its source by nat. Entries with port 0 are for
 * all ports that have no entry of their own. Fragments have no ports.
 */
function findAnswer(
  { device, answers = [] }: Tables,
  { source, protocol, ports }: Connection,
): ModelAnswer | undefined {
  if ((device.flags & DEVICE_ANSWERS) === 0) return undefined;
  const own = answers.filter(
    ({ key }) => key.protocol === protocol && onWire(key.address).equals(source),
  );
  const rest = own.find(({ key }) => key.port === 0);
  if (!ports) return rest;
  const exact = own.find(({ key }) => key.port !== 0 && key.port === ports.source);
  return exact ?? (rest?.value.isForFragments === true ? undefined : rest);
}

/** Returns undefined for anything but TCP, UDP and ICMP errors about them. */
function connectionOf(link: Link, ip: Ip): Connection | Refused | undefined {
  if (isIcmp(ip)) {
    return isWholeIcmp(link.rest, ip) ? quotedConnection(link.rest, ip) : undefined;
  }
  return isTcpOrUdp(ip.protocol) ? parseTransport(link.rest, ip) : undefined;
}

function isAnsweredEcho(tables: Tables, link: Link, ip: Ip): boolean {
  return (
    tables.build === 'host' &&
    (tables.device.flags & DEVICE_NO_ECHO) === 0 &&
    isIcmp(ip) &&
    isWholeIcmp(link.rest, ip) &&
    isEchoRequest(link, ip) &&
    isOneHost(link, ip) &&
    !ip.source.equals(ip.address) &&
    isServiceAddress(tables, ip.address)
  );
}

function answer(
  verdict: VerdictName,
  frame: Buffer,
  bytes: number,
  reasons: Reasons,
): Answer {
  return { verdict, action: actionOf(verdict), frame, bytes, reasons };
}

const ACTIONS = new Map(VERDICTS.map(({ name, action }) => [name, action]));

function actionOf(verdict: VerdictName): Answer['action'] {
  return ACTIONS.get(verdict) ?? 'DROP';
}

function writes({ records, kept }: Chosen): Pick<Answer, 'records' | 'kept'> {
  return { ...(records && { records }), ...(kept && { kept }) };
}
