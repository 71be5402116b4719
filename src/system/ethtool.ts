// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What `ethtool` knows of a device. Where it is not installed, nothing is known. */
import { Unseen } from '../text/unseen.js';
import type { Run } from './run.js';
import { runIfThere } from './run.js';

/** Whether the device removes VLAN tags before XDP sees the frame. */
export type TagStripping = 'on' | 'off' | 'always';

export interface Hardware {
  driver: string;
  stripsTags: TagStripping | Unseen;
}

export async function readHardware(run: Run, device: string): Promise<Hardware | Unseen> {
  const about = await ask(run, ['-i', device]);
  if (about instanceof Unseen) return about;
  const driver = /^driver: (.+)$/m.exec(about)?.[1];
  if (driver === undefined) return new Unseen(`ethtool -i ${device} names no driver`);
  const features = await ask(run, ['-k', device]);
  const stripsTags =
    features instanceof Unseen ? features : readTagStripping(features, device);
  return { driver, stripsTags };
}

function readTagStripping(features: string, device: string): TagStripping | Unseen {
  const [, state, fixed] =
    /^rx-vlan-offload: (on|off)(.*\[fixed\])?/m.exec(features) ?? [];
  if (state === undefined) {
    return new Unseen(`ethtool -k ${device} does not name rx-vlan-offload`);
  }
  if (state === 'off') return 'off';
  return fixed === undefined ? 'on' : 'always';
}

/**
 * Names of counters of frames that a device dropped before the program saw them, or did not
 * take back from it.
 */
const OWN_DROPS =
  /^\s*(\S*xdp_tx\S*(?:err|drop|full)\S*|rx_(?:missed_errors|no_buffer_count|out_of_buffer|discards_phy)): (\d+)$/gm;

/** What a device counts of frames that it dropped, by the counter's name. */
export async function readOwnDrops(
  run: Run,
  device: string,
): Promise<Map<string, number> | Unseen> {
  const text = await ask(run, ['-S', device]);
  if (text instanceof Unseen) return text;
  const counters = countersIn(text, OWN_DROPS);
  return counters.size > 0
    ? counters
    : new Unseen(`ethtool -S ${device} does not count them`);
}

/** Names of counters of frames that XDP sent and the device did not take. */
const SEND_DROPS = /^\s*(tx\S*xdp\S*(?:err|drop|full)\S*): (\d+)$/gm;

/** What a device counts of frames that it did not take from XDP, by the counter's name. */
export async function readSendDrops(
  run: Run,
  device: string,
): Promise<Map<string, number> | Unseen> {
  const text = await ask(run, ['-S', device]);
  if (text instanceof Unseen) return text;
  return countersIn(text, SEND_DROPS);
}

function countersIn(text: string, names: RegExp): Map<string, number> {
  return new Map(
    [...text.matchAll(names)].map(([, name = '', count]) => [name, Number(count)]),
  );
}

/** What a device does in the kernel's place. */
export interface Offloads {
  /** It joins packets that it receives. */
  gro: boolean;
  /** It cuts packets that are larger than the MTU. */
  tso: boolean;
  /** It writes the checksums of what it sends. */
  checksums: boolean;
}

const OFFLOADS: Record<keyof Offloads, string> = {
  gro: 'generic-receive-offload',
  // The line above it, tcp-segmentation-offload, is on if any of several kinds is.
  tso: 'tx-tcp-segmentation',
  checksums: 'tx-checksumming',
};

/** What a device does in the kernel's place, maybe in another namespace. */
export async function readOffloads(
  run: Run,
  device: string,
  namespace: string | undefined,
): Promise<Offloads | Unseen> {
  const features = await ask(run, ['-k', device], namespace);
  if (features instanceof Unseen) return features;
  const offloads = { gro: false, tso: false, checksums: false };
  for (const key of Object.keys(OFFLOADS) as (keyof Offloads)[]) {
    const name = OFFLOADS[key];
    const state = new RegExp(`^\\s*${name}: (on|off)`, 'm').exec(features)?.[1];
    if (state === undefined) {
      return new Unseen(`ethtool -k ${device} does not name ${name}`);
    }
    offloads[key] = state === 'on';
  }
  return offloads;
}

async function ask(
  run: Run,
  args: string[],
  namespace?: string,
): Promise<string | Unseen> {
  const result =
    namespace === undefined
      ? await runIfThere(run, 'ethtool', args)
      : await run('ip', ['netns', 'exec', namespace, 'ethtool', ...args]);
  if (result instanceof Unseen || result.exitCode === 0) {
    return result instanceof Unseen ? result : result.stdout;
  }
  const [said = ''] = result.stderr.trim().split('\n');
  return new Unseen(
    `ethtool ${args.join(' ')}: ${said || `exit code ${result.exitCode}`}`,
  );
}

/** A warning about VLAN tags; undefined where there is none to give. */
export function tagNote(device: string, hardware: Hardware | Unseen): string | undefined {
  if (hardware instanceof Unseen || hardware.stripsTags instanceof Unseen)
    return undefined;
  if (hardware.stripsTags === 'off') return undefined;
  const fix =
    hardware.stripsTags === 'on'
      ? `ethtool -K ${device} rxvlan off keeps them`
      : `the driver ${hardware.driver} has no setting for it`;
  return `${device} takes VLAN tags off before XDP sees them, so tagged frames would leave untagged; ${fix}`;
}
