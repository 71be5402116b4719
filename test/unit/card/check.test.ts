// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Programs in C that a card would refuse, each with what is to be found where it is: in
 * test/unit/card/wrong/, behind the line, or above all where it is no line's. And those that
 * come close, in test/unit/card/right/.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import type { Verdict } from '../../../src/card/check.js';
import { checkObject } from '../../../src/card/check.js';
import { describeVerdict, verdictJson } from '../../../src/card/report.js';
import type { Finding } from '../../../src/card/rules/rules.js';
import { RULES } from '../../../src/card/rules/rules.js';

const ROOT = new URL('../../../', import.meta.url).pathname;
const WRONG = programsIn('wrong');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function programsIn(kind: string): string[] {
  return readdirSync(join(ROOT, 'test/unit/card', kind)).map((name) =>
    basename(name, '.c'),
  );
}

function sourceOf(program: string): string {
  return readFileSync(join(ROOT, 'test/unit/card', `${program}.c`), 'utf8');
}

/** The flags that the Makefile compiles l4lb_xdp.o with, and others. */
function compile(source: string, ...flags: string[]): Buffer {
  const object = join(folder, `${basename(source, '.c')}.o`);
  const machine = execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim();
  execFileSync(
    'clang',
    [
      ...['-O2', '-g', '-target', 'bpf', '-mcpu=v3'],
      ...[`-I/usr/include/${machine}-linux-gnu`, ...flags, '-c', source, '-o', object],
    ],
    { cwd: ROOT },
  );
  return readFileSync(object);
}

function check(program: string, ...flags: string[]): Verdict {
  return checkObject(compile(`test/unit/card/${program}.c`, ...flags));
}

function checkBuilt(object: string): Verdict {
  return checkObject(readFileSync(join(ROOT, object)));
}

interface Expected {
  severity: string;
  rule: string;
  /** Of the line that it stands behind. */
  line?: number;
  /** Of what has no line: a part of what is said. */
  part?: string;
}

function expectedOf(program: string): Expected[] {
  return sourceOf(program)
    .split('\n')
    .flatMap((text, index): Expected[] => {
      const marked = /\/\* (finding|remark) ([\w-]+) \*\/$/.exec(text);
      const above = /^ \* (finding|remark) ([\w-]+): (.+)$/.exec(text);
      const [, severity = '', rule = '', part = ''] = marked ?? above ?? [];
      if (marked) return [{ severity, rule, line: index + 1 }];
      return above ? [{ severity, rule, part }] : [];
    });
}

function isAsExpected(
  { severity, rule, place, what }: Finding,
  expected: Expected,
): boolean {
  return (
    severity === expected.severity &&
    rule === expected.rule &&
    place?.line?.line === expected.line &&
    what.includes(expected.part ?? '')
  );
}

describe('a program that a card would refuse', () => {
  test('there is one for each rule', () => {
    expect([...WRONG].sort()).toEqual(Object.keys(RULES).sort());
  });

  test.each(WRONG)('%s: this is found, on its line, and nothing else', (name) => {
    const { findings, remarks } = check(`wrong/${name}`);
    const expected = expectedOf(`wrong/${name}`);
    const all = [...findings, ...remarks];
    expect(expected.map(({ rule }) => rule)).toContain(name);
    expect(
      all.filter((one) => !expected.some((other) => isAsExpected(one, other))),
    ).toEqual([]);
    expect(
      expected.filter((one) => !all.some((other) => isAsExpected(other, one))),
    ).toEqual([]);
  });

  test('each is told with its function, its line and what to write instead', () => {
    expect(describeVerdict('map-store.o', check('wrong/map-store'))).toEqual([
      'map-store.o: an Agilio would refuse this, 1 finding',
      '  12 instructions, 64 bytes of stack, 1 map with 1 entries',
      '',
      'finding (map-store): writes into a value of the map `counts`',
      '  at: map-store.c:21 in wrong: *count = 1; /* finding map-store */',
      '  instead: add to it with __sync_fetch_and_add(), or bpf_map_update_elem() the whole value',
    ]);
  });

  test('without line info at least the function is told', () => {
    const verdict = check('wrong/helper', '-g0');
    expect(describeVerdict('helper.o', verdict)).toContain(
      '  at: in wrong; the object has no line info: compile with -g',
    );
  });

  test('without BTF its maps cannot be seen, and it gets no verdict', () => {
    expect(() => check('wrong/map-kind', '-g0')).toThrow(
      'the maps of the object cannot be seen: it has no BTF',
    );
  });

  test('a variable of the kernel is told by its name', () => {
    const { findings } = check('wrong/global-variable');
    expect(findings.map(({ what }) => what)).toContain(
      'uses the variable LINUX_KERNEL_VERSION, which is not in the object',
    );
  });

  test('as JSON', () => {
    expect(verdictJson('helper.o', check('wrong/helper'))).toEqual({
      object: 'helper.o',
      taken: false,
      instructions: 7,
      stack: 0,
      maps: 0,
      entries: 0,
      findings: [
        {
          rule: 'helper',
          what: 'calls bpf_ktime_get_ns(), a helper the card does not have',
          functions: ['wrong'],
          times: 1,
          file: 'helper.c',
          line: 10,
          text: 'if (bpf_ktime_get_ns() & 1) /* finding helper */',
          instead: RULES.helper,
        },
      ],
      remarks: [],
    });
  });
});

