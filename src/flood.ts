// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-flood: sends millions of packets a second out of a device, for tests. */
import { Option } from 'commander';

import { context } from './program/tools.js';
import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import { readDuration, readMac, readWhole, reader } from './cli/values.js';
import { print, printJson, tell } from './system/output.js';
import type { FrameFlags } from './flood/prepare.js';
import { prepare } from './flood/prepare.js';
import { describeFlood, describeTotal, progressLine, totalJson } from './flood/report.js';
import type { Progress } from './flood/send.js';
import { send, senderArguments } from './flood/send.js';
import {
  checkFamilies,
  chooseWay,
  parseDestination,
  parsePrefix,
} from './flood/target.js';
import type { Way } from './wire/way.js';

interface Flags extends FrameFlags {
  dst: Way[];
  rate?: number;
  count?: number;
  duration?: number;
  threads: number;
  json?: boolean;
}

/** Milliseconds, unless an option ends it otherwise. */
const DURATION = 10_000;

export function floodCommand(): CliCommand {
  return newDeviceCommand(
    'l4lb-flood',
    'Send millions of packets a second, for tests.',
    'the device to send from, such as eth0',
  )
    .requiredOption(
      '--dst <way>',
      'where to send: ADDR[:PORT][/PROTO], such as 10.0.0.4:80/tcp or [2001:db8::4]:53/udp (default: port 9; udp, or tcp with --syn)',
      reader(parseDestination),
    )
    .addOption(
      new Option(
        '--src <prefix>',
        'source addresses: ADDR or ADDR/LENGTH, such as 10.1.0.0/16 (default: an address of the device)',
      )
        .argParser(reader(parsePrefix))
        .conflicts('randomSource'),
    )
    .option('--random-source', 'random source addresses; in IPv6, of 2000::/3')
    .option(
      '--flows <number>',
      'repeat this many different sources and ports, such as 1000 (default: random ones)',
      readWhole(1, 2 ** 31),
    )
    .option(
      '--size <bytes>',
      'bytes of a frame without its checksum, such as 1514 (default: 60, or as many as the headers take)',
      readWhole(60, 65_535),
    )
    .option(
      '--rate <pps>',
      'the most packets a second, such as 1000000 (default: as many as possible)',
      readWhole(1, 2 ** 31),
    )
    .addOption(
      new Option('--count <number>', 'stop after this many packets, such as 5000000')
        .argParser(readWhole(1, 1e15))
        .conflicts('duration'),
    )
    .option(
      '--duration <time>',
      'stop after this time, such as 30s or 2m (default: 10s)',
      readDuration(100),
    )
    .option(
      '--syn',
      'send TCP packets that begin connections (default: packets of existing ones, with ACK)',
    )
    .option(
      '--threads <number>',
      'threads that send, each on a CPU of its own',
      readWhole(1, 1024),
      1,
    )
    .option(
      '--dst-mac <mac>',
      'MAC address of the next hop, such as 02:00:00:00:00:04 (default: the one the kernel knows or finds)',
      readMac,
    )
    .option('--yes', 'send even if the device carries a default route')
    .option('--json', 'print the result as JSON')
    .explainedBy({
      notes: `Use it only on networks that are yours. A line each second goes to stderr, the result to
stdout; Ctrl-C stops it early. The device must take frames from XDP (ndo_xdp_xmit). With a
veth, the other end needs an XDP program or GRO: ethtool -K PEER gro on.`,
      examples: [
        'l4lb-flood -i eth0 --dst 10.0.0.4 --random-source',
        'l4lb-flood -i eth0 --dst 10.0.0.4:80/tcp --syn --src 10.1.0.0/16 --rate 1000000',
        'l4lb-flood -i eth0 --dst [2001:db8::4]:53/udp --flows 1000 --size 1514 --count 5000000',
      ],
    })
    .action(flood);
}

async function flood(flags: Flags): Promise<void> {
  const way = chooseWay(flags.dst, flags.syn ?? false);
  if (flags.src) checkFamilies(flags.src, way.address);
  const { flood, plan } = await prepare(context(), flags, way);
  const duration = flags.duration ?? (flags.count === undefined ? DURATION : undefined);
  const pace = { ...flags, duration };
  let before: Progress = { seconds: 0, sent: 0, lost: 0 };
  tell(describeFlood(flood));
  const total = await send(senderArguments(flags.interface, plan, pace), (progress) => {
    tell(progressLine(flood, before, progress));
    before = progress;
  });
  if (flags.json) printJson(totalJson(flood, total));
  else describeTotal(flood, total).forEach(print);
}
