// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The destination's end: datapath/decap.h in TypeScript, and the filling of its maps. */
import type { Tools } from './tools.js';
import type { Counter } from '../abi/maps.js';
import { ABI, encodeKey } from '../abi/maps.js';
import { parseAddress } from '../wire/address.js';
import type { MapInfo } from '../system/bpftool.js';
import { decodeEntries, hex } from '../system/bpftool.js';
import { ZERO, sumCounters } from './reading.js';

/** DECAP_VERDICTS. */
export const DECAP_VERDICTS = [
  { number: 0, name: 'decapsulated' },
  { number: 1, name: 'not ipip' },
  { number: 2, name: 'not this host' },
  { number: 17, name: 'malformed' },
  { number: 18, name: 'ecn' },
  { number: 19, name: 'no room' },
] as const;

/** Writes the addresses that the host has now; without them it takes all. */
export async function fillDecap(
  { ip, bpftool }: Tools,
  maps: readonly MapInfo[],
  lock: number,
): Promise<void> {
  const id = (name: string): number => maps.find((map) => map.name === name)?.id ?? 0;
  const addresses = (await ip.hostAddresses()).map(
    (text) => parseAddress(text) as Buffer,
  );
  const one = hex(encodeKey(1));
  await bpftool.write(
    [
      ...addresses.map(
        (address) =>
          `map update id ${id('addresses')} key hex ${hex(address)} value hex ${one}`,
      ),
      `map update id ${id('host')} key hex ${hex(encodeKey(0))} value hex ${hex(encodeHost())}`,
    ],
    lock,
  );
}

/** struct decap_host: an ABI version says that the addresses are complete. */
function encodeHost(): Buffer {
  return Buffer.concat([encodeKey(ABI), Buffer.alloc(4)]);
}

export async function readDecap(
  { bpftool }: Pick<Tools, 'bpftool'>,
  maps: readonly MapInfo[],
): Promise<{ addresses: number | 'all'; verdicts: Record<string, Counter> }> {
  const id = (name: string): number => maps.find((map) => map.name === name)?.id ?? 0;
  const answers = await bpftool.queries([
    `map dump id ${id('addresses')}`,
    `map dump id ${id('verdicts')}`,
    `map dump id ${id('host')}`,
  ]);
  const [addresses = [], verdicts = [], host = []] = answers.map(decodeEntries);
  const isFilled = host[0]?.values[0]?.equals(encodeHost()) ?? false;
  return {
    addresses: isFilled ? addresses.length : 'all',
    verdicts: Object.fromEntries(
      DECAP_VERDICTS.map(({ number, name }) => {
        const entry = verdicts.find(({ key }) => key.equals(encodeKey(number)));
        return [name, entry ? sumCounters(entry.values) : ZERO];
      }),
    ),
  };
}
