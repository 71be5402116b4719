// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Config files applied to states of the maps, without a network. */
import { Fault } from '../../../src/text/fault.js';
import { parseAddress, parseMac } from '../../../src/wire/address.js';
import { parseConfig } from '../../../src/config/read.js';
import { layOut } from '../../../src/plan/match-services.js';
import type { State } from '../../../src/plan/state.js';
import { applyWrites } from '../../../src/plan/state.js';
import type { AskedSeed } from '../../../src/plan/device.js';
import { USUAL_FORWARD } from '../../../src/wire/forward.js';
import type { SlotSeed } from '../../../src/wire/slot-seed.js';
import type { ConfigPlan, ResolvedService } from '../../../src/plan/all.js';
import { planConfig } from '../../../src/plan/all.js';
import { BALANCER, BALANCER_6, BALANCER_MAC, mac } from '../wire/names.js';

/** For texts that name none. */
export function noFile(): never {
  throw new Fault('there are no files');
}

/** The services of a text that has no fault; a missing MAC is made up. */
export function servicesOf(text: string): ResolvedService[] {
  const { services, problems } = parseConfig({ name: 'l4lb.toml', text }, noFile);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return services.map((service) => ({
    ...service,
    forward: service.forward ?? USUAL_FORWARD,
    sources: {
      ipv4: { address: BALANCER, spread: 0 },
      ipv6: { address: BALANCER_6, spread: 0 },
      ...service.sources,
    },
    destinations: service.rows.map((row) => ({
      address: parseAddress(row.address) ?? BALANCER,
      port: row.port,
      mac: parseMac(row.mac ?? '') ?? mac('02:00:00:00:00:99'),
      weight: row.weight,
    })),
  }));
}

/** What a test draws at random. */
export const DRAWN = 0x5eed5eed;

function asked(seed: SlotSeed | undefined): AskedSeed | undefined {
  if (seed === undefined) return undefined;
  return seed === 'random'
    ? { value: DRAWN, isDrawn: true }
    : { value: seed, isDrawn: false };
}

export function planText(live: State, text: string, now?: number): ConfigPlan {
  const { echo, names, seed } = parseConfig({ name: 'l4lb.toml', text }, noFile);
  const device = { mac: BALANCER_MAC, mtu: 1500, echo, names, slotSeed: asked(seed) };
  const surroundings = { sessionPort: 0, now, ...device };
  return planConfig(live, layOut(live, servicesOf(text)), surroundings);
}

export function applyConfig(live: State, text: string, now?: number): State {
  return applyWrites(live, planText(live, text, now).writes);
}
