// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb-explain: says what the loaded program does with a packet, and why. */
import { Option } from 'commander';

import { Fault } from './text/fault.js';
import type { Mode } from './text/mode.js';
import { context } from './program/tools.js';
import type { CliCommand } from './cli/command.js';
import { newDeviceCommand } from './cli/command.js';
import { modeOption } from './cli/options.js';
import { readMac, reader } from './cli/values.js';
import { print, printJson, warn } from './system/output.js';
import { findAttached } from './program/find.js';
import type { Asked } from './explain/ask.js';
import { ask } from './explain/ask.js';
import type { PacketFlags } from './explain/frames.js';
import { framesFor } from './explain/frames.js';
import { parseEndpoint, parseTarget, parseTcpFlags } from './explain/question.js';
import { describeExplained, explainedJson } from './explain/text.js';
import { EXIT_FAILURE } from './text/failure.js';
import { withPins } from './program/pins.js';

interface Flags extends PacketFlags {
  interface: string;
  obj?: string;
  mode?: Mode;
  json?: boolean;
}

const SYN = 0x02;

export function explainCommand(): CliCommand {
  return newDeviceCommand(
    'l4lb-explain',
    'Say what the loaded program does with a packet, and why. Asking changes nothing.',
  )
    .option(
      '--src <address:port>',
      'source of the packet, such as 192.0.2.7:4242 or [2001:db8::7]:4242',
      reader(parseEndpoint),
    )
    .option(
      '--dst <address:port/protocol>',
      'destination of the packet, such as 10.0.0.4:80/tcp or [2001:db8::4]:53/udp; without a protocol, tcp',
      reader(parseTarget),
    )
    .option(
      '--src-mac <mac>',
      'MAC address that the frame comes from, such as 02:00:0a:00:01:01: by link it tells whose answer a packet is (default: a made-up one)',
      readMac,
    )
    .addOption(
      new Option('--tcp-flags <names>', 'TCP flags, such as SYN,ACK; or none')
        .argParser(reader(parseTcpFlags))
        .default(SYN, 'SYN'),
    )
    .addOption(
      new Option('--length <bytes>', 'bytes of the IP packet, up to 9000, such as 1500')
        .argParser(readLength)
        .default(0, 'its headers alone'),
    )
    .option(
      '--vlan <number...>',
      'VLAN tags of the frame, the outer one first, such as 100',
      readVlan,
    )
    .addOption(
      new Option(
        '--pcap <file>',
        'explain the packets of this capture, which were sent to the device; - reads stdin',
      ).conflicts(['src', 'dst', 'srcMac', 'vlan']),
    )
    .option(
      '--obj <file>',
      'the object file that was loaded, such as l4lb_xdp.o (default: one that comes with l4lb)',
    )
    .addOption(modeOption())
    .option('--json', 'print a line of JSON for each packet')
    .explainedBy({
      notes: `It runs a private copy of the program, which shares the tables of the loaded one, and
compares it with a model that was written independently. Exits with 1 if they disagree.`,
      examples: [
        'l4lb-explain -i eth0 --src 192.0.2.7:4242 --dst 10.0.0.4:80/tcp',
        'l4lb-explain -i eth0 --src 192.0.2.7:4242 --dst 10.0.0.4:80/tcp --tcp-flags ACK',
        'l4lb-explain -i eth0 --src [2001:db8::7]:4242 --dst [2001:db8::4]:53/udp --length 1500',
        'l4lb-explain -i eth0 --pcap in.pcap --json | jq -r .verdict',
      ],
    })
    .action(run);
}

const readLength = reader((text): number => {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 9000) {
    throw new Fault(`"${text}" is not a number of bytes up to 9000`);
  }
  return Number(text);
});

const readVlan = reader((text, before: number[] = []) => {
  if (!/^\d{1,4}$/.test(text) || Number(text) > 4094) {
    throw new Fault(`"${text}" is not a VLAN from 0 to 4094`);
  }
  if (before.length === 2) throw new Fault('a frame has at most two tags');
  return [...before, Number(text)];
});

async function run(flags: Flags): Promise<void> {
  const frames = framesFor(flags);
  const tools = context();
  const attached = await findAttached(tools, flags.interface, flags.mode);
  const asked = await withPins((pins) =>
    ask(tools, pins, attached, { frames, object: flags.obj }),
  );
  report(asked, flags);
}

function report({ explained, object, isOther }: Asked, flags: Flags): void {
  if (isOther) {
    warn(
      `the answers are those of ${object}, which is not the loaded program; name that with --obj FILE`,
    );
  }
  explained.forEach((one, index) => {
    if (flags.json) printJson(explainedJson(one));
    else {
      if (index > 0) print('');
      describeExplained(one, index + 1).forEach(print);
    }
  });
  const isAgreed = explained.every(({ differences }) => differences.length === 0);
  if (!isAgreed) process.exitCode = EXIT_FAILURE;
}
