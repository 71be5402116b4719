// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What `ethtool` knows of a device. It is not always installed, and then nothing is known. */
import { Failure } from '../text/failure.js';
import type { Run } from './run.js';

/** Whether the device takes VLAN tags off before XDP sees the frame. */
export type TagStripping = 'on' | 'off' | 'always';

export interface Hardware {
  driver: string;
  stripsTags: TagStripping;
}

/** Undefined where ethtool is missing or does not know the device. */
export async function readHardware(
  run: Run,
  device: string,
): Promise<Hardware | undefined> {
  const driver = await ask(run, ['-i', device]);
  const features = await ask(run, ['-k', device]);
  if (driver === undefined || features === undefined) return undefined;
  return {
    driver: /^driver: (.+)$/m.exec(driver)?.[1] ?? '',
    stripsTags: readTagStripping(features),
  };
}

function readTagStripping(features: string): TagStripping {
  const [, state, fixed] =
    /^rx-vlan-offload: (on|off)(.*\[fixed\])?/m.exec(features) ?? [];
  if (state !== 'on') return 'off';
  return fixed === undefined ? 'on' : 'always';
}

/** A veth counts what it could not give to its peer after XDP_TX; others may not count. */
export async function readTransmitErrors(
  run: Run,
  device: string,
): Promise<number | undefined> {
  const text = (await ask(run, ['-S', device])) ?? '';
  const counts = [...text.matchAll(/rx_queue_\d+_xdp_tx_errors: (\d+)/g)];
  if (counts.length === 0) return undefined;
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

async function ask(run: Run, args: string[]): Promise<string | undefined> {
  try {
    const result = await run('ethtool', args);
    return result.exitCode === 0 ? result.stdout : undefined;
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

/** Undefined where there is nothing to note. */
export function tagNote(
  device: string,
  hardware: Hardware | undefined,
): string | undefined {
  if (!hardware || hardware.stripsTags === 'off') return undefined;
  const fix =
    hardware.stripsTags === 'on'
      ? `ethtool -K ${device} rxvlan off keeps them`
      : `the driver ${hardware.driver} cannot be told otherwise`;
  return `${device} takes VLAN tags off before XDP sees them, so tagged frames would leave untagged; ${fix}`;
}
