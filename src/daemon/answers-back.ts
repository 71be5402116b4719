// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Whether the kernel takes the answers to checks: they come from the address of a service,
 * and rp_filter drops packets whose source has no route back, or one by another device.
 */
import { placesOf } from '../system/ip/own.js';
import type { Run } from '../system/run.js';
import { readRouting } from '../system/settings.js';
import { Failure } from '../text/failure.js';

const STRICT = 1;

/** Fails if it drops those that come in by one of the devices. */
export async function checkAnswersBack(
  run: Run,
  devices: readonly string[],
  addresses: readonly string[],
): Promise<void> {
  const ipv4 = addresses.filter((address) => !address.includes(':'));
  for (const device of devices) {
    const { rpFilter = 0 } = (await readRouting(device)) ?? {};
    if (rpFilter === 0 || ipv4.length === 0) continue;
    const places = await placesOf(run, ipv4);
    for (const address of ipv4) {
      const back = places.get(address)?.device;
      if (back === device || (back !== undefined && rpFilter !== STRICT)) continue;
      const route =
        back === undefined
          ? `there is no route to ${address}`
          : `the route to ${address} leads by ${back}`;
      throw new Failure(
        `the kernel would drop the answers: rp_filter of ${device} is ${rpFilter}, and ${route}`,
        {
          next:
            back === undefined
              ? 'a default route is enough for rp_filter=2; for 1 it has to lead by that device'
              : `sysctl -w net.ipv4.conf.${device}.rp_filter=2 net.ipv4.conf.all.rp_filter=2`,
        },
      );
    }
  }
}
