// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Who may ask at the address of `listen`. A browser asks for any site that its user looks
 * at, so what a browser says about that site counts.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { statSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';

import { readRegular } from '../system/regular-file.js';
import { Failure } from '../text/failure.js';
import { parseAddress } from '../wire/address.js';

/**
 * Whether the browser was led here by a name that anybody may have given this address
 * (DNS rebinding): then another site's page could read what is said here.
 */
export function isForeignHost(
  host: string | undefined,
  names: readonly string[],
): boolean {
  const name = nameIn(host ?? '');
  if (name === undefined) return true;
  const isKnown = [...names, 'localhost'].some((one) => one.toLowerCase() === name);
  return !isKnown && parseAddress(name) === undefined;
}

/** Of a Host header: no port, no brackets, small letters. */
function nameIn(host: string): string | undefined {
  const [, quoted, plain] = /^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/.exec(host) ?? [];
  return (quoted ?? plain)?.toLowerCase().replace(/\.$/, '');
}

/** Whether another site's page asks. What is no browser says nothing about that. */
export function isForeignSite(headers: IncomingHttpHeaders): boolean {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true;
  if (origin === undefined) return false;
  // Behind a proxy the scheme may be another one.
  return origin.replace(/^https?:\/\//, '').toLowerCase() !== host?.toLowerCase();
}

/** Compares so that the time it takes tells nothing about the token. */
export function isToken(authorization: string, token: string): boolean {
  const [, given = ''] = /^Bearer (.*)$/i.exec(authorization) ?? [];
  return timingSafeEqual(digest(given), digest(token));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

export const SHORTEST_TOKEN = 16;
/** Others may not read it, and whoever can write it could act. */
const NOT_FOR_OTHERS = 0o027;

export function readToken(path: string): string {
  let text: string;
  try {
    text = readRegular(path).trim();
  } catch (error) {
    throw new Failure(`cannot read the token file ${path}`, {
      cause: error instanceof Error ? error.message : String(error),
      next: `(umask 077; openssl rand -hex 16 > ${path}) makes one`,
    });
  }
  const { mode } = statSync(path);
  if ((mode & NOT_FOR_OTHERS) !== 0) {
    throw new Failure(`the token file ${path} is not secret`, {
      cause: `its mode is ${(mode & 0o777).toString(8).padStart(4, '0')}`,
      next: `chmod 600 ${path}`,
    });
  }
  // What a header can carry.
  if (text.length < SHORTEST_TOKEN || !/^[!-~]+$/.test(text)) {
    throw new Failure(
      `the token in ${path} is not one of ${SHORTEST_TOKEN} or more letters, digits and signs`,
      { next: `(umask 077; openssl rand -hex 16 > ${path}) makes one` },
    );
  }
  return text;
}
