// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Turns the tables of a filled balancer into some that take its packets for answers of nat. */
import { encodeAnswer, encodeAnswerKey } from '../src/abi/answer.js';
import { encodeKey } from '../src/abi/bytes.js';
import { EMPTY_CELL } from '../src/abi/cell.js';
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

/** An address for answers; any will do. */
const VIP = '203.0.113.10';
/** Connections that there are answers of: a power of two. */
export const ANSWERED = 16;

const addressOf = (text: string): Buffer => must(parseAddress(text), text);

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
    ...{ address: addressOf(VIP), port: 80, isForFragments: false, id: 1 },
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
