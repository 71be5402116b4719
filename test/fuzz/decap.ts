// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The destination's end. */
import { DECAP_VERDICTS } from '../../src/abi/decap.js';
import { encodeKey } from '../../src/abi/bytes.js';
import { describeFrame } from '../../src/explain/text.js';
import { decap } from '../../src/model/decap.js';
import { wrongInnerSums } from '../../src/model/sums.js';
import { Sums, compareSums } from './compare.js';
import { Loaded, counted } from './harness.js';
import { makeTunnels } from './packets.js';
import type { Difference, Program, Target } from './target.js';
import { PROGRAMS, randomOf } from './target.js';

export class DecapTarget implements Target {
  readonly name: Program;
  readonly #loaded: Loaded;
  readonly #own: readonly Buffer[];

  private constructor(name: Program, loaded: Loaded, own: readonly Buffer[]) {
    this.name = name;
    this.#loaded = loaded;
    this.#own = own;
  }

  static async load(name: Program): Promise<DecapTarget> {
    const loaded = await Loaded.load(PROGRAMS[name].object);
    const own = [
      '00000000000000000000ffff0a00010f',
      '00000000000000000000ffff0a000110',
      '20010db800020000000000000000000f',
    ].map((text) => Buffer.from(text, 'hex'));
    await loaded.query([
      ...own.map((address) => loaded.writeKey('addresses', address, encodeKey(1))),
      loaded.writeKey(
        'host',
        encodeKey(0),
        Buffer.concat([encodeKey(1), Buffer.alloc(4)]),
      ),
    ]);
    return new DecapTarget(name, loaded, own);
  }

  close(): void {
    this.#loaded.close();
  }

  async chunk(seed: number, chunk: number, count: number): Promise<Difference[]> {
    const random = randomOf(seed, chunk);
    const onWire = this.#own.map((one) =>
      one.subarray(0, 12).toString('hex').endsWith('ffff') ? one.subarray(12) : one,
    );
    const frames = makeTunnels(random, onWire, count, PROGRAMS[this.name].longest);
    const { ran, after } = await this.#loaded.chunk(
      this.#loaded.zeros('verdicts'),
      frames,
      ['verdicts'],
    );
    const sums = new Sums();
    const head = { seed, chunk, program: this.name } as const;
    const found: Difference[] = frames.flatMap((frame, packet) => {
      const answer = decap(this.#own, frame);
      const number = DECAP_VERDICTS.find(({ name }) => name === answer.verdict)?.number;
      sums.add(number ?? -1, frame.length);
      const there = ran[packet];
      const wrong =
        answer.verdict === 'decapsulated' && there
          ? wrongInnerSums(frame, there.frame)
          : [];
      const isSame = there?.action === answer.action && there.frame.equals(answer.frame);
      if (isSame && wrong.length === 0) return [];
      const what = [
        `the model says ${answer.action}, ${answer.verdict}`,
        `  ${answer.frame.toString('hex')}`,
        `the program says ${there?.action ?? 'nothing'}`,
        `  ${there?.frame.toString('hex') ?? ''}`,
        ...describeFrame(there?.frame ?? Buffer.alloc(0)),
        ...wrong,
      ].join('\n');
      return [{ ...head, packet, frame, what }];
    });
    const differences = compareSums(
      'verdict',
      counted(after.get('verdicts')),
      sums.text(),
    );
    if (differences.length > 0) {
      found.push(...(await this.#countEach(head, frames)));
      found.push({ ...head, what: differences.join('\n') });
    }
    return found;
  }

  async #countEach(
    head: Pick<Difference, 'seed' | 'chunk' | 'program'>,
    frames: readonly Buffer[],
  ): Promise<Difference[]> {
    for (const [packet, frame] of frames.entries()) {
      const sums = new Sums();
      const { verdict } = decap(this.#own, frame);
      const number = DECAP_VERDICTS.find(({ name }) => name === verdict)?.number;
      sums.add(number ?? -1, frame.length);
      const { after } = await this.#loaded.chunk(
        this.#loaded.zeros('verdicts'),
        [frame],
        ['verdicts'],
      );
      const wrong = compareSums('verdict', counted(after.get('verdicts')), sums.text());
      if (wrong.length > 0) return [{ ...head, packet, frame, what: wrong.join('\n') }];
    }
    return [];
  }
}
