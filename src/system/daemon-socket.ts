// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The socket on which l4lbd answers for a device, and how to ask there. */
import { existsSync, lstatSync, readdirSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

import { Failure } from '../text/failure.js';
import { LOCK_FOLDER } from './lock.js';

/**
 * A device of another network namespace may have the same name, and all of them share the
 * file system. So only in the namespace that the machine began with is the name enough.
 */
export function nameInNamespace(device: string): string {
  const own = statSync('/proc/self/ns/net').ino;
  return own === firstNamespace() ? device : `${own}-${device}`;
}

function firstNamespace(): number | undefined {
  try {
    return statSync('/proc/1/ns/net').ino;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EACCES') return undefined;
    throw error;
  }
}

export function daemonSocket(device: string): string {
  return `${LOCK_FOLDER}/${nameInNamespace(device)}.sock`;
}

/** Milliseconds: a younger socket may be one that its l4lbd is about to listen on. */
const YOUNG = 60_000;

/**
 * Removes the sockets that nobody listens on: an l4lbd that is killed leaves its own, and in
 * another namespace no later one takes its place.
 */
export async function sweepSockets(folder = LOCK_FOLDER): Promise<void> {
  const paths = readdirSync(folder)
    .filter((name) => name.endsWith('.sock'))
    .map((name) => join(folder, name));
  for (const path of paths) {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    const isOld = stat?.isSocket() && Date.now() - stat.mtimeMs > YOUNG;
    if (isOld && (await isRefused(path))) rmSync(path, { force: true });
  }
}

function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      resolve(code === 'ECONNREFUSED');
    });
  });
}

export interface Question {
  method: 'GET' | 'POST';
  path: string;
  body?: unknown;
}

export interface Answer {
  status: number;
  text: string;
}

/** What keeps a socket from being one of a daemon that runs. */
const NOBODY_THERE = ['ENOENT', 'ECONNREFUSED'];
/** Milliseconds: a fill of large tables takes seconds, and others may be before it. */
const LONGEST = 60_000;

/** Asks the l4lbd of a device; undefined: none runs there. */
export async function askDaemon(
  device: string,
  { method, path, body }: Question,
): Promise<Answer | undefined> {
  const socketPath = daemonSocket(device);
  if (!existsSync(socketPath)) return undefined;
  // It takes a while to load, and most commands meet no daemon.
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path, timeout: LONGEST }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (part: string) => (text += part));
      answer.on('end', () => {
        resolve({ status: answer.statusCode ?? 0, text });
      });
      answer.on('error', (error) => {
        reject(lost(device, error));
      });
    });
    asked.on('timeout', () => {
      asked.destroy(new Error(`no answer for ${LONGEST / 1000} s`));
    });
    asked.on('error', (error: NodeJS.ErrnoException) => {
      if (NOBODY_THERE.includes(error.code ?? '')) resolve(undefined);
      else reject(lost(device, error));
    });
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Calls `take` for each line that l4lbd sends, until it ends. Returns whether any runs. */
export async function followDaemon(
  device: string,
  path: string,
  take: (line: string) => void,
): Promise<boolean> {
  const socketPath = daemonSocket(device);
  if (!existsSync(socketPath)) return false;
  const { request } = await import('node:http');
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path }, (answer) => {
      let rest = '';
      answer.setEncoding('utf8');
      answer.on('data', (part: string) => {
        const lines = (rest + part).split('\n');
        rest = lines.pop() ?? '';
        lines.forEach(take);
      });
      answer.on('close', () => {
        resolve(true);
      });
    });
    asked.on('error', (error: NodeJS.ErrnoException) => {
      if (NOBODY_THERE.includes(error.code ?? '')) resolve(false);
      else reject(lost(device, error));
    });
    asked.end();
  });
}

function lost(device: string, error: NodeJS.ErrnoException): Failure {
  const path = daemonSocket(device);
  return new Failure(`cannot ask l4lbd at ${path}`, {
    cause: error.code === 'EACCES' ? 'only root may' : error.message,
    next:
      error.code === 'EACCES'
        ? 'run this command as root'
        : `look at the journal of l4lbd: journalctl -u l4lbd@${device}`,
  });
}

/** Nobody answers for this device. */
export function noDaemon(device: string): Failure {
  return new Failure(`no l4lbd runs on ${device}`, {
    cause: 'it was never started, or has ended since',
    next: `l4lbd -i ${device} -c /etc/l4lb/l4lb.toml`,
  });
}
