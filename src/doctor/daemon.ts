// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Asks the l4lbd of the device what its checks say. */
import type { Status } from '../api/status.js';
import { askDaemon } from '../system/daemon-socket.js';
import { Failure } from '../text/failure.js';
import { Unseen } from '../text/unseen.js';

/** Undefined: none runs. */
export async function readDaemon(device: string): Promise<Status | Unseen | undefined> {
  try {
    const answer = await askDaemon(device, { method: 'GET', path: '/status' });
    if (!answer) return undefined;
    if (answer.status !== 200)
      return new Unseen(`l4lbd answers with ${answer.status}: ${answer.text.trim()}`);
    return JSON.parse(answer.text) as Status;
  } catch (error) {
    if (error instanceof Failure)
      return new Unseen(`${error.message}: ${error.advice.cause ?? ''}`);
    if (error instanceof SyntaxError) return new Unseen('what l4lbd says is no JSON');
    throw error;
  }
}
