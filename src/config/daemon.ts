// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads the table `daemon` of a config file: what only l4lbd needs. */
import { Fault } from '../text/fault.js';
import { formatAddress, parseAddress } from '../wire/address.js';
import { readWord } from './check.js';
import { DAEMON_KEYS, namesOf } from './keys.js';
import { show } from './problems.js';
import { Section, isSection } from './section.js';

export interface WantedDaemon {
  /** Where it tells everybody what it knows; undefined: nowhere but on its socket. */
  listen?: Listen | undefined;
  /** By which a browser may know this host, beside its addresses. */
  names?: readonly string[] | undefined;
  /** Has the token of those who may act there; undefined: nobody may. */
  tokenFile?: string | undefined;
  /** The program that is told of changes, and its arguments. */
  onChange?: readonly string[] | undefined;
}

export interface Listen {
  host: string;
  port: number;
}

export function readDaemon(top: Section): WantedDaemon {
  const value = top.get('daemon', (raw) => {
    if (isSection(raw)) return raw;
    throw new Fault(`${show(raw)} is not a table; write [daemon]`);
  });
  if (!value) return {};
  const section = new Section(top.problems, top.at('daemon'), value);
  section.checkKeys(namesOf(DAEMON_KEYS));
  const listen = section.get('listen', readListen);
  const names = section.list('names', readName);
  const tokenFile = section.get('token_file', readPath);
  for (const key of ['names', 'token_file'].filter((one) => section.has(one))) {
    if (!section.has('listen')) section.fault(key, 'this is only for listen');
  }
  const onChange = section.list('on_change', readWord);
  if (onChange?.[0]?.startsWith('/') === false) {
    section.fault(
      'on_change',
      `write the program with its whole path, not ${show(onChange[0])}`,
    );
  }
  return { listen, names, tokenFile, onChange };
}

function readName(value: unknown): string {
  if (typeof value === 'string' && /^[\w-]+(?:\.[\w-]+)*$/.test(value)) return value;
  throw new Fault(`${show(value)} is not the name of a host, such as "lb1.example.com"`);
}

function readPath(value: unknown): string {
  if (typeof value === 'string' && value.startsWith('/')) return value;
  throw new Fault(`${show(value)} is not a whole path, such as "/etc/l4lb/token"`);
}

export function readListen(value: unknown): Listen {
  const [, quoted, plain, port = ''] =
    /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(typeof value === 'string' ? value : '') ??
    [];
  const address = parseAddress(quoted ?? plain ?? '');
  if (!address || Number(port) < 1 || Number(port) > 65535) {
    throw new Fault(
      `${show(value)} is not an address with a port, such as "127.0.0.1:9109"`,
    );
  }
  return { host: formatAddress(address), port: Number(port) };
}
