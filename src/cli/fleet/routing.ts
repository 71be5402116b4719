// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb fleet bird, frr and router: prints what routing daemons need to know of a fleet. */
import { addressesOf } from '../../config/via.js';
import { living, named } from '../../fleet/agreement/keys.js';
import { parseCommon, parseNode } from '../../fleet/agreement/records.js';
import { joinConfig } from '../../fleet/agreement/wanted.js';
import { birdOfBalancer } from '../../fleet/announce/bird.js';
import { frrOfRouter } from '../../fleet/announce/frr.js';
import { birdOfRouter } from '../../fleet/announce/router.js';
import { noFleet, notAlive } from '../../fleet/operate/change.js';
import { run } from '../../system/run.js';
import { ownNetworks } from '../../system/ip/own.js';
import { print } from '../../system/output.js';
import { Fault, tryParse } from '../../text/fault.js';
import { Failure, UsageFailure } from '../../text/failure.js';
import type { Entry } from '../../fleet/store/store.js';
import type { FleetFlags } from './store.js';
import { openFleet } from './store.js';

/** Link-local addresses lead nowhere from another link. */
const isRoutable = (address: string): boolean => !/^fe[89ab]/i.test(address);

/** With a name it is about that node alone, as the store has it. */
export async function printRouting(
  flags: FleetFlags,
  word: string,
  name: string,
): Promise<void> {
  const { as, router: peers = [] } = flags;
  if (as === undefined || peers.length === 0) {
    throw new UsageFailure(`${word} needs to know who speaks BGP`, {
      next:
        word === 'bird'
          ? 'add --as OWN --router ADDRESS=AS, such as --as 65100 --router 10.1.1.1=65000'
          : "add --as OWN --router =AS, the balancers' AS, such as --as 65000 --router =65100",
    });
  }
  if (word === 'bird' && flags.interface === undefined) {
    throw new UsageFailure('bird on which device?', {
      next: 'add -i DEVICE, such as eth0',
    });
  }
  const { store, keys } = openFleet(flags);
  const { entries } = await store.read(keys.root);
  store.close();
  if (!entries.some(({ key }) => key === keys.common)) throw noFleet(store);
  const prefixes = prefixesIn(entries, keys);
  const text = tryParse(() => {
    if (word === 'bird' && name === '') return () => birdHere(flags, prefixes);
    const alive = living(entries, keys.node());
    const nodes = alive.filter(([own]) => name === '' || own === name);
    if (name !== '' && nodes.length === 0) {
      throw notAlive(
        name,
        alive.map(([own]) => own),
      );
    }
    const [only] = nodes;
    if (word === 'bird' && only) {
      const made = birdAt(flags, prefixes, parseNode(only[1].value).addresses);
      return () => Promise.resolve(made);
    }
    const balancers = nodes.flatMap(([name, { value }]) => {
      const [address] = parseNode(value).addresses.filter(isRoutable);
      const [peer] = peers;
      return address === undefined || !peer ? [] : [{ name, address, as: peer.as }];
    });
    if (balancers.length === 0) {
      throw new Failure('no node of the fleet is alive', {
        cause: 'the router learns the addresses of the balancers from those that run',
        next: 'start l4lb fleet run on each balancer, and run this again',
      });
    }
    const routerId = flags.routerId ?? '192.0.2.1';
    const options = { routerId, as, balancers, prefixes };
    const made =
      word === 'frr'
        ? frrOfRouter(options)
        : birdOfRouter({ ...options, devices: ['*'] });
    return () => Promise.resolve(made);
  });
  if (text instanceof Fault) throw unprintable(text, word);
  const made = await text();
  print(made.trimEnd());
}

function prefixesIn(
  entries: readonly Entry[],
  keys: ReturnType<typeof openFleet>['keys'],
): string[] {
  const common = parseCommon(entries.find(({ key }) => key === keys.common)?.value ?? '');
  const services = new Map(
    named(entries, keys.wanted()).map(([name, { value }]) => [name, value]),
  );
  const config = joinConfig({ common: common.toml, services });
  return [...new Set(config.services.flatMap(addressesOf))];
}

async function birdHere(flags: FleetFlags, prefixes: readonly string[]): Promise<string> {
  const { interface: device = '' } = flags;
  const networks = (await ownNetworks(run)).get(device);
  if (!networks) {
    throw new Failure(`there is no device ${device}`, { next: 'ip link' });
  }
  const own = networks.map(({ address }) => address);
  return birdAt(flags, prefixes, own);
}

function birdAt(
  { interface: device = '', as = 0, router = [], routerId, table }: FleetFlags,
  prefixes: readonly string[],
  addresses: readonly string[],
): string {
  const own = addresses.filter(isRoutable);
  const ipv4 = own.find((address) => !address.includes(':'));
  const ipv6 = own.find((address) => address.includes(':'));
  const id = routerId ?? ipv4;
  if (id === undefined) {
    throw new Failure(`${device} has no IPv4 address to be the router id`, {
      next: 'add --router-id ADDRESS',
    });
  }
  const made = tryParse(() =>
    birdOfBalancer({
      ...{ routerId: id, device, addresses: { ipv4, ipv6 }, as },
      ...{ routers: router, prefixes, table },
    }),
  );
  if (made instanceof Fault) throw unprintable(made, 'bird');
  return made;
}

function unprintable({ message }: Fault, word: string): Failure {
  return new Failure(`no configuration for ${word} can be printed`, {
    cause: message,
    next: 'l4lb fleet --help lists the options',
  });
}
