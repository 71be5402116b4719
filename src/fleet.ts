// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb fleet: several balancers as one, which agree through a store. */
import { Argument, Option } from 'commander';

import type { CliCommand } from './cli/command.js';
import { newCommand } from './cli/command.js';
import { applyToFleet } from './cli/fleet/apply.js';
import { describeOverview } from './cli/fleet/overview.js';
import { printRouting } from './cli/fleet/routing.js';
import { runNode } from './cli/fleet/run.js';
import type { FleetFlags } from './cli/fleet/store.js';
import { openFleet, readListenOption, readRouter } from './cli/fleet/store.js';
import { configOption, jsonOption, modeOption } from './cli/options.js';
import { readDevice, readWhole, reader } from './cli/values.js';
import { checkName } from './fleet/agreement/keys.js';
import { ANNOUNCE_TABLE, checkAnnounceTable } from './fleet/announce/routes.js';
import { drainNode, resetFleet, settleNow } from './fleet/operate/change.js';
import { overviewOf } from './fleet/operate/overview.js';
import { print, printJson } from './system/output.js';
import { Fault } from './text/fault.js';
import { Failure, UsageFailure } from './text/failure.js';
import { many } from './text/format.js';

const NOTES = `run            balance as a node of the fleet, with -i DEVICE, until it is told to end
apply          put a config file into the store, with -c FILE: the leader decides by it
status         nodes, who leads, documents and their sums
drain NODE     routers shall prefer the other nodes
undrain NODE   takes that back
settle --now   let no slot of any node remember what it was before
reset --yes    remove the fleet from the store; nodes that run keep what they have
bird [NODE]    print the configuration of BIRD beside this balancer or that node, with -i DEVICE
frr, router [NODE]  print the router's side, for FRR or for BIRD, with all nodes or that one
A destination is drained by l4lb ctl on any node. Without the store all stays as it is.`;

interface Word {
  /** How many words follow it, and whether one may be left out. */
  names: number;
  isOptional?: boolean;
  /** Its own options, besides those that say which fleet is meant. */
  options?: readonly (keyof FleetFlags)[];
  run: (flags: FleetFlags, name: string) => Promise<void>;
}

const ROUTER_OPTIONS = ['as', 'router', 'routerId'] as const;

const WORDS = new Map<string, Word>([
  [
    'run',
    {
      names: 0,
      options: [
        'interface',
        'mode',
        'node',
        'table',
        'announce',
        'listen',
        'tokenFile',
        'state',
      ],
      run: runNode,
    },
  ],
  ['apply', { names: 0, options: ['config', 'dryRun', 'json'], run: applyToFleet }],
  ['status', { names: 0, options: ['json'], run: showStatus }],
  ['drain', { names: 1, run: (flags, node) => drain(flags, node, true) }],
  ['undrain', { names: 1, run: (flags, node) => drain(flags, node, false) }],
  ['settle', { names: 0, options: ['now'], run: settle }],
  ['reset', { names: 0, options: ['yes'], run: reset }],
  [
    'bird',
    {
      names: 1,
      isOptional: true,
      options: ['interface', 'table', ...ROUTER_OPTIONS],
      run: (flags, node) => printRouting(flags, 'bird', node),
    },
  ],
  ...['frr', 'router'].map((word): [string, Word] => [
    word,
    {
      names: 1,
      isOptional: true,
      options: ROUTER_OPTIONS,
      run: (flags, node) => printRouting(flags, word, node),
    },
  ]),
]);

/** Options that only some words have. */
const OWN_OPTIONS: ReadonlySet<string> = new Set(
  [...WORDS.values()].flatMap(({ options = [] }) => options),
);

export function fleetCommand(): CliCommand {
  return newCommand('fleet', 'Balance with several machines as one.')
    .addArgument(new Argument('<command...>', 'what to do; see below'))
    .addOption(
      new Option(
        '--store <store>',
        'where the fleet keeps what it agrees on: etcd:https://HOST:2379[,https://HOST:2379...], or file:DIR on one host',
      ).makeOptionMandatory(),
    )
    .option(
      '--fleet <name>',
      'of the fleet, since a store can hold several',
      reader((text) => checkName(text, 'a fleet')),
      'main',
    )
    .option('--store-ca <file>', 'certificates of those who may have signed that of etcd')
    .option('--store-cert <file>', 'the certificate to show etcd')
    .option('--store-key <file>', 'its key')
    .option('--store-user <name>', 'a user of etcd')
    .option('--store-password-file <file>', 'has the password of the user')
    .option('--store-token-file <file>', 'has a token for etcd')
    .option(
      '-i, --interface <device>',
      'run, bird: the device the program is on, such as eth0',
      readDevice,
    )
    .addOption(modeOption())
    .option(
      '--node <name>',
      "run: of this node in its fleet (default: the host's name)",
      reader((text) => checkName(text, 'a node')),
    )
    .option(
      '--table <number>',
      'run, bird: the routing table that tells BIRD what to announce',
      reader((text) => checkAnnounceTable(readWhole(1, 0xffff_ffff)(text))),
      ANNOUNCE_TABLE,
    )
    .option('--no-announce', 'run: announce nothing; something else brings the packets')
    .option(
      '--listen <address:port>',
      'run: tell by HTTP what this node knows, to whoever asks there, such as 127.0.0.1:9109',
      readListenOption,
    )
    .option('--token-file <file>', 'run: has the token of those who may act by --listen')
    .addOption(
      new Option(
        '--state <folder>',
        'run: where the last good documents are kept, for when the store is away',
      ).default('/var/lib/l4lb'),
    )
    .addOption(
      configOption('apply: what is wanted of the fleet, as in l4lb.example.toml'),
    )
    .option('--dry-run', 'apply: print what would change, and write nothing')
    .option('--now', 'settle: at once, whoever needs it still')
    .option('--yes', 'reset: this is meant')
    .option(
      '--as <number>',
      'bird: the AS of the balancers; frr, router: that of the router',
      readWhole(1, 4_294_967_295),
    )
    .option(
      '--router <address=as...>',
      'bird: routers and their AS, such as 10.1.1.1=65000; frr, router: the AS of the balancers, as in =65100',
      readRouter,
    )
    .option(
      '--router-id <address>',
      'bird, frr, router: an IPv4 address (default: an own one)',
    )
    .addOption(jsonOption())
    .asService()
    .explainedBy({
      notes: NOTES,
      examples: [
        'l4lb fleet apply --store etcd:https://etcd1:2379 -c l4lb.toml',
        'l4lb fleet run --store etcd:https://etcd1:2379 -i eth0',
        'l4lb fleet status --store etcd:https://etcd1:2379',
        'l4lb fleet drain lb2 --store etcd:https://etcd1:2379',
      ],
    })
    .action(run);
}

