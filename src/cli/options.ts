// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Options that several commands have. */
import { Option } from 'commander';

import type { TableKind } from '../abi/cell.js';
import { TABLES } from '../abi/cell.js';
import type { FillWishes } from '../fill/from-rows.js';
import type { AskedSources } from '../wire/outer-source.js';
import type { Way } from '../wire/way.js';
import type { CliCommand } from './command.js';
import {
  readIdle,
  readMegabytes,
  readSlotCount,
  readSource,
  readWays,
} from './values.js';

const MODES = ['xdpdrv', 'xdpgeneric', 'xdpoffload'];

/** Where one device has programs in several modes. */
export function modeOption(
  description = 'which program, where the device has several',
): Option {
  return new Option('-m, --mode <mode>', description).choices(MODES);
}

/** How to attach, where that is open. */
export function attachModeOption(
  description = 'how to attach; auto tries xdpdrv, then xdpgeneric',
): Option {
  return new Option('-m, --mode <mode>', description)
    .choices(['auto', ...MODES])
    .default('auto');
}

export function jsonOption(): Option {
  return new Option('--json', 'print the result as JSON');
}

export function objectOption(usual: string): Option {
  return new Option('--obj <file>', `the object to load (default: ${usual})`);
}

export function flowsOption(usual: string): Option {
  return new Option(
    '--flows <megabytes>',
    'memory for connections of hot slots, a power of two; 8 hold a million ' +
      `(default: ${usual})`,
  ).argParser(readMegabytes);
}

/** What to fill from before attaching. */
export function loadFileOption(): Option {
  return new Option(
    '-f, --file <file...>',
    'fill from this file before attaching: see l4lb-map',
  );
}

export function configOption(description: string): Option {
  return new Option('-c, --config <file>', description);
}

export function idleOption(description: string): Option {
  return new Option('--idle <seconds>', description).argParser(readIdle);
}

export function waitOption(): Option {
  return new Option('--wait', 'stay until no slot is hot');
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
}

/** Flags in the words of a fill. */
export function fillWishes(flags: FillFlags): FillWishes {
  const { source, vip: ways, takeSsh, slots, table, idle, echo } = flags;
  return { source, ways, takeSsh, slots, table, idle, echo };
}

export function addFillOptions(command: CliCommand): CliCommand {
  return command
    .option(
      '-s, --source <address...>',
      'source of the outer header, one for each family of destinations; 10.7.0.0/16 spreads ' +
        "connections over all of it; own: the device's own address; kept until told otherwise " +
        '(default of a new service: own)',
      readSource,
    )
    .option(
      '--vip <way...>',
      'a way into the service: ADDR[:PORT][/PROTO], as 10.0.0.4:80/tcp or [2001:db8::4]:80/tcp; ' +
        'without port all ports, ' +
        'without protocol tcp and udp; any for all addresses; may be given often, and names all ways ' +
        '(default: the service that is there, or else everything)',
      readWays,
    )
    .option(
      '--take-ssh',
      'a service on all ports takes ssh too, and keeps doing so until told otherwise',
    )
    .option('--no-take-ssh', 'it leaves ssh to the host (default of a new service)')
    .option(
      '--slots <number>',
      'slots of a new service, a power of two (default: 65536, or all there are)',
      readSlotCount,
    )
    .addOption(
      new Option(
        '--table <kind>',
        'consistent: the same on every balancer with the same destinations; minimal: a change moves ' +
          'the fewest slots that perfect balance allows, but two balancers may differ, and one that ' +
          'takes over breaks connections; kept until told otherwise (default of a new service: consistent)',
      ).choices(TABLES),
    )
    .option(
      '--echo',
      "the program answers ICMP echo to a service's address itself (default of new tables)",
    )
    .option('--no-echo', 'it leaves that to the host, until told otherwise');
}
