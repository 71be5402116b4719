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
import { isIcmp, isWholeIcmp, quotedConnection } from './icmp.js';
import { translate, whyNot } from './nat.js';
import type { Connection, Ip, Link, Refused } from './parse.js';
import { isTcpOrUdp, parseIp, parseLink, parseTransport } from './parse.js';
import { findService, isMeantForUs, isServiceAddress } from './service.js';
import type { Chosen } from './slot.js';
import { chooseSlot } from './slot.js';
import type { Answer, ModelAnswer, Reasons, ProgramState, Tables } from './types.js';

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
    const back = service.verdict === 'not ours' && findAnswer(tables, connection);
    if (!back) return untouched(service.verdict);
    if (!isOwnMac) return untouched('not for us');
    // What cannot be turned back is nobody's packet.
    if (whyNot(ip, connection, back.value)) return untouched(service.verdict);
    const rest = translate(link.rest, ip, connection, 'source', back.value);
    return answer('answer passed', frameOf({ ...link, rest }), frame.length, {});
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
  const exit = destination.exit === 0 ? undefined : tables.exits?.get(destination.exit);
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

/**
 * Finds what a nat destination's answer gets as its source. Entries with port 0 are for
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