describe('a program that a card would take', () => {
  test.each(programsIn('right'))('%s: nothing is found', (name) => {
    const { findings, remarks } = check(`right/${name}`);
    expect([...findings, ...remarks]).toEqual([]);
  });

  test('our portable build: nothing is found, and these are its remarks', () => {
    const { findings, remarks } = checkBuilt('l4lb_xdp.o');
    expect(findings).toEqual([]);
    expect(remarks.map(({ rule }) => rule)).toEqual(['adjust-head']);
  });

  test('with the largest sizes as well, and without registers of 32 bits not', () => {
    const sizes = ['-DL4LB_SLOTS=1048576', '-DL4LB_DESTINATIONS=32767'];
    const { findings, entries } = checkObject(compile('l4lb_xdp.c', ...sizes));
    expect([findings, entries]).toEqual([
      [],
      262_144 + 524_288 + 1_048_576 + 2 * 32_768 + 65,
    ]);
    const old = checkObject(compile('l4lb_xdp.c', '-mcpu=v2'));
    expect(new Set(old.findings.map(({ rule }) => rule))).toEqual(new Set(['multiply']));
  });
});

test('our host build would be refused, for these reasons', () => {
  const { findings } = checkBuilt('l4lb_xdp_host.o');
  const rules = new Set(findings.map(({ rule }) => rule));
  expect(rules).toEqual(
    new Set([
      'context',
      'map-kind',
      'map-entries',
      'map-entry',
      'map-offset',
      'map-store',
      'helper',
      'divide',
      'multiply',
      'atomic',
      'read-and-added',
      'helper-argument',
    ]),
  );
  const stores = findings.filter(({ rule }) => rule === 'map-store');
  const places = stores.map(({ place }) => place?.line?.file);
  expect(new Set(places)).toEqual(
    new Set([
      'datapath/clock.h',
      'datapath/counters.h',
      'datapath/flows.h',
      'datapath/full_nat.h',
      'datapath/limit.h',
      'datapath/ports.h',
    ]),
  );
});

test.each([
  { what: 'a text', file: () => Buffer.from('a text'), why: 'it is not an ELF file' },
  {
    what: 'an ELF file of this machine',
    file: () => readFileSync(process.execPath).subarray(0, 4096),
    why: 'it is not for the BPF machine',
  },
  {
    what: 'half an object',
    file: () => readFileSync(join(ROOT, 'l4lb_xdp.o')).subarray(0, 20_000),
    why: 'it is cut short',
  },
])('$what is no BPF object', ({ file, why }) => {
  expect(() => checkObject(file())).toThrow(`this is not a BPF object: ${why}`);
});

describe('l4lb-load --check-offload', () => {
  function run(...args: string[]): { status: number | null; out: string; error: string } {
    const line = ['bin/l4lb-load.js', '--check-offload', ...args];
    const { status, stdout, stderr } = spawnSync(process.execPath, line, {
      cwd: ROOT,
      encoding: 'utf8',
    });
    return { status, out: stdout, error: stderr };
  }

  test('checks the object for xdpoffload, and ends with 0', () => {
    const { status, out, error } = run();
    expect([status, error]).toEqual([0, '']);
    expect(out).toMatch(/^l4lb_xdp\.o: nothing that an Agilio would refuse, 1 remark\n/);
  });

  test('ends with 1 where something is found, as JSON, too', () => {
    const { status, out, error } = run('l4lb_xdp_host.o', '--json');
    expect([status, error]).toEqual([1, '']);
    expect(JSON.parse(out)).toMatchObject({ object: 'l4lb_xdp_host.o', taken: false });
  });

  test.each([
    { object: 'no-such.o', what: 'no object no-such.o', next: 'make objects' },
    { object: 'README.md', what: 'this is not a BPF object', next: 'make objects' },
    {
      object: 'datapath',
      what: 'cannot read datapath: it is a directory',
      next: 'name the object',
    },
  ])('of $object says: $what', ({ object, what, next }) => {
    const { status, out, error } = run(object);
    expect([status, out]).toEqual([1, '']);
    expect(error).toContain(`l4lb-load: ${what}`);
    expect(error).toContain(`next: ${next}`);
  });
});
