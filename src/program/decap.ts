// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Fills the maps of the decapsulation program with the host's addresses, and reads them.
 */
import { decodeEntries, valueOf } from '../system/bpftool-text.js';
import type { MapInfo } from '../system/bpftool-text.js';
import { DECAP_VERDICTS, decodeHost, encodeHost } from '../abi/decap.js';
import { sumCounters } from '../abi/counter.js';
import type { Counter } from '../abi/counter.js';
import { encodeKey } from '../abi/bytes.js';
import { DECAP_ABI } from '../abi/maps.js';
import { kernelSeconds } from '../system/clock.js';
import type { Tools } from './tools.js';
import { at, must } from '../text/must.js';
import { formatAddress, parseAddress } from '../wire/address.js';
import type { Names } from '../wire/names.js';
import { mapNamed } from './find.js';
import type { Siblings, SiblingsRead } from './siblings.js';
import { readSiblings, siblingChanges } from './siblings.js';
import { remove, update } from '../system/entries.js';

/** The names in `host`; none if no tool has filled it. */
async function readNames(
  { bpftool }: Pick<Tools, 'bpftool'>,
  host: MapInfo,
): Promise<Names> {
  const [entry] = await bpftool.dump(host.id);
  return entry ? decodeHost(valueOf(entry)).names : {};
}

/**
 * Writes the addresses that the host has now, and removes those that it no longer has: a
 * program that took over another's maps also took over its addresses. Until it is filled,
 * the program takes all. Without siblings to write, names and siblings stay as they are.
 */
export async function fillDecap(
  { ip, bpftool }: Tools,
  maps: readonly MapInfo[],
  lock: number,
  siblings?: Siblings,
): Promise<void> {
  const [map, host] = [mapNamed(maps, 'addresses'), mapNamed(maps, 'host')];
  const now = new Map(
    (await ip.hostAddresses()).flatMap((text) => {
      // An IPv4 address in the form of IPv6 has no place in the map. No IPv4 packet has
      // it, and the host's own tunnels do not take IPv6 packets to it either.
      const address = parseAddress(text);
      return address ? [[formatAddress(address), address] as const] : [];
    }),
  );
  const stale = (await bpftool.dump(map.id))
    .map(({ key }) => key)
    .filter((address) => !now.has(formatAddress(address)));
  const before = await readNames({ bpftool }, host);
  const changes = siblings
    ? await siblingChanges(bpftool, maps, siblings, before, kernelSeconds())
    : [];
  await bpftool.write(
    [
      ...changes,
      ...stale.map((address) => remove(map, address)),
      ...[...now.values()].map((address) => update(map, address, encodeKey(1))),
      update(
        host,
        encodeKey(0),
        encodeHost({ abi: DECAP_ABI, names: siblings?.names ?? before }),
      ),
    ],
    lock,
  );
}

export interface DecapRead extends SiblingsRead {
  addresses: number | 'all';
  names: Names;
  verdicts: Record<string, Counter>;
}

export async function readDecap(
  { bpftool }: Pick<Tools, 'bpftool'>,
  maps: readonly MapInfo[],
): Promise<DecapRead> {
  const wanted = ['addresses', 'verdicts', 'host'];
  const answers = await bpftool.queries(
    wanted.map((name) => `map dump id ${mapNamed(maps, name).id}`),
  );
  const entries = answers.map(decodeEntries);
  const [addresses, verdicts] = [at(entries, 0), at(entries, 1)];
  const { abi, names } = decodeHost(valueOf(at(at(entries, 2), 0)));
  const hasNames = Object.keys(names).length > 0;
  return {
    addresses: abi === DECAP_ABI ? addresses.length : 'all',
    names,
    ...(hasNames ? await readSiblings(bpftool, maps) : { self: [], siblings: [] }),
    verdicts: Object.fromEntries(
      DECAP_VERDICTS.map(({ number, name }) => {
        const entry = verdicts.find(({ key }) => key.equals(encodeKey(number)));
        return [name, sumCounters(must(entry, `the counter of ${name}`).values)];
      }),
    ),
  };
}
