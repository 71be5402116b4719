// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What tshark says about frames. It knows nothing about our program. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';

export interface Dissected {
  /** The layers from the outside in, such as eth:ip:ip:tcp. */
  layers: string;
  /** Everything that is wrong with the frame, in tshark's words. */
  faults: string[];
  /**
   * The number of checksums that tshark found right, and of those that it did not check.
   */
  good: number;
  unverified: number;
}

const CHECKSUMS = ['ip', 'tcp', 'udp', 'icmp', 'icmpv6'].map(
  (layer) => `${layer}.checksum.status`,
);
const FIELDS = [
  'frame.protocols',
  '_ws.expert.severity',
  '_ws.expert.group',
  '_ws.expert.message',
  ...CHECKSUMS,
];
// tshark's own numbers.
const WARNING = 0x600000;
/** Remarks about a conversation, such as "connection reset", and not about a packet. */
const SEQUENCE = 0x02000000;
const BAD = '0';
const GOOD = '1';
const UNVERIFIED = '2';
/** Separates the values of a field; no message of tshark's contains it. */
const BETWEEN = '\u001f';

/**
 * Layers whose checksums tshark checks only when told to. It always checks those of ICMP.
 */
export type Checked = 'ip' | 'tcp' | 'udp';
const ALL: readonly Checked[] = ['ip', 'tcp', 'udp'];

export async function dissectFile(path: string, layers = ALL): Promise<Dissected[]> {
  const checked = layers.flatMap((layer) => ['-o', `${layer}.check_checksum:TRUE`]);
  // The content of TCP and UDP has no protocol: tshark would guess, and sometimes guess
  // wrong.
  const guessless = ['tcp', 'udp'].flatMap((layer) => [
    '-d',
    `${layer}.port==0-65535,data`,
  ]);
  const { stdout } = await execa('tshark', [
    ...['-n', '-r', path, ...checked, ...guessless],
    ...['-T', 'fields', '-E', 'occurrence=a', '-E', `aggregator=${BETWEEN}`],
    ...FIELDS.flatMap((field) => ['-e', field]),
  ]);
  return stdout.split('\n').filter(Boolean).map(readLine);
}

/** Dissects frames as they are; they need not have been on any wire. */
export async function dissect(
  frames: readonly Buffer[],
  layers = ALL,
): Promise<Dissected[]> {
  const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
  try {
    const path = join(folder, 'frames.pcap');
    writeFileSync(path, capture(frames));
    return await dissectFile(path, layers);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function readLine(line: string): Dissected {
  const fields = line.split('\t').map((text) => (text ? text.split(BETWEEN) : []));
  const [protocols, severities = [], groups = [], messages = [], ...sums] = fields;
  const faults = messages.filter(
    (_, at) => Number(severities[at]) >= WARNING && Number(groups[at]) !== SEQUENCE,
  );
  const states = sums.flat();
  const bad = states.filter((state) => state === BAD).length;
  return {
    layers: (protocols?.[0] ?? '').replaceAll(':ethertype', ''),
    // Each bad checksum must also be a remark, so that a silent tshark cannot pass.
    faults: bad > 0 && faults.length === 0 ? [`${bad} bad checksums`] : faults,
    good: states.filter((state) => state === GOOD).length,
    unverified: states.filter((state) => state === UNVERIFIED).length,
  };
}

/** A capture file: https://www.tcpdump.org/manpages/pcap-savefile.5.html */
function capture(frames: readonly Buffer[]): Buffer {
  const ETHERNET = 1;
  const LONGEST = 0xffff;
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(LONGEST, 16);
  header.writeUInt32LE(ETHERNET, 20);
  const records = frames.flatMap((frame, seconds) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(seconds, 0);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return [record, frame];
  });
  return Buffer.concat([header, ...records]);
}
