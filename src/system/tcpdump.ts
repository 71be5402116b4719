// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Looks briefly at what arrives on a device, with `tcpdump`, which need not be installed.
 */
import { Unseen } from '../text/unseen.js';
import type { Run } from './run.js';
import { runIfThere } from './run.js';

const MOST_FRAMES = 500;
/** Enough for all headers, and for those that an ICMP error quotes. */
const BYTES = 128;
/** Exit codes of `timeout` (coreutils): when the time was over, and without a command. */
const TIME_OVER = 124;
const NO_SUCH_COMMAND = 127;
/** On a busy machine the time may be over before it listens; then it has seen nothing. */
const MOST_TRIES = 4;

/**
 * The beginnings of the frames that came in and that XDP passed; others never get this
 * far.
 */
export async function captureIncoming(
  run: Run,
  device: string,
  seconds: number,
): Promise<Buffer[] | Unseen> {
  const time = ['--signal=INT', String(seconds)];
  // In hexadecimal, since the words of tcpdump differ from version to version.
  const form = ['-n', '-t', '-q', '-xx', '-l', '--immediate-mode', '-s', String(BYTES)];
  const what = ['-i', device, '-p', '-Q', 'in', '-c', String(MOST_FRAMES)];
  const all = [...time, 'tcpdump', ...form, ...what];
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const result = await runIfThere(run, 'timeout', all);
    if (result instanceof Unseen) return result;
    const { exitCode, stdout, stderr } = result;
    if (exitCode === NO_SUCH_COMMAND) return new Unseen('no tcpdump on this machine');
    if (exitCode !== 0 && exitCode !== TIME_OVER) {
      return new Unseen(faultIn(stderr) ?? `tcpdump ended with exit code ${exitCode}`);
    }
    const frames = decodeDump(stdout);
    if (frames.length > 0 || /^(?:tcpdump: )?listening on /m.test(stderr)) return frames;
  }
  return new Unseen(`tcpdump did not listen within ${seconds} s`);
}

/** tcpdump's own lines begin with its name; two of them only say that it works. */
function faultIn(stderr: string): string | undefined {
  return stderr
    .split('\n')
    .find((line) => /^(?:tcpdump|timeout): (?!verbose output|listening on)/.test(line));
}

/** Reads lines such as `\t0x0010:  0800 4500`, with others between the frames. */
export function decodeDump(text: string): Buffer[] {
  const frames: string[] = [];
  for (const line of text.split('\n')) {
    const [, offset, bytes = ''] = /^\s+0x([0-9a-f]+): +([0-9a-f ]+)$/.exec(line) ?? [];
    if (offset === undefined) continue;
    if (Number.parseInt(offset, 16) === 0) frames.push('');
    frames.push((frames.pop() ?? '') + bytes.replaceAll(' ', ''));
  }
  return frames.map((frame) => Buffer.from(frame, 'hex'));
}
