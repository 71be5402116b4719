// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** How a program is attached, in the words of `ip` and in those of the tools. */

export type Mode = 'xdpdrv' | 'xdpgeneric' | 'xdpoffload';

export type ModeName = 'Driver' | 'Generic' | 'Offload';

export const MODE_NAMES: Record<Mode, ModeName> = {
  xdpdrv: 'Driver',
  xdpgeneric: 'Generic',
  xdpoffload: 'Offload',
};
