// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Which addresses are this host's own: the kernel accepts packets to them. */
import { formatAddress, parseAddress } from '../../wire/address.js';
import type { Run } from '../run.js';
import { askIpLines } from './ask.js';

interface RouteJson {
  dst?: string;
  type?: string;
}

/**
 * Returns those of the addresses that are local here. All of 127.0.0.0/8 is, though `ip
 * address` shows one address of it.
 */
export async function ownAddresses(
  run: Run,
  addresses: readonly string[],
): Promise<Set<string>> {
  if (addresses.length === 0) return new Set();
  const lines = [...new Set(addresses)].map((address) => `route get ${address}`);
  const { answers } = await askIpLines(run, lines);
  const local = (answers as RouteJson[]).flatMap(({ dst, type }) => {
    const address = type === 'local' ? parseAddress(dst ?? '') : undefined;
    return address ? [formatAddress(address)] : [];
  });
  return new Set(local);
}
