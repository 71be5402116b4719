// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Asks etcd's own JSON gateway (/v3/…, https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/)
 * at one of several endpoints. An endpoint that answered is asked again; when it does not,
 * the next one is asked.
 */
import { Failure } from '../../text/failure.js';
import type { Access } from './options.js';
import { Connections, readSecret } from './access.js';
import type { Fields } from './json.js';
import { text } from './json.js';
import type { Following, How, Patience } from './request.js';
import { fetch, follow } from './request.js';
import { MaybeWritten } from './store.js';
import { Refused, Unanswered, notEtcd } from './trouble.js';

export const USUAL: Patience = { answer: 3000, whole: 30_000, silence: 5000 };

export interface Asked {
  signal?: AbortSignal | undefined;
  /** Milliseconds for all endpoints together; by default each has its own. */
  within?: number;
  /** It must not be done twice. */
  isWrite?: boolean;
}

/** One endpoint did not answer; the message names it. */
class NoAnswer extends Failure {}

export class Gateway {
  readonly #endpoints: readonly URL[];
  readonly #access: Access;
  readonly #patience: Patience;
  readonly #connections: Connections;
  #isClosed = false;
  /** How many endpoints were given up. Each process begins with another. */
  #turn: number;
  #token: Promise<string> | undefined;

  constructor(endpoints: readonly URL[], access: Access, patience: Patience) {
    this.#endpoints = endpoints;
    this.#access = access;
    this.#patience = patience;
    this.#connections = new Connections(access);
    this.#turn = Math.floor(Math.random() * endpoints.length);
  }

  /** Asks any endpoint and returns the whole answer. */
  ask(path: string, body: object, asked: Asked = {}): Promise<Fields> {
    const { within = Infinity, signal } = asked;
    const answer = Math.min(this.#patience.answer, within / this.#endpoints.length);
    const whole = Math.min(this.#patience.whole, within);
    const patience = { ...this.#patience, answer, whole };
    return this.#anywhere(asked, (endpoint) =>
      this.#askAt(endpoint, path, body, { signal, patience }),
    );
  }

  /** Asks this endpoint, which has a watch of ours. */
  askAt(endpoint: URL, path: string, body: object, signal: AbortSignal): Promise<Fields> {
    const how = { signal, patience: this.#patience };
    return this.#once({ signal }, endpoint, () => this.#askAt(endpoint, path, body, how));
  }

  /** Begins an answer without an end, at any endpoint. */
  follow(path: string, body: object, signal: AbortSignal): Promise<Following> {
    const how = { signal, patience: this.#patience };
    return this.#anywhere({ signal }, (endpoint) =>
      this.#authorized(endpoint, async (token) => {
        const url = new URL(path, endpoint);
        const following = await follow(this.#connections, url, body, { ...how, token });
        return { ...following, endpoint };
      }),
    );
  }

  /** This endpoint lost a watch, so another is asked next. */
  avoid(endpoint: URL): void {
    if (this.#endpoint === endpoint) this.#turn++;
  }

  close(): void {
    this.#isClosed = true;
    this.#connections.close();
  }

  get #endpoint(): URL {
    const endpoint = this.#endpoints[this.#turn % this.#endpoints.length];
    if (!endpoint) throw new RangeError('no endpoint');
    return endpoint;
  }

  async #anywhere<T>(asked: Asked, attempt: (endpoint: URL) => Promise<T>): Promise<T> {
    const faults: string[] = [];
    while (faults.length < this.#endpoints.length) {
      const endpoint = this.#endpoint;
      try {
        return await this.#once(asked, endpoint, () => attempt(endpoint));
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        this.avoid(endpoint);
        faults.push(error.message);
      }
    }
    const all = this.#endpoints.map(({ origin }) => origin).join(',');
    throw new Failure('no answer from etcd', {
      cause: faults.join('; '),
      next: `etcdctl --endpoints=${all} endpoint health`,
    });
  }

  /** Makes one attempt, or two if the first took a connection that had ended meanwhile. */
  async #once<T>(
    { signal, isWrite = false }: Asked,
    endpoint: URL,
    attempt: () => Promise<T>,
  ): Promise<T> {
    for (let again = false; ; again = true) {
      signal?.throwIfAborted();
      if (this.#isClosed) throw new Failure('this store was closed');
      try {
        return await attempt();
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof Unanswered)) throw error;
        const why = `${endpoint.origin}: ${error.message}`;
        if (isWrite && error.mayBeDone) {
          this.avoid(endpoint);
          throw new MaybeWritten('nobody knows whether etcd took a write', {
            cause: why,
          });
        }
        if (!error.isStale || again) throw new NoAnswer(why);
      }
    }
  }

  #askAt(endpoint: URL, path: string, body: object, how: How): Promise<Fields> {
    return this.#authorized(endpoint, (token) =>
      fetch(this.#connections, new URL(path, endpoint), body, { ...how, token }),
    );
  }

  /** Attempts it with a token if one is wanted, and once more with a new one. */
  async #authorized<T>(
    endpoint: URL,
    attempt: (token: string | undefined) => Promise<T>,
  ): Promise<T> {
    const token = this.#tokenFrom(endpoint);
    try {
      return await attempt(await token);
    } catch (error) {
      if (!token || !(error instanceof Refused) || !error.isOfToken) throw error;
    }
    // Another request may have asked for a new one meanwhile.
    if (this.#token === token) this.#token = undefined;
    return await attempt(await this.#tokenFrom(endpoint));
  }

  #tokenFrom(endpoint: URL): Promise<string> | undefined {
    const { user, passwordFile, tokenFile } = this.#access;
    if (this.#token) return this.#token;
    let asked: Promise<string>;
    if (tokenFile !== undefined) {
      asked = Promise.resolve(tokenFile).then((path) => readSecret(path, 'tokenFile'));
    } else if (user !== undefined && passwordFile !== undefined) {
      asked = this.#logIn(endpoint, user, passwordFile);
    } else return undefined;
    this.#token = asked;
    // Whoever waits for it is told of its error; the next one tries anew.
    void asked.then(undefined, () => {
      if (this.#token === asked) this.#token = undefined;
    });
    return asked;
  }

  /** etcd hashes a password with care, which takes it a tenth of a second. */
  async #logIn(endpoint: URL, name: string, passwordFile: string): Promise<string> {
    const body = { name, password: readSecret(passwordFile, 'passwordFile') };
    const url = new URL('/v3/auth/authenticate', endpoint);
    const answer = await fetch(this.#connections, url, body, {
      patience: this.#patience,
    });
    const token = text(answer.token);
    // It becomes a header.
    if (!/^[\x21-\x7e]+$/.test(token)) throw notEtcd(200, token);
    return token;
  }
}
