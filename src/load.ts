// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-load: attaches the program, replaces it, takes it off, says what is there. */
import { basename } from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';

import type { Mode } from './text/mode.js';
import { MODE_NAMES } from './text/mode.js';
import { context } from './program/tools.js';
import type { Context } from './program/tools.js';
import { addFillOptions, fillWishes, readMegabytes } from './cli/options.js';
import type { FillFlags } from './cli/options.js';
import { print, printJson, warn } from './system/output.js';
import { asMaps, buildOf } from './program/find.js';
import { checkOffload } from './check.js';
import { newCommand } from './cli/command.js';
import { readHardware, tagNote } from './system/ethtool.js';
import { UsageFailure } from './text/failure.js';
import { fillPrepared, prepareFill } from './fill/from-rows.js';
import type { Maps } from './program/find.js';
import { many } from './text/format.js';
import {
  alreadyThere,
  attachNew,
  noFlows,
  programInTheWay,
  takeOff,
} from './load/attach.js';
import type { LoadResult } from './load/attach.js';
import { withLock } from './system/lock.js';
import { withPins } from './program/objects.js';
import { describePlan, planJson, planWarnings } from './fill/text/service.js';
import { replaceProgram } from './load/replace.js';
import { describeRoom, roomFor } from './wire/largest-packet.js';
import { describeStatus, readStatus, statusJson } from './load/status.js';

interface Flags extends FillFlags {
  interface: string;
  mode: Mode | 'auto';
  obj?: string;
  replace?: boolean;
  decap?: boolean;
  flows?: number;
  off?: boolean;
  status?: boolean;
  checkOffload?: string | true;
  json?: boolean;
}

