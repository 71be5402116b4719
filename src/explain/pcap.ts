// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reads the frames of a capture file in the classic pcap format. */
import { Fault } from '../text/fault.js';

const MAGIC = [0xa1b2c3d4, 0xa1b23c4d]; // micro- and nanoseconds
const MAGIC_PCAPNG = 0x0a0d0d0a;
const ETHERNET = 1;

/** Throws a Fault that says what is wrong with the file. */
export function framesOfPcap(file: Buffer): Buffer[] {
  if (file.length < 24) throw new Fault('it is not a capture file: it is too short');
  if (file.readUInt32BE(0) === MAGIC_PCAPNG) {
    throw new Fault(
      'it is in the pcapng format; this turns it into pcap: editcap -F pcap IN OUT',
    );
  }
  const isLittle = MAGIC.includes(file.readUInt32LE(0));
  if (!isLittle && !MAGIC.includes(file.readUInt32BE(0)))
    throw new Fault('it is not a capture file');
  const u32 = (at: number): number =>
    isLittle ? file.readUInt32LE(at) : file.readUInt32BE(at);
  if ((u32(20) & 0xffff) !== ETHERNET) {
    throw new Fault(
      'its frames are not Ethernet; capture on the device itself, not on "any"',
    );
  }
  const frames: Buffer[] = [];
  for (let at = 24; at < file.length;) {
    const number = frames.length + 1;
    if (at + 16 > file.length)
      throw new Fault(`it ends in the middle of packet ${number}`);
    const [captured, length] = [u32(at + 8), u32(at + 12)];
    const end = at + 16 + captured;
    if (end > file.length) throw new Fault(`it ends in the middle of packet ${number}`);
    if (captured < length) {
      throw new Fault(
        `packet ${number} was cut to ${captured} of ${length} bytes; capture with -s 0`,
      );
    }
    frames.push(file.subarray(at + 16, end));
    at = end;
  }
  if (frames.length === 0) throw new Fault('there is no packet in it');
  return frames;
}
