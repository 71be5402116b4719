// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Captures all frames that come out of a device with tcpdump, and reads them afterwards.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Network, Role } from './network.js';

/** Ethernet, the outer header, and the inner one's first 20 bytes. */
const SNAP_LENGTH = 54;
const FILE_HEADER = 24;
const FRAME_HEADER = 16;
const IPIP = 4;

/** A frame that holds an IPv4 packet in another. */
export interface SentFrame {
  /** Wall clock, in milliseconds. */
  time: number;
  toMac: string;
  /** Source and destination of the outer header. */
  from: string;
  to: string;
  sumIsRight: boolean;
}

export class Capture {
  readonly #path: string;
  readonly #child: ChildProcess;
  #words = '';

  private constructor(path: string, child: ChildProcess) {
    this.#path = path;
    this.#child = child;
    child.stderr?.on('data', (text: Buffer) => (this.#words += String(text)));
  }

  /**
   * Captures what comes in at a role's device. At a port of the switch, this is what a
   * role sends.
   */
  static async start(
    network: Network,
    role: Role,
    device: string,
    path: string,
  ): Promise<Capture> {
    // Without immediate mode the kernel hands frames over in blocks, and those of the
    // last second would be lost.
    const how = ['-Q', 'in', '-s', String(SNAP_LENGTH), '-B', '32768', '-Z', 'root'];
    const child = spawn(
      'nsenter',
      [
        `--net=/run/netns/l4lb-${network.name}-${role}`,
        ...['tcpdump', '-n', '-U', '--immediate-mode', '-i', device, ...how, '-w', path],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const capture = new Capture(path, child);
    for (let tries = 0; !isOpen(path); tries++) {
      if (tries === 100 || child.exitCode !== null) {
        child.kill('SIGKILL');
        throw new Error(`tcpdump does not start: ${capture.#words}`);
      }
      await sleep(50);
    }
    return capture;
  }

  /**
   * Ends the capture; throws if tcpdump could not keep up, since it then missed frames.
   */
  async stop(): Promise<SentFrame[]> {
    if (this.#child.exitCode === null) {
      const ended = once(this.#child, 'close');
      this.#child.kill('SIGTERM');
      await ended;
    }
    const dropped = /(\d+) packets? dropped by kernel/.exec(this.#words)?.[1];
    if (dropped !== '0') throw new Error(`tcpdump did not see all: ${this.#words}`);
    const content = readFileSync(this.#path);
    rmSync(this.#path);
    return readFrames(content);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

function isOpen(path: string): boolean {
  return existsSync(path) && statSync(path).size >= FILE_HEADER;
}

/**
 * Reads the classic file format in this machine's byte order, as the same machine writes
 * it.
 */
function readFrames(content: Buffer): SentFrame[] {
  if (content.readUInt32LE(0) !== 0xa1b2c3d4) throw new Error('no file of tcpdump');
  const frames: SentFrame[] = [];
  for (let at = FILE_HEADER; at < content.length;) {
    const [seconds, micros, length] = [0, 4, 8].map((offset) =>
      content.readUInt32LE(at + offset),
    ) as [number, number, number];
    const frame = content.subarray(at + FRAME_HEADER, at + FRAME_HEADER + length);
    at += FRAME_HEADER + length;
    if (frame.length < SNAP_LENGTH || frame.readUInt16BE(12) !== 0x0800) continue;
    const outer = frame.subarray(14, 34);
    if (outer[9] !== IPIP) continue;
    frames.push({
      time: seconds * 1000 + micros / 1000,
      toMac: frame.toString('hex', 0, 6).replaceAll(/..(?!$)/g, '$&:'),
      from: outer.subarray(12, 16).join('.'),
      to: outer.subarray(16, 20).join('.'),
      sumIsRight: sumOf(outer) === 0xffff,
    });
  }
  return frames;
}

/** RFC 1071: including its checksum, the words of a header add up to all ones. */
function sumOf(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}
