// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** How a program is attached, in the words of `ip` and in those of the tools. */

/** `dpdk` is not of `ip`: l4lb-dpdk runs the program, and only that process attaches it. */
export type Mode = 'xdpdrv' | 'xdpgeneric' | 'xdpoffload' | 'dpdk';

export type ModeName = 'Driver' | 'Generic' | 'Offload' | 'DPDK';

export const MODE_NAMES: Record<Mode, ModeName> = {
  xdpdrv: 'Driver',
  xdpgeneric: 'Generic',
  xdpoffload: 'Offload',
  dpdk: 'DPDK',
};
