// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Explains why a card refuses a program: finds in the words of the kernel and of the
 * driver the likely cause, and what to do about it.
 */
import type { Advice } from '../text/failure.js';

export interface Refused {
  device: string;
  object: string;
}

interface Rule {
  /** What the output says. The first group is the name of a map. */
  says: RegExp;
  advice: (refused: Refused, map: string) => Advice;
}

function onHost(device: string): string {
  return `l4lb-load -i ${device} -m xdpdrv, which runs it on the host`;
}

function lookAt(device: string): string {
  return `l4lb-doctor -i ${device} -m xdpoffload, which looks at its driver; or ${onHost(device)}`;
}

/** The first rule that matches counts. The numbers are the kernel's: 12 is ENOMEM. */
const LOADING: Rule[] = [
  {
    says: /map '(\w+)': failed to create: .*\(-12\)/,
    advice: ({ device }, map) => ({
      cause: `map ${map} has more entries than the card has left`,
      next: `make l4lb_xdp.o with smaller numbers than it has, such as SLOTS=256 DESTINATIONS=256; or ${onHost(device)}`,
    }),
  },
  {
    // This map is the first of all, and a plain array of one entry.
    says: /map '(device)': failed to create/,
    advice: ({ device }) => ({
      cause: `${device} has no eBPF offload: its driver has none, or its card has other firmware`,
      next: lookAt(device),
    }),
  },
  {
    says: /map '(\w+)': failed to create/,
    advice: ({ device }, map) => ({
      cause: `a card takes plain arrays and hashes only, and ${map} is none: this is not the portable build`,
      next: `l4lb-load -i ${device} -m xdpoffload without --obj, which takes l4lb_xdp.o`,
    }),
  },
  {
    says: /processed 0 insns/,
    advice: ({ device }) => ({
      cause: 'the driver refused before it looked at the program, so its card takes none',
      next: lookAt(device),
    }),
  },
  {
    says: /processed \d+ insns/,
    advice: ({ device, object }) => ({
      cause: 'the program does what this card cannot, or is too long for it',
      next: `l4lb-load --check-offload ${object}, which names what a card refuses; or bpftool prog load ${object} /sys/fs/bpf/try type xdp dev ${device}, whose log ends with the driver's words`,
    }),
  },
];

/**
 * By then the card has loaded the program. All words but the last are those of Linux's
 * driver nfp.
 */
const ATTACHING: Rule[] = [
  {
    says: /live reload/,
    advice: ({ device }) => ({
      cause: 'the firmware cannot put one program in the place of another while it runs',
      next: `l4lb-load -i ${device} -m xdpoffload --off, and then load without --replace: its tables and counters begin anew`,
    }),
  },
  {
    says: /packet split boundary|MTU/,
    advice: ({ device }) => ({
      cause:
        'the card keeps only the beginning of a long packet where the program can read it',
      next: `ip link set dev ${device} mtu 1500, and then this command again; or ${onHost(device)}`,
    }),
  },
  {
    says: /too long|too large/,
    advice: ({ device }) => ({
      cause: 'the firmware has less room for one program than this one needs',
      next: onHost(device),
    }),
  },
  {
    says: /(?:)/,
    advice: ({ device }) => ({
      cause: 'the card took the program, but does not run it on this port',
      next: `dmesg | tail, where the driver may say more; or ${onHost(device)}`,
    }),
  },
];

/**
 * Advice if a program could not be loaded for the device. The output is all that bpftool
 * said.
 */
export function adviceOnLoading(output: string, refused: Refused): Advice {
  return (
    follow(LOADING, output, refused) ?? {
      cause: 'the card does not offload this program, or has no eBPF firmware',
      next: lookAt(refused.device),
    }
  );
}

/** Advice if a program was loaded but could not be attached. */
export function adviceOnAttaching(reason: string, device: string): Advice {
  return follow(ATTACHING, reason, { device, object: '' }) ?? {};
}

function follow(
  rules: readonly Rule[],
  text: string,
  refused: Refused,
): Advice | undefined {
  for (const { says, advice } of rules) {
    const match = says.exec(text);
    if (match) return advice(refused, match[1] ?? '');
  }
  return undefined;
}
