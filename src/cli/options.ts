// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Options that several commands have. */
import { Option } from 'commander';

import type { Remember, TableKind } from '../abi/cell.js';
import { REMEMBERS, TABLES } from '../abi/cell.js';
import type { Answering, Forward } from '../wire/forward.js';
import { ANSWERING, FORWARDS } from '../wire/forward.js';
import type { FillWishes } from '../fill/from-rows.js';
import type { Names } from '../wire/names.js';
import type { SlotSeed } from '../wire/slot-seed.js';
import type { AskedSources } from '../wire/outer-source.js';
import type { Way } from '../wire/way.js';
import type { CliCommand } from './command.js';
import {
  readIdle,
  readBlocks,
  readMegabytes,
  readNames,
  readSlotSeed,
  readSlotCount,
  readSource,
  readWays,
} from './values.js';

const ATTACHED = ['xdpdrv', 'xdpgeneric', 'xdpoffload'];
const MODES = [...ATTACHED, 'dpdk'];

/** Chooses the program on a device that has programs in several modes. */
export function modeOption(
  description = 'the program in this mode, if the device has several',
): Option {
  return new Option('-m, --mode <mode>', description).choices(MODES);
}

/** Chooses how to attach. */
export function attachModeOption(
  description = 'how to attach; auto tries xdpdrv, then xdpgeneric',
): Option {
  return new Option('-m, --mode <mode>', description)
    .choices(['auto', ...ATTACHED])
    .default('auto');
}

export function jsonOption(): Option {
  return new Option('--json', 'print the result as JSON');
}

export function objectOption(usual: string, example = 'l4lb_xdp.o'): Option {
  return new Option(
    '--obj <file>',
    `the object file to load, such as ${example} (default: ${usual})`,
  );
}

export function flowsOption(usual: string): Option {
  return new Option(
    '--flows <megabytes>',
    'MiB of memory for connections of hot slots, a power of two, such as 64; 8 MiB hold ' +
      `a million connections (default: ${usual})`,
  ).argParser(readMegabytes);
}

export function blocksOption(usual: string): Option {
  return new Option(
    '--blocks <number>',
    `addresses that full-nat can send from, each with 32,768 ports and 2.25 MiB of memory (default: ${usual})`,
  ).argParser(readBlocks);
}

export function unlessLoadedOption(): Option {
  return new Option(
    '--unless-loaded',
    'do nothing if the program is there already, as a service that starts again needs it',
  ).conflicts(['off', 'status', 'replace', 'share', 'checkOffload', 'file', 'siblings']);
}

/** Names the file to fill from before attaching. */
export function loadFileOption(): Option {
  return new Option(
    '-f, --file <file...>',
    'fill from this file before attaching, such as 32_destinations.csv: see l4lb-map',
  );
}

/** Names the other destinations, of which the decapsulation program has to know. */
export function siblingsOption(): Option {
  return new Option(
    '--siblings <file...>',
    "with --decap and --names: the destinations that can be named, this host among them: the balancers' files, rows as l4lb-map takes them or a config file that ends in .toml",
  );
}

export function configOption(description: string): Option {
  return new Option('-c, --config <file>', description);
}

export function idleOption(description: string): Option {
  return new Option('--idle <seconds>', description).argParser(readIdle);
}

export function waitOption(): Option {
  return new Option('--wait', 'wait until no slot is hot');
}

export function noSettleOption(): Option {
  const option = new Option(
    '--no-settle',
    'turn no slot cold in passing, not even where nothing needs what it remembers',
  );
  // To commander (14) it would be --settle, which no fill goes with, said the other way.
  option.negate = false;
  return option;
}

/** Names what destinations printed; `when` says with what the option goes. */
export function usedOption(when: string): Option {
  return new Option(
    '--used <file...>',
    `${when}ask the destinations of slots that name them: files of what l4lb-load --decap --status --json printed at each; slots that a destination still needs stay hot, those that none has needed go cold at once, and where one of its destinations is missing the idle time decides; - reads stdin`,
  );
}

export function quietOption(): Option {
  return new Option(
    '--quiet <seconds>',
    'with --used: for how long no destination may have needed a slot (default: 300, or the idle time if that is less)',
  ).argParser(readIdle);
}

