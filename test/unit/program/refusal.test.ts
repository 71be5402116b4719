// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import type { Mode } from '../../../src/text/mode.js';
import type { AttachedProgram, Link } from '../../../src/system/ip/links.js';
import { alreadyThere, programInTheWay } from '../../../src/load/attach.js';
import { adviceOnAttaching, adviceOnLoading } from '../../../src/program/refusal.js';

/** As bpftool 7.1 says it on Debian's 6.1, and of the nfp as its driver would. */
function said(reason: string, log: string[] = []): string {
  return [
    `libbpf: ${reason}`,
    ...log.map((line) => (line === '' ? line : `libbpf: ${line}`)),
    "libbpf: failed to load object 'l4lb_xdp.o'",
    'Error: failed to load object file',
  ].join('\n');
}

const REFUSED = "prog 'l4lb_2': BPF program load failed: Operation not supported";
const logOf = (processed: number): string[] => [
  "prog 'l4lb_2': -- BEGIN PROG LOAD LOG --",
  `processed ${processed} insns (limit 1000000) max_states_per_insn 0 total_states 0`,
  '-- END PROG LOAD LOG --',
  "prog 'l4lb_2': failed to load: -95",
];

describe('what was said when a program was loaded for a card', () => {
  test.each([
    {
      why: 'a driver without offload',
      output: said("map 'device': failed to create: Invalid argument(-22)"),
      cause: /^eth0 has no eBPF offload/,
      next: /^l4lb-doctor -i eth0 -m xdpoffload/,
    },
    {
      why: 'a device without XDP',
      output: said("map 'device': failed to create: Operation not supported(-95)"),
      cause: /^eth0 has no eBPF offload/,
      next: /^l4lb-doctor -i eth0 -m xdpoffload/,
    },
    {
      why: 'no room for a map',
      output: said("map 'slots': failed to create: Cannot allocate memory(-12)"),
      cause: /^map slots has more entries than the card has left/,
      next: /^make l4lb_xdp\.o .*SLOTS=/,
    },
    {
      why: 'no room for the first map',
      output: said("map 'device': failed to create: Cannot allocate memory(-12)"),
      cause: /^map device has more entries than the card has left/,
      next: /^make l4lb_xdp\.o /,
    },
    {
      why: "the host build's per-CPU map",
      output: said("map 'counters': failed to create: Invalid argument(-22)"),
      cause: /counters is none: this is not the portable build$/,
      next: /without --obj/,
    },
    {
      why: 'a driver that takes no program',
      output: said(REFUSED, logOf(0)),
      cause: /refused before it looked at the program/,
      next: /^l4lb-doctor -i eth0 -m xdpoffload/,
    },
    {
      why: 'a driver that refuses an instruction',
      output: said(REFUSED, logOf(68921)),
      cause: /does what this card cannot, or is too long/,
      next: /^l4lb-load --check-offload my\.o.* bpftool prog load my\.o .* dev eth0/,
    },
    {
      why: 'something new',
      output: said('of which nobody has heard'),
      cause: /does not offload this program/,
      next: /-m xdpdrv/,
    },
  ])('$why', ({ output, cause, next }) => {
    const advice = adviceOnLoading(output, { device: 'eth0', object: 'my.o' });
    expect(advice.cause).toMatch(cause);
    expect(advice.next).toMatch(next);
  });
});

describe('what was said when it was attached', () => {
  test.each([
    [
      'nfp: FW does not support live reload',
      /one program in the place of another/,
      /--off/,
    ],
    [
      'nfp: BPF offload not supported with potential packet access beyond HW packet split boundary',
      /beginning of a long packet/,
      /^ip link set dev eth0 mtu 1500/,
    ],
    ['nfp: program too long', /less room for one program/, /-m xdpdrv/],
    ['nfp: stack too large', /less room for one program/, /-m xdpdrv/],
    ['netdevsim: XDP offload disabled in DebugFS', /not run it on this port/, /^dmesg/],
  ])('%s', (reason, cause, next) => {
    const advice = adviceOnAttaching(reason, 'eth0');
    expect(advice.cause).toMatch(cause);
    expect(advice.next).toMatch(next);
  });
});

describe('a program that is there', () => {
  const on = (mode: Mode, id: number): AttachedProgram => ({ mode, id, name: 'l4lb_2' });
  const [host, generic, card] = [
    on('xdpdrv', 1),
    on('xdpgeneric', 2),
    on('xdpoffload', 3),
  ];
  const linkWith = (...programs: AttachedProgram[]): Link => ({
    name: 'eth0',
    ifindex: 2,
    mac: '02:00:00:00:00:01',
    mtu: 1500,
    up: true,
    addresses: { ipv4: undefined, ipv6: undefined },
    programs,
  });

  test.each<[Mode | 'auto', AttachedProgram[], number | undefined]>([
    ['xdpoffload', [card], 3],
    ['xdpoffload', [host], undefined],
    ['xdpdrv', [card], undefined],
    ['xdpdrv', [card, host], 1],
    ['xdpdrv', [generic], 2],
    ['auto', [card], 3],
    ['auto', [host], 1],
    ['auto', [], undefined],
  ])('in mode %s, of %j, program %s is in the way', (mode, programs, id) => {
    expect(programInTheWay(linkWith(...programs), mode)?.id).toBe(id);
  });

  test('on the card, and no mode is named: both ways are told', () => {
    expect(alreadyThere(linkWith(card), card, 'auto').advice.next).toBe(
      'l4lb-load -i eth0 --replace; or --off; or -m xdpdrv, for another one on the host',
    );
  });

  test('on the host, and the host is meant: nothing is said of a card', () => {
    expect(alreadyThere(linkWith(host), host, 'auto').advice.next).toBe(
      'l4lb-load -i eth0 --replace, which loses no packet; or --off',
    );
  });
});
