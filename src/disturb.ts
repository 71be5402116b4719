// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-disturb: measures what changes of the destinations do to connections. */
import { resolve } from 'node:path';
import { Option } from 'commander';

import { REMEMBERS } from './abi/cell.js';
import { FORWARDS } from './wire/forward.js';
import { context } from './program/tools.js';
import { print, printJson } from './system/output.js';
import type { CliCommand } from './cli/command.js';
import { newCommand } from './cli/command.js';
import type { Schedule, Wish } from './disturb/changes.js';
import {
  CHANGE_FORMS,
  DEFAULT_CHANGES,
  MAX_DESTINATIONS,
  parseChange,
} from './disturb/changes.js';
import { USUAL_BALANCERS, routedRuns } from './disturb/ecmp/options.js';
import type { Flags } from './disturb/options.js';
import { scheduleOf } from './disturb/options.js';
import { MOST_BALANCERS } from './disturb/ecmp/plan.js';
import { FAMILIES, parseSources } from './disturb/ecmp/sources.js';
import { interruptible, perform } from './disturb/perform.js';
import type { Result } from './disturb/report.js';
import { allAvoidable, describeResults, resultJson } from './disturb/report.js';
import { checkFolder, writePicture } from './disturb/picture.js';
import { drawSvg } from './disturb/svg.js';
import { Failure } from './text/failure.js';
import { many } from './text/format.js';
import { readDuration, readSlotCount, readWhole, reader } from './cli/values.js';

export function disturbCommand(): CliCommand {
  return newCommand(
    'l4lb-disturb',
    'Measure what changes of the destinations do to connections, in a network of namespaces.',
  )
    .option(
      '--connections <number>',
      'TCP connections to hold open, 1 to 10000; each second, one more for every hundred is opened, at least 5',
      readWhole(1, 10_000),
      1000,
    )
    .addOption(
      new Option(
        '--duration <time>',
        'how long to measure once they are open, such as 30s or 2m; the changes are spread evenly',
      )
        .argParser(readDuration(1000))
        .default(30_000, '30s'),
    )
    .option(
      '--change <change...>',
      `changes to make, in this order: ${CHANGE_FORMS} (default: ${DEFAULT_CHANGES.join(', ')})`,
      readChange,
    )
    .option(
      '--destinations <number>',
      `destinations at the start, 1 to ${MAX_DESTINATIONS}; each has weight 100`,
      readWhole(1, MAX_DESTINATIONS),
      10,
    )
    .addOption(
      new Option(
        '--table <kind>',
        'use this table in place of the consistent one: minimal, which l4lb-map has too, or modulo, which the original demo had',
      ).choices(['minimal', 'modulo']),
    )
    .addOption(
      new Option(
        '--remember <who>',
        'who knows the connections of slots that moved, as with l4lb-map: the balancer, or the destinations',
      ).choices(REMEMBERS),
    )
    .addOption(
      new Option(
        '--forward <way>',
        'how packets reach the destinations, as with l4lb-map; without a tunnel they need no decapsulation program, and have none (default: tunnel)',
      ).choices(FORWARDS),
    )
    .option(
      '--flood <pps>',
      'SYNs a second from random sources beside the connections, 1 to 1000000, such as 20000',
      readWhole(1, 1_000_000),
    )
    .addOption(
      new Option(
        '--syncookies <value>',
        "net.ipv4.tcp_syncookies of the destinations: 0, 1 or 2 (default: the kernel's)",
      ).choices(['0', '1', '2']),
    )
    .option(
      '--half-open <number>',
      'connections whose clients keep their ACK back over each change, 1 to 1000',
      readWhole(1, 1000),
    )
    .option(
      '--ecmp',
      'put a router in front of several balancers, each with BIRD; it spreads connections over them by ECMP',
    )
    .option(
      '--balancers <number>',
      `balancers behind the router, 1 to ${MOST_BALANCERS} (default: ${USUAL_BALANCERS})`,
      readWhole(1, MOST_BALANCERS),
    )
    .option(
      '--plain-ecmp',
      'without balancers: the router spreads over the destinations; with --ecmp, a second run beside the first',
    )
    .option(
      '--sources <prefix>',
      'where clients behind the router have their addresses, such as 222.222.222.0/24 or 5000::/112 (default: one client)',
      reader(parseSources),
    )
    .addOption(
      new Option(
        '--family <number>',
        'of the service and its clients behind a router, 4 or 6 (default: that of --sources, or 4)',
      ).choices(FAMILIES),
    )
    .option(
      '--slots <number>',
      'slots of the service, a power of two, such as 4096 (default: as many as l4lb-map gives it)',
      readSlotCount,
    )
    .option(
      '--obj <file>',
      'the object file to load, such as l4lb_xdp.o (default: the host build)',
    )
    .option(
      '--fail-above <number>',
      'exit with 1 if more connections than this are lost that could have been kept, such as 0',
      readWhole(0, 1_000_000),
    )
    .option('--json', 'print the result as JSON')
    .option(
      '--svg <file>',
      'draw active and lost connections over time into this file, such as disturb.svg',
    )
    .explainedBy({
      notes: `A connection is lost when it is reset or closed, or gets no echo for 3 seconds. One second
later its client opens another. The loss was unavoidable if the destination had been
removed; every other loss was avoidable. A line each second goes to stderr, the result to
stdout.`,
      examples: [
        'l4lb-disturb',
        "l4lb-disturb --change 'remove 1' 'add 1' --svg disturb.svg",
        'l4lb-disturb --connections 100 --duration 6s --change replace --fail-above 0',
        "l4lb-disturb --ecmp --plain-ecmp --sources 222.222.222.0/24 --change 'remove 1' 'add 1'",
        "l4lb-disturb --ecmp --remember destinations --change 'drain 1' 'kill balancer'",
        "l4lb-disturb --remember destinations --flood 20000 --half-open 100 --change 'drain 1' takeover",
      ],
    })
    .action(disturb);
}

const readChange = reader((text, before: Wish[] = []) => [...before, parseChange(text)]);

/** With --ecmp and --plain-ecmp there are two runs; the first is the one that is judged. */
async function runAll(
  flags: Flags,
  schedule: Schedule,
  stop: AbortSignal,
): Promise<{ result: Result; plain: Result | undefined }> {
  const [routed, second] = routedRuns(flags);
  const result = await perform(flags, schedule, stop, routed);
  const plain = second && (await perform(flags, schedule, stop, second));
  return { result, plain };
}

async function disturb(flags: Flags): Promise<void> {
  const schedule = scheduleOf(flags);
  context(); // it needs root
  const svg = flags.svg === undefined ? undefined : resolve(flags.svg);
  if (svg !== undefined) checkFolder(svg);
  const { result, plain } = await interruptible((stop) => runAll(flags, schedule, stop));
  if (svg !== undefined) writePicture(svg, drawSvg(result, plain));
  if (flags.json) printJson(resultJson(result, plain));
  else describeResults(result, plain).forEach(print);
  const avoidable = allAvoidable(result);
  if (flags.failAbove !== undefined && avoidable > flags.failAbove) {
    throw new Failure(
      `${many(avoidable, 'avoidable loss')}, and --fail-above is ${flags.failAbove}`,
    );
  }
}
