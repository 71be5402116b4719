// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** How etcd is reached and what it is shown: TLS, a token, or a user with a password. */
import { statSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import { createSecureContext } from 'node:tls';

import { readRegular } from '../../system/regular-file.js';
import { fileFault } from '../../text/file-fault.js';
import { UsageFailure } from '../../text/failure.js';
import { printableLine } from '../../text/printable.js';
import type { Access } from './options.js';
import { OPTIONS } from './options.js';

/** Throws a UsageFailure unless these belong together, and all files can be used. */
export function checkAccess(access: Access): void {
  const needs = (one: keyof Access, other: keyof Access): void => {
    if (access[one] === undefined || access[other] !== undefined) return;
    throw new UsageFailure(`${OPTIONS[one]} needs ${OPTIONS[other]}`);
  };
  needs('certificate', 'key');
  needs('key', 'certificate');
  needs('user', 'passwordFile');
  needs('passwordFile', 'user');
  if (access.user !== undefined && access.tokenFile !== undefined) {
    throw new UsageFailure(`${OPTIONS.user} and ${OPTIONS.tokenFile} exclude each other`);
  }
  readTls(access);
  if (access.tokenFile !== undefined) readSecret(access.tokenFile, 'tokenFile');
  if (access.passwordFile !== undefined) readSecret(access.passwordFile, 'passwordFile');
}

/** The one line of a file that only its owner may read. */
export function readSecret(path: string, option: 'tokenFile' | 'passwordFile'): string {
  const secret = readNamed(path, option).trim();
  if (secret === '' || /[^\x20-\x7e]/.test(secret)) {
    throw new UsageFailure(`${OPTIONS[option]}: ${printableLine(path)} has no secret`, {
      cause: 'it is empty, or has more than one line of visible ASCII',
    });
  }
  if ((statSync(path).mode & 0o077) !== 0) {
    throw new UsageFailure(`${OPTIONS[option]}: others may read ${printableLine(path)}`, {
      next: `chmod 600 ${printableLine(path)}`,
    });
  }
  return secret;
}

function readTls(access: Access): SecureContextOptions {
  const options: SecureContextOptions = { minVersion: 'TLSv1.2' };
  // Each with those before it, so that what is wrong is found in the file that has it.
  const add = (option: 'ca' | 'certificate' | 'key', as: 'ca' | 'cert' | 'key'): void => {
    const path = access[option];
    if (path === undefined) return;
    options[as] = readNamed(path, option);
    try {
      createSecureContext(options);
    } catch (error) {
      throw new UsageFailure(`${OPTIONS[option]}: cannot use ${printableLine(path)}`, {
        cause: `it is not PEM, or does not belong to the others: ${(error as Error).message}`,
        next: `openssl ${option === 'key' ? 'pkey -noout' : 'x509 -noout -text'} -in ${printableLine(path)}`,
      });
    }
  };
  add('ca', 'ca');
  add('certificate', 'cert');
  add('key', 'key');
  return options;
}

function readNamed(path: string, option: keyof Access): string {
  try {
    return readRegular(path);
  } catch (error) {
    throw new UsageFailure(`${OPTIONS[option]}: cannot read ${printableLine(path)}`, {
      cause: fileFault(error),
      next: `ls -l ${printableLine(path)}`,
    });
  }
}

/** Connections to etcd: some that are kept for the next request, and one for each watch. */
export class Connections {
  readonly #access: Access;
  #agents: Agents;

  constructor(access: Access) {
    this.#access = access;
    this.#agents = new Agents(readTls(access));
  }

  agent(url: URL, isWatch: boolean): http.Agent {
    const { plain, tls } = isWatch ? this.#agents.watches : this.#agents.requests;
    return url.protocol === 'https:' ? tls : plain;
  }

  /** Takes the files as they are now; certificates are short-lived in places. */
  renew(): void {
    const before = this.#agents;
    try {
      this.#agents = new Agents(readTls(this.#access));
    } catch (error) {
      // Somebody writes them at this moment: the next failure reads them again.
      if (error instanceof UsageFailure) return;
      throw error;
    }
    before.endIdle();
  }

  /** Ends them all, with what is asked on them. */
  close(): void {
    this.#agents.end();
  }
}

class Agents {
  readonly requests: { plain: http.Agent; tls: https.Agent };
  readonly watches: { plain: http.Agent; tls: https.Agent };

  constructor(tls: SecureContextOptions) {
    const kept = { keepAlive: true, maxFreeSockets: 4 };
    this.requests = {
      plain: new http.Agent(kept),
      tls: new https.Agent({ ...tls, ...kept }),
    };
    this.watches = { plain: new http.Agent(), tls: new https.Agent(tls) };
  }

  endIdle(): void {
    for (const { freeSockets } of this.#all()) {
      for (const sockets of Object.values(freeSockets)) {
        for (const socket of sockets ?? []) socket.destroy();
      }
    }
  }

  end(): void {
    for (const agent of this.#all()) agent.destroy();
  }

  #all(): http.Agent[] {
    return [...Object.values(this.requests), ...Object.values(this.watches)];
  }
}
