// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Refuses what a service's way to forward cannot do. */
import { CELL_NAMES } from '../abi/cell.js';
import { Failure } from '../text/failure.js';
import { ANY_ADDRESS, formatAddress } from '../wire/address.js';
import { formatEndpoint } from '../wire/endpoint.js';
import { FAMILY_NAMES, familyOf } from '../wire/outer-source.js';
import type { Way } from '../wire/way.js';
import { formatWay } from '../wire/way.js';
import type { Forward } from '../wire/forward.js';
import { forwardIn, answersComeBack } from '../wire/forward.js';
import { checkAnswersReach } from './check-answers.js';
import type { State } from './state.js';
import { ownedBy } from './state.js';
import type { Wanted, WantedDestination } from './steps.js';

export function checkForward(live: State, wanted: Wanted): void {
  const { forward, service } = wanted;
  checkChange(live, wanted);
  if (!answersComeBack(forward)) checkPorts(wanted.destinations);
  checkAnswersReach(live, wanted);
  if (forward !== 'nat' && forward !== 'full-nat') checkAnswering(live.sizes, wanted);
  if (forward === 'tunnel') return;
  if (service.flags & CELL_NAMES) {
    throw new Failure('the destinations cannot remember without a tunnel', {
      cause: 'the outer header of a tunnel names those that a slot had before',
      next: 'let the balancer remember, with --remember balancer, or use --forward tunnel',
    });
  }
  if (forward === 'link') checkLink(wanted.destinations);
  else if (forward === 'nat') checkNat(live.sizes, wanted);
  else checkFullNat(live.sizes, wanted);
}

/** Tunnel and link can follow each other, since a packet arrives as it was sent. */
function checkChange(live: State, { forward, service }: Wanted): void {
  const there = [...ownedBy(live, service.id).values()].filter(
    (one) => one.forward !== 'local',
  );
  if (there.length === 0) return;
  const before = forwardIn(there);
  if (before === forward || (!answersComeBack(before) && !answersComeBack(forward)))
    return;
  throw new Failure(`a service cannot change from ${before} to ${forward}`, {
    cause:
      'its destinations know their connections by other addresses, so all would break',
    next: 'take the service out and put it in again, which breaks them too: with two config files, or l4lb-load --off',
  });
}

/** The other ways leave the packet as it is. */
function checkPorts(destinations: readonly WantedDestination[]): void {
  const first = destinations.find(
    ({ port = 0, forward }) => port !== 0 && forward !== 'local',
  );
  if (!first) return;
  throw new Failure(
    `${formatEndpoint(first)} has a port, and its packets would keep theirs`,
    {
      cause: 'behind a tunnel and by the link a packet stays as it is',
      next: `write ${formatAddress(first.address)}, or use --forward nat or full-nat`,
    },
  );
}

function checkAnswering({ canRewrite }: State['sizes'], { answers }: Wanted): void {
  if (answers === 'xdp' && !canRewrite) throw cannotAnswer();
}

export function cannotAnswer(): Failure {
  return new Failure('this program cannot send answers by XDP', {
    cause: 'only the host build can; a card and the portable build cannot',
    next: 'load l4lb_xdp_host.o, or leave answers to the kernel: --answers kernel, or answers = "kernel" in a config file',
  });
}

function checkLink(destinations: readonly WantedDestination[]): void {
  const behind = destinations.filter(({ router }) => router !== undefined);
  if (behind.length === 0) return;
  const list = behind.map(
    (one) => `${formatEndpoint(one)} is reached through ${one.router}`,
  );
  throw new Failure(
    `not all destinations are on the same link, nothing was written\n${list.join('\n')}`,
    {
      cause: 'a router would send packets to the address of the service back to here',
      next: 'use --forward tunnel for this service',
    },
  );
}

/**
 * An answer is turned back by nothing but where it comes from. So a destination has to
 * stand for one address of the service, and one port of it if it has a port of its own.
 */
function checkNat(
  { canRewrite }: State['sizes'],
  { service: { ways }, destinations }: Wanted,
): void {
  if (!canRewrite) throw cannotRewrite('nat');
  checkEverywhere(
    ways,
    'nat',
    'answers get the address of the service, which has to be one',
  );
  for (const one of destinations) {
    if (one.forward !== 'local') checkAnswers(ways, one);
  }
}

export function cannotRewrite(forward: Forward): Failure {
  return new Failure(`this program cannot rewrite packets, as ${forward} does`, {
    cause: 'only the host build can; a card and the portable build cannot',
    next: 'load l4lb_xdp_host.o, or use --forward tunnel or link',
  });
}

function checkEverywhere(ways: readonly Way[], forward: Forward, cause: string): void {
  if (!ways.some(({ address }) => address.equals(ANY_ADDRESS))) return;
  throw new Failure(`a service on any address cannot be forwarded by ${forward}`, {
    cause,
    next: 'name it with --vip, or with address in a config file',
  });
}

function checkFullNat(
  { blocks }: State['sizes'],
  { service: { ways }, destinations }: Wanted,
): void {
  if (blocks === undefined) throw cannotRewrite('full-nat');
  checkEverywhere(
    ways,
    'full-nat',
    'answers come to addresses of its own, which would be the address of the service, too',
  );
  const remote = destinations.filter(({ forward }) => forward !== 'local');
  for (const one of remote) checkFamily(ways, one, 'full-nat');
}

function checkFamily(
  ways: readonly Way[],
  destination: WantedDestination,
  forward: Forward,
): void {
  const family = familyOf(destination.address);
  const other = ways.find(({ address }) => familyOf(address) !== family);
  if (!other) return;
  throw new Failure(
    `${formatEndpoint(destination)} is ${FAMILY_NAMES[family]}, and ${formatWay(other)} is not`,
    {
      cause: `${forward} does not turn packets of one family into those of the other`,
      next: 'make a service for each family, or use --forward tunnel',
    },
  );
}

function checkAnswers(ways: readonly Way[], destination: WantedDestination): void {
  checkFamily(ways, destination, 'nat');
  const [first, ...more] = ways;
  const next = first && more.find(({ address }) => !address.equals(first.address));
  if (first && next) {
    throw new Failure(
      `nat is for one address, and the service has ${formatAddress(first.address)} and ${formatAddress(next.address)}`,
      {
        cause: 'an answer does not tell which of them its client had asked',
        next: 'make a service for each address, with destinations or ports of their own',
      },
    );
  }
  if ((destination.port ?? 0) === 0) return;
  const ports = ways.filter(({ port }) => port === 0 || port !== first?.port);
  if (ports.length === 0) return;
  throw new Failure(
    `${formatEndpoint(destination)} has one port, and the service has several`,
    {
      cause: 'an answer does not tell which of them its client had asked',
      next: `write ${formatAddress(destination.address)}, so that packets keep their port, or make a service for each port`,
    },
  );
}
