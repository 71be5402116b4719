// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Turns the tables of a filled balancer into those of nat, and of its answers. */
import { encodeAnswer, encodeAnswerKey } from '../src/abi/answer.js';
import { encodeKey } from '../src/abi/bytes.js';
import { EMPTY_CELL } from '../src/abi/cell.js';
import { decodeDestination, encodeDestination } from '../src/abi/destination.js';
import {
  DEVICE_ANSWERS,
  DEVICE_XDP_ANSWERS,
  decodeDevice,
  encodeDevice,
} from '../src/abi/device.js';
import { mapNamed } from '../src/program/find.js';
import type { Bpftool } from '../src/system/bpftool.js';
import { decodeEntries, updateLine, valueOf } from '../src/system/bpftool-text.js';
import type { MapInfo } from '../src/system/bpftool-text.js';
import { parseAddress } from '../src/wire/address.js';
import { TCP } from '../src/wire/protocols.js';
import { must } from '../src/text/must.js';
import { CLIENT, CLIENT_PORT } from './traffic.js';

/** What a destination has in place of the service's port. */
const PORT = 8080;
/** An address for answers; any will do. */
const VIP = '203.0.113.10';
/** Connections that there are answers of: a power of two. */
export const ANSWERED = 16;

const addressOf = (text: string): Buffer => must(parseAddress(text), text);

export async function makeNat(bpftool: Bpftool, maps: readonly MapInfo[]): Promise<void> {
  const all = mapNamed(maps, 'destinations');
  const [dumped] = await bpftool.queries([`map dump id ${all.id}`]);
  const lines = decodeEntries(dumped).flatMap((entry) => {
    const destination = decodeDestination(valueOf(entry));
    if (destination.service === 0) return [];
    const changed = { ...destination, forward: 'nat', port: PORT } as const;
    return [updateLine(all, entry.key, encodeDestination(changed))];
  });
  await bpftool.write(lines, undefined);
}

/** The client's packets become answers: no service has them, and `answers` does. */
export async function makeAnswers(
  bpftool: Bpftool,
  maps: readonly MapInfo[],
  isSent: boolean,
): Promise<void> {
  const [device, services] = [mapNamed(maps, 'device'), mapNamed(maps, 'services')];
  const answers = mapNamed(maps, 'answers');
  const [one, cells] = (
    await bpftool.queries([device, services].map(({ id }) => `map dump id ${id}`))
  ).map(decodeEntries);
  const settings = decodeDevice(valueOf(must(one?.[0], 'device')));
  const flags = DEVICE_ANSWERS | (isSent ? DEVICE_XDP_ANSWERS : 0);
  const from = { address: addressOf(CLIENT), protocol: TCP };
  const value = encodeAnswer({
    ...{ address: addressOf(VIP), port: 80, isForFragments: false },
  });
  const lines = [
    ...Array.from({ length: ANSWERED }, (_, index) =>
      updateLine(answers, encodeAnswerKey({ ...from, port: CLIENT_PORT + index }), value),
    ),
    ...(cells ?? []).map(({ key }) => updateLine(services, key, EMPTY_CELL)),
    updateLine(device, encodeKey(0), encodeDevice({ ...settings, flags })),
  ];
  await bpftool.write(lines, undefined);
}