async function run(
  words: string[],
  flags: FleetFlags,
  command: CliCommand,
): Promise<void> {
  const [word = '', ...names] = words;
  const what = WORDS.get(word);
  if (!what) {
    throw new UsageFailure(`fleet cannot ${word}`, {
      next: `one of: ${[...WORDS.keys()].join(', ')}`,
    });
  }
  const node = what.isOptional ? ' [NODE]' : ' NODE';
  const form = `l4lb fleet ${word}${what.names > 0 ? node : ''}`;
  const least = what.isOptional ? 0 : what.names;
  if (names.length < least || names.length > what.names) {
    throw new UsageFailure(
      names.length < what.names ? `${word} of what?` : `too many words for ${word}`,
      { next: form },
    );
  }
  refuseOthers(command, form, what.options ?? []);
  const [name = ''] = names;
  try {
    await what.run(flags, name);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new Failure(`what ${flags.store} holds of ${flags.fleet} cannot be used`, {
      cause: error.message,
      next: 'l4lb fleet status shows what is wrong; a node that leads puts it right, else l4lb fleet reset --yes and apply',
    });
  }
}

/** An option that a word does not have was meant for something: it must not be lost. */
function refuseOthers(command: CliCommand, form: string, own: readonly string[]): void {
  const ours = command.options.filter((option) =>
    OWN_OPTIONS.has(option.attributeName()),
  );
  const names = (isOwn: boolean): string[] =>
    ours
      .filter((option) => own.includes(option.attributeName()) === isOwn)
      .filter(
        (option) =>
          isOwn || command.getOptionValueSource(option.attributeName()) === 'cli',
      )
      .map(({ long, short }) => long ?? short ?? '');
  const [wrong] = names(false);
  if (wrong === undefined) return;
  const right = names(true);
  throw new UsageFailure(`${wrong} does not go with ${form}`, {
    next:
      right.length === 0
        ? `${form}, without it`
        : `leave it out; of its own it has ${right.join(', ')}`,
  });
}

async function showStatus(flags: FleetFlags): Promise<void> {
  const { store, keys } = openFleet(flags);
  const overview = await overviewOf(store, keys, flags.fleet);
  store.close();
  if (flags.json) printJson(overview);
  else describeOverview(overview).forEach(print);
  const [fault, ...more] = overview.faults;
  if (fault === undefined) return;
  throw new Failure(
    more.length === 0 ? fault : `${fault}, and ${many(more.length, 'fault')} more`,
    { next: 'look at the journals of the nodes: l4lb events -i DEVICE' },
  );
}

async function drain(flags: FleetFlags, node: string, isDrained: boolean): Promise<void> {
  const { store, keys } = openFleet(flags);
  const isChanged = await drainNode(store, keys, node, isDrained);
  store.close();
  const is = isDrained ? 'drained' : 'not drained';
  print(isChanged ? `${node} is ${is} from now on` : `${node} is ${is} already`);
}

async function settle(flags: FleetFlags): Promise<void> {
  if (!flags.now) {
    throw new UsageFailure('slots settle by themselves when no node needs them', {
      cause: 'to settle them before breaks connections that have moved',
      next: 'l4lb fleet settle --now, if that is meant; l4lb fleet status shows who needs them',
    });
  }
  const { store, keys } = openFleet(flags);
  const changed = await settleNow(store, keys);
  store.close();
  print(
    changed.length === 0
      ? 'no service remembers anything'
      : `from now on nothing is remembered of: ${changed.join(', ')}`,
  );
}

async function reset(flags: FleetFlags): Promise<void> {
  if (!flags.yes) {
    throw new UsageFailure('reset removes all that the fleet agrees on', {
      cause: 'what is wanted, what hands decided, and the seed',
      next: 'l4lb fleet reset --yes, if that is meant',
    });
  }
  const { store, keys } = openFleet(flags);
  const count = await resetFleet(store, keys);
  store.close();
  print(`removed ${many(count, 'key')}; nodes that run keep what they have`);
}
