// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the words of l4lb fleet have in common: the store, and how it is named. */
import type { Listen } from '../../config/daemon.js';
import { readListen } from '../../config/daemon.js';
import { Keys } from '../../fleet/agreement/keys.js';
import type { Peer } from '../../fleet/announce/bird.js';
import { openStore } from '../../fleet/store/open.js';
import type { Store } from '../../fleet/store/store.js';
import { warn } from '../../system/output.js';
import { run } from '../../system/run.js';
import { Fault } from '../../text/fault.js';
import type { Mode } from '../../text/mode.js';
import { reader } from '../values.js';

export interface FleetFlags {
  store: string;
  fleet: string;
  storeCa?: string;
  storeCert?: string;
  storeKey?: string;
  storeUser?: string;
  storePasswordFile?: string;
  storeTokenFile?: string;
  interface?: string;
  mode?: Mode;
  node?: string;
  table: number;
  announce: boolean;
  listen?: Listen;
  tokenFile?: string;
  state: string;
  config?: string;
  dryRun?: boolean;
  now?: boolean;
  yes?: boolean;
  as?: number;
  router?: Peer[];
  routerId?: string;
  json?: boolean;
}

export function openFleet(flags: FleetFlags): { store: Store; keys: Keys } {
  const store = openStore(flags.store, {
    run,
    ca: flags.storeCa,
    certificate: flags.storeCert,
    key: flags.storeKey,
    user: flags.storeUser,
    passwordFile: flags.storePasswordFile,
    tokenFile: flags.storeTokenFile,
  });
  store.warnings.forEach(warn);
  return { store, keys: new Keys(flags.fleet) };
}

export const readListenOption = reader((text): Listen => readListen(text));

/** Reads ADDRESS=AS, one after the other; an address need not be there. */
export const readRouter = reader((text, before: Peer[] = []): Peer[] => {
  const [, address = '', as] = /^(.*)=(\d{1,10})$/.exec(text) ?? [];
  if (as === undefined)
    throw new Fault(`"${text}" is not an address with an AS, such as 10.1.1.1=65000`);
  return [...before, { address, as: Number(as) }];
});
