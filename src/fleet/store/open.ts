// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Opens a store by what the command line calls it. */
import { isIP } from 'node:net';
import { resolve } from 'node:path';

import type { Run } from '../../system/run.js';
import { UsageFailure } from '../../text/failure.js';
import { printableLine } from '../../text/printable.js';
import { checkAccess } from './access.js';
import { EtcdStore } from './etcd.js';
import { FileStore } from './file.js';
import { USUAL } from './gateway.js';
import type { Access } from './options.js';
import { OPTIONS } from './options.js';
import type { Patience } from './request.js';
import type { Store } from './store.js';

export interface StoreOptions extends Access {
  run: Run;
  /** Only tests have less. */
  patience?: Partial<Patience>;
}

const FORMS = 'etcd:https://HOST:2379[,https://HOST:2379...] or file:DIR';
const MOST_ENDPOINTS = 16;

/** Throws a UsageFailure that says what is wrong with the text or with a file. */
export function openStore(text: string, options: StoreOptions): Store {
  const { run, patience, ...access } = options;
  const times = { ...USUAL, ...patience };
  const [, kind, place = ''] = /^(etcd|file):(.*)$/s.exec(text) ?? [];
  if (kind === undefined) throw wrong(text, `it is neither etcd: nor file:`);
  if (place === '') throw wrong(text, `nothing follows ${kind}:`);
  if (kind === 'file') {
    refuseAccess(access, text);
    if (place.includes('\0')) throw wrong(text, 'no path has a NUL in it');
    return new FileStore(resolve(place), run, times.silence);
  }
  const endpoints = place.split(',').map((one) => endpointIn(one.trim(), text));
  const origins = new Set(endpoints.map(({ origin }) => origin));
  if (origins.size < endpoints.length) throw wrong(text, 'an endpoint is there twice');
  if (endpoints.length > MOST_ENDPOINTS) {
    throw wrong(text, `it has more than ${MOST_ENDPOINTS} endpoints`);
  }
  if (endpoints.every(({ protocol }) => protocol === 'http:')) refuseTls(access, text);
  checkAccess(access);
  return new EtcdStore(endpoints, access, times, warningsFor(endpoints));
}

function endpointIn(one: string, text: string): URL {
  if (!/^https?:\/\//.test(one)) {
    const isBare = /^[\w.:[\]-]+$/.test(one);
    throw wrong(
      text,
      one === ''
        ? 'an endpoint is empty'
        : `"${printableLine(one)}" does not begin with https:// or http://`,
      isBare ? `write https://${printableLine(one)}` : undefined,
    );
  }
  const url = URL.canParse(one) ? new URL(one) : undefined;
  if (!url?.hostname) throw wrong(text, `"${printableLine(one)}" is no URL`);
  if (url.username !== '' || url.password !== '') {
    throw new UsageFailure('a store with a password in its name', {
      cause: 'everybody on this machine can read command lines',
      next: `use ${OPTIONS.user} and ${OPTIONS.passwordFile}`,
    });
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw wrong(text, `something follows the port in "${printableLine(one)}"`);
  }
  // Its default is that of the web, and nobody runs etcd there without saying so.
  if (!/:\d+\/?$/.test(one)) {
    throw wrong(text, `"${printableLine(one)}" has no port; etcd's is 2379`);
  }
  return url;
}

function refuseAccess(access: Access, text: string): void {
  for (const [key, option] of Object.entries(OPTIONS)) {
    if (access[key as keyof Access] === undefined) continue;
    throw wrong(text, `${option} is for etcd, and this is a folder`);
  }
}

function refuseTls({ ca, certificate, key }: Access, text: string): void {
  const [option] =
    Object.entries({ ca, certificate, key }).find(([, path]) => path) ?? [];
  if (option === undefined) return;
  throw wrong(text, `${OPTIONS[option as 'ca']} is for https:, and this is http:`);
}

function warningsFor(endpoints: readonly URL[]): string[] {
  const open = endpoints.filter((url) => url.protocol === 'http:' && !isLoopback(url));
  if (open.length === 0) return [];
  const names = open.map(({ origin }) => origin).join(', ');
  return [
    `${names}: nothing protects what is sent by http:; whoever sees it can read it, and whoever can change it decides where your packets go`,
  ];
}

function isLoopback({ hostname }: URL): boolean {
  const isAddress = isIP(hostname) === 4 && hostname.startsWith('127.');
  return isAddress || hostname === '[::1]' || hostname === 'localhost';
}

function wrong(text: string, cause: string, next?: string): UsageFailure {
  return new UsageFailure(`"${printableLine(text)}" names no store`, {
    cause,
    next: next ?? `--store ${FORMS}`,
  });
}
