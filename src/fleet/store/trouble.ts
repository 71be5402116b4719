// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What can go wrong between us and etcd's gateway, in words. Pure. */
import { Failure } from '../../text/failure.js';
import { printableLine } from '../../text/printable.js';
import { OPTIONS } from './options.js';

/** One endpoint did not answer, or not as etcd does. Another may. */
export class Unanswered extends Error {
  /** Whether etcd may have done what it was asked. */
  readonly mayBeDone: boolean;
  /** A connection that was kept had ended meanwhile; a new one may do. */
  readonly isStale: boolean;

  constructor(why: string, mayBeDone: boolean, isStale = false) {
    super(why);
    this.mayBeDone = mayBeDone;
    this.isStale = isStale;
  }
}

/** etcd itself refused, and did nothing. Any other endpoint would do the same. */
export class Refused extends Failure {
  readonly code: number;
  /** etcd's own words. */
  readonly said: string;

  constructor(code: number, said: string) {
    super(`etcd refused: ${shortened(said)}`, adviceFor(code, said));
    this.code = code;
    this.said = said;
  }

  get isCompacted(): boolean {
    return this.code === OUT_OF_RANGE && this.said.includes('compacted');
  }

  /** The token is too old, or etcd has forgotten it in a restart. */
  get isOfToken(): boolean {
    return this.code === UNAUTHENTICATED || this.said.includes('auth store is old');
  }
}

// Codes of gRPC.
const DEADLINE_EXCEEDED = 4;
export const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const OUT_OF_RANGE = 11;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

function adviceFor(code: number, said: string): { cause?: string; next?: string } {
  if (said.includes('user name is empty')) {
    return {
      cause:
        'this etcd asks who you are; its gateway does not take that from a certificate',
      next: `name a user with ${OPTIONS.user} and ${OPTIONS.passwordFile}`,
    };
  }
  if (said.includes('invalid user ID or password')) {
    return { cause: `${OPTIONS.user} or what is in ${OPTIONS.passwordFile} is wrong` };
  }
  if (code === UNAUTHENTICATED)
    return { cause: `what is in ${OPTIONS.tokenFile} is too old` };
  if (code === PERMISSION_DENIED) {
    return {
      cause: 'this user may not do that with these keys',
      next: 'etcdctl role grant-permission --prefix=true ROLE readwrite /l4lb/',
    };
  }
  if (said.includes('database space exceeded')) {
    return {
      cause: 'the disk quota of etcd is used up',
      next: 'etcdctl compact REVISION; etcdctl defrag; etcdctl alarm disarm',
    };
  }
  return {};
}

/** What the body of an error has, or undefined if it is none of etcd's. */
export function refusalIn(body: unknown): Refused | Unanswered | undefined {
  if (typeof body !== 'object' || body === null || !('error' in body)) return undefined;
  // In a stream the error is an object of its own.
  const inner = typeof body.error === 'object' && body.error !== null ? body.error : body;
  const said = textIn(inner, 'message') ?? textIn(body, 'error') ?? 'no reason given';
  const code = numberIn(inner, 'code') ?? numberIn(inner, 'grpc_code') ?? 2;
  if (code !== UNAVAILABLE && code !== DEADLINE_EXCEEDED) return new Refused(code, said);
  // It says this before it tries. Other words, such as "request timed out", say nothing.
  return new Unanswered(shortened(said), !said.includes('no leader'));
}

function textIn(value: object, name: string): string | undefined {
  const found = (value as Partial<Record<string, unknown>>)[name];
  return typeof found === 'string' && found !== '' ? found : undefined;
}

function numberIn(value: object, name: string): number | undefined {
  const found = (value as Partial<Record<string, unknown>>)[name];
  return typeof found === 'number' ? found : undefined;
}

const MOST_WORDS = 200;

/** Foreign words for a message: on one line, and not too many. */
export function shortened(words: string): string {
  const line = printableLine(words.trim());
  return line.length > MOST_WORDS ? `${line.slice(0, MOST_WORDS)}…` : line;
}

/** What answered instead of etcd's gateway. */
export function notEtcd(status: number, body: string): Unanswered {
  const why =
    status >= 300 && status < 400
      ? `it sends us elsewhere (HTTP ${status})`
      : body.includes('HTTP request to an HTTPS server')
        ? 'it speaks https only'
        : status === 404
          ? 'there is no /v3/ here: this is not etcd, or its gateway is off, or it is older than 3.4'
          : status === 200
            ? `it answers what etcd does not: ${shortened(body.slice(0, 80))}`
            : `HTTP ${status}: ${shortened(body.slice(0, 80))}`;
  return new Unanswered(why, status >= 500 || status === 200);
}

const CAUSES = new Map([
  ['ECONNREFUSED', 'nobody listens there'],
  ['EHOSTUNREACH', 'no route leads there, or nobody has this address'],
  ['ENETUNREACH', 'no route leads there'],
  ['ETIMEDOUT', 'it does not answer'],
  ['ECONNRESET', 'it ended the connection'],
  ['EPIPE', 'it ended the connection'],
  ['ENOTFOUND', 'there is no such name'],
  ['EAI_AGAIN', 'no name server answers'],
  ['CERT_HAS_EXPIRED', 'its certificate is too old'],
  ['CERT_NOT_YET_VALID', 'its certificate is not valid yet: is the clock right?'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is for other names'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'it does not speak TLS: is it http:?'],
  ['EPROTO', 'it does not speak TLS: is it http:?'],
  ['HPE_INVALID_CONSTANT', 'it does not speak HTTP'],
]);
const UNKNOWN_SIGNER = `somebody signed its certificate whom we do not know: see ${OPTIONS.ca}`;
const WANTS_CERTIFICATE = `it asks for a certificate, or refuses ours: see ${OPTIONS.certificate}`;

/** Why a connection failed or ended, from node's error. */
export function connectionFault(error: NodeJS.ErrnoException): string {
  const { code = '', message } = error;
  if (/SELF_SIGNED|UNABLE_TO|ISSUER/.test(code)) return UNKNOWN_SIGNER;
  if (/ALERT/.test(code) || /alert (?:bad|certificate|unknown)/.test(message)) {
    return WANTS_CERTIFICATE;
  }
  return CAUSES.get(code) ?? (shortened(message) || code);
}

/** Whether other files for TLS may help. */
export function isOfTls({ code = '' }: NodeJS.ErrnoException): boolean {
  return /CERT|SSL|SIGNED|UNABLE_TO|EPROTO/.test(code);
}