export function loadCommand(): Command {
  const command = newCommand(
    'l4lb-load',
    'Attach the balancer to a device, or take it off.',
  )
    .addOption(
      new Option(
        '-m, --mode <mode>',
        'how to attach; auto tries xdpdrv, then xdpgeneric, and with --off means all',
      )
        .choices(['auto', 'xdpdrv', 'xdpgeneric', 'xdpoffload'])
        .default('auto'),
    )
    .option('-f, --file <file...>', 'fill from this file before attaching: see l4lb-map')
    .option('--obj <file>', 'the object to load (default: the one that suits the mode)')
    .option(
      '--replace',
      'swap the program that is there; loses no packet, keeps the counters',
    )
    .option(
      '--flows <megabytes>',
      'memory for connections of hot slots, a power of two; 8 hold a million ' +
        '(default: 8; with --replace as it is)',
      readMegabytes,
    )
    .option('--decap', "load the destination's end, which takes the outer header off")
    .addOption(
      new Option('--off', 'take the program off').conflicts([
        'file',
        'obj',
        'replace',
        'decap',
      ]),
    )
    .addOption(
      new Option('--status', 'print what is attached').conflicts([
        'off',
        'file',
        'obj',
        'replace',
        'decap',
      ]),
    )
    .addOption(
      new Option(
        '--check-offload [object]',
        'say whether a card would take this object, and why not; needs no card and no -i ' +
          '(default: the one for xdpoffload)',
      ).conflicts(['off', 'status', 'file', 'obj', 'replace', 'decap', 'flows']),
    )
    .option('--json', 'print the result as JSON');
  command.on('option:check-offload', () => {
    for (const option of command.options) option.makeOptionMandatory(false);
  });
  return addFillOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  l4lb-load -i eth0 -f 32_destinations.csv
  l4lb-load -i eth0 -m xdpoffload
  l4lb-load -i eth0 --replace
  l4lb-load -i eth0 --off
  l4lb-load --check-offload l4lb_xdp.o`,
    )
    .action(async (flags: Flags) => {
      checkFlags(flags);
      if (flags.checkOffload !== undefined) {
        checkOffload(flags.checkOffload, flags.json ?? false);
        return;
      }
      const tools = context();
      if (flags.status) await status(tools, flags);
      else if (flags.off) await off(tools, flags);
      else await load(tools, flags);
    });
}

function checkFlags(flags: Flags): void {
  const { source, vip, takeSsh, slots, table, echo } = flags;
  const fills = source ?? vip ?? takeSsh ?? slots ?? table ?? echo;
  if (fills !== undefined && !flags.file) {
    throw new UsageFailure(
      '--source, --vip, --take-ssh, --slots, --table and --echo say how to fill',
      { next: 'add -f FILE, or give them to l4lb-map' },
    );
  }
  if (flags.flows && (flags.decap || flags.mode === 'xdpoffload')) throw noFlows();
  if (flags.decap && flags.file) {
    throw new UsageFailure('--decap has no destinations to fill', {
      next: 'leave -f out',
    });
  }
  if (flags.decap && flags.mode === 'xdpoffload') {
    throw new UsageFailure('--decap is not for a card: it counts per CPU', {
      next: '-m xdpdrv, or -m xdpgeneric',
    });
  }
}

async function load(tools: Context, flags: Flags): Promise<void> {
  const link = await tools.ip.link(flags.interface);
  const there = programInTheWay(link, flags.mode);
  if (there && !flags.replace) throw alreadyThere(link, there, flags.mode);
  const prepared =
    flags.file && (await prepareFill(tools, link, flags.file, fillWishes(flags)));
  if (prepared && !flags.json) {
    print(`Loading file with ${many(prepared.destinations.length, 'destination')}`);
  }
  const result = await withLock(tools.run, 'l4lb-load', (lock) =>
    withPins((pins) => {
      const request = {
        link,
        mode: flags.mode,
        object: flags.obj,
        decap: flags.decap ?? false,
        sets: flags.flows && (flags.flows << 20) / 64,
        fill: prepared && ((maps: Maps) => fillPrepared(tools, maps, prepared, lock)),
        lock,
      };
      return there
        ? replaceProgram(tools, pins, request, there)
        : attachNew(tools, pins, request);
    }),
  );
  const room = prepared && roomFor(prepared.mtu, prepared.destinations);
  report(flags, result, room);
  if (flags.decap || result.mode === 'xdpoffload') return;
  const note = tagNote(link.name, await readHardware(tools.run, link.name));
  if (note !== undefined) warn(note);
}

function report(flags: Flags, result: LoadResult, room: number | undefined): void {
  const { mode, program, plan, keptMaps, flows, refusal } = result;
  const where = { interface: flags.interface, mode: MODE_NAMES[mode] };
  const object = basename(result.object);
  const limit = (asMaps(result.maps)?.destinations.entries ?? 1) - 1;
  [...result.warnings, ...(plan ? planWarnings(plan, limit) : [])].forEach(warn);
  if (flags.json) {
    printJson({
      ...where,
      program,
      object,
      build: buildName(result),
      ...(keptMaps === undefined ? {} : { replaced: true, kept_maps: keptMaps }),
      ...(flows && { records_carried: flows.carried, records_lost: flows.lost }),
      ...(refusal === undefined ? {} : { driver_refused: refusal }),
      ...(plan ? planJson(plan) : {}),
      ...(room === undefined ? {} : { largest_packet: room }),
    });
    return;
  }
  if (refusal !== undefined) print(`driver mode is not to be had: ${refusal}`);
  const verb = keptMaps === undefined ? 'attached' : 'replaced';
  print(`${flags.interface} [${where.mode}] ${object} ${verb} as program ${program}`);
  if (keptMaps) print('  maps and counters are kept');
  if (flows) print(`  ${many(flows.carried, 'record')} of connections carried over`);
  if (keptMaps === false) print('  the maps are new: tables and sums were carried over');
  if (plan) describePlan(plan, where, false).forEach(print);
  if (room !== undefined) print(describeRoom(room));
}

function buildName({ maps }: LoadResult): string {
  const named = asMaps(maps);
  return named ? buildOf(named) : 'decap';
}

async function off(tools: Context, flags: Flags): Promise<void> {
  const taken = await withLock(tools.run, 'l4lb-load', async () =>
    takeOff(tools, await tools.ip.link(flags.interface), flags.mode),
  );
  if (flags.json) {
    printJson({
      interface: flags.interface,
      taken_off: taken.map(({ mode, id }) => ({ mode: MODE_NAMES[mode], program: id })),
    });
    return;
  }
  if (taken.length === 0) {
    const inMode = flags.mode === 'auto' ? '' : ` in mode ${flags.mode}`;
    print(`${flags.interface} has no XDP program${inMode}`);
  }
  for (const { mode, name, id } of taken) {
    print(`${flags.interface} [${MODE_NAMES[mode]}] ${name} (program ${id}) taken off`);
  }
}

async function status(tools: Context, flags: Flags): Promise<void> {
  const programs = await readStatus(tools, flags.interface);
  if (flags.json) printJson(statusJson(flags.interface, programs));
  else describeStatus(flags.interface, programs).forEach(print);
}