/** Options of a fill, which l4lb-map and l4lb-load -f share. */
export interface FillFlags {
  file?: string[];
  source?: AskedSources;
  vip?: Way[];
  takeSsh?: boolean;
  slots?: number;
  table?: TableKind;
  idle?: number;
  echo?: boolean;
  remember?: Remember;
  forward?: Forward;
  answers?: Answering;
  names?: Names;
  seed?: SlotSeed;
  previous?: string[];
}

/** Turns flags into the wishes of a fill. */
export function fillWishes(flags: FillFlags): FillWishes {
  const { vip: ways, source, takeSsh, slots, table, idle, echo, ...rest } = flags;
  const { remember, forward, answers, names, seed, previous } = rest;
  return {
    source,
    ways,
    takeSsh,
    slots,
    table,
    idle,
    echo,
    remember,
    forward,
    answers,
    names,
    seed,
    previous,
  };
}

export function addFillOptions(command: CliCommand): CliCommand {
  return command
    .option(
      '-s, --source <address...>',
      "source of the outer header, such as 10.0.0.4, one for each address family of destinations; a prefix such as 10.7.0.0/16 spreads connections over all its addresses; own: the device's own address; with --forward full-nat: the addresses that connections are sent on from, each with 32,768 ports; kept until changed (default for a new service: own, but full-nat needs addresses)",
      readSource,
    )
    .option(
      '--vip <way...>',
      'a way into the service: ADDR[:PORT][/PROTO], such as 10.0.0.4:80/tcp or [2001:db8::4]:80/tcp; without a port, all ports; without a protocol, tcp and udp; any: all addresses; can be repeated, and must name all ways of the service (default: the service that exists, otherwise everything)',
      readWays,
    )
    .option('--take-ssh', 'let a service on all ports take ssh too; kept until changed')
    .option(
      '--no-take-ssh',
      'leave ssh to the host; kept until changed (default for a new service)',
    )
    .option(
      '--slots <number>',
      'slots of a new service, a power of two, such as 4096 (default: 65536, or as many as there are)',
      readSlotCount,
    )
    .addOption(
      new Option(
        '--table <kind>',
        'consistent: every balancer with the same destinations has the same table; minimal: a change moves the fewest slots that perfect balance allows, but two balancers may differ, so a takeover breaks connections; kept until changed (default for a new service: consistent)',
      ).choices(TABLES),
    )
    .addOption(
      new Option(
        '--remember <who>',
        'who knows the connections of a slot that moved: the balancer, by records; or the destinations, by their sockets, which then run the decapsulation program with --names; kept until changed (default for a new service: balancer)',
      ).choices(REMEMBERS),
    )
    .addOption(
      new Option(
        '--forward <way>',
        "how packets reach the destinations: through a tunnel, behind an outer header; or on the same link, by their MAC addresses only: they then have the address of the service on their loopback device, and no router is on the way; by nat: with the address of the destination, and the port that its row has, in place of those of the service; answers then come back through the balancer; or by full-nat: with an address of --source in place of the client's, too, so that destinations need nothing but a way back to that; kept until changed (default for a new service: tunnel)",
      ).choices(FORWARDS),
    )
    .addOption(
      new Option(
        '--answers <who>',
        'who sends the answers that come back through this host on to clients: the kernel, by its routes; or xdp, by them where it can, which costs less; kept until changed; a config file has answers in its place (default for new tables: kernel)',
      ).choices(ANSWERING),
    )
    .option(
      '--names <prefix...>',
      'with --remember destinations: outer sources that name previous destinations, such as 10.7.0.0/16, one prefix for each address family; kept until changed; a config file has names in its place',
      readNames,
    )
    .option(
      '--seed <text>',
      'seed of the hash that chooses slots: a passphrase that all balancers of a fleet share, or random, which is drawn once and kept; cannot change while there are services; a config file has seed in its place (default for new tables: one that is public)',
      readSlotSeed,
    )
    .option(
      '--previous <file...>',
      'an earlier file, or several, the oldest first: slots remember just what they would if the service had been filled from them and then from this one, as another balancer was that this one is to agree with',
    )
    .option(
      '--echo',
      'let the program itself answer ICMP echo to the address of a service; kept until changed (default for new tables)',
    )
    .option('--no-echo', 'leave ICMP echo to the host; kept until changed');
}
