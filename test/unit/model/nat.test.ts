// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The model of nat, against packets that are built with other addresses and ports. */
import { describe, expect, test } from '@jest/globals';

import { DEVICE_ANSWERS } from '../../../src/abi/device.js';
import { model } from '../../../src/model/model.js';
import type { ModelAnswer, ModelCell, Tables } from '../../../src/model/types.js';
import { parseAddress, parseMac } from '../../../src/wire/address.js';
import { must } from '../../../src/text/must.js';
import { MORE_FRAGMENTS, UDP, ethernet, ipv4, packet, udp } from '../../frames.js';
import { MACS, NAT, natRows, noAnswer } from '../../nat-packets.js';
import type { NatCase } from '../../nat-packets.js';
import { cell, destination, state, tables } from './tables.js';

const address = (text: string): Buffer => must(parseAddress(text), text);
const mac = (text: string): Buffer => must(parseMac(text), text);

function natTables(nat: NatCase, different: Partial<ModelCell> = {}): Tables {
  const { vip, destination: to } = nat;
  const way = { address: address(vip.address), port: vip.port, ...different };
  const from = { address: address(to.address), port: to.port };
  const value = {
    address: address(vip.address),
    port: vip.port,
    isForFragments: false,
    isByLink: false,
    id: 1,
  };
  const usual = tables();
  return {
    ...usual,
    device: { ...usual.device, mac: mac(MACS.balancer), flags: DEVICE_ANSWERS },
    cells: [6, 17].map((protocol) => cell({ ...way, protocol })),
    destinations: new Map([
      [
        1,
        destination({
          ...{ address: from.address, port: to.port, mac: mac(MACS.destination) },
          ...{ forward: 'nat', largestPacket: 1500 },
        }),
      ],
    ]),
    answers: [6, 17].map((protocol): ModelAnswer => ({
      key: { ...from, protocol },
      value,
    })),
  };
}

describe.each(['IPv4', 'IPv6'] as const)('nat, %s', (family) => {
  const nat = NAT[family];

  test.each(natRows(nat))('$verdict: $what', ({ verdict, comes, goes }) => {
    const answer = model(natTables(nat), state(), comes);
    expect(answer).toMatchObject({
      verdict,
      action: verdict === 'balanced' ? 'TX' : 'PASS',
      frame: goes,
      bytes: comes.length,
    });
  });

  test('not ours: from another port of a destination, and from all if no flag is set', () => {
    const own = natTables(nat);
    expect(model(own, state(), noAnswer(nat)).verdict).toBe('not ours');
    const without = { ...own, device: { ...own.device, flags: 0 } };
    for (const { verdict, comes } of natRows(nat)) {
      if (verdict === 'balanced') continue;
      expect(model(without, state(), comes)).toMatchObject({
        verdict: 'not ours',
        frame: comes,
      });
    }
  });

  test('other family: a destination of the other one', () => {
    const other = NAT[family === 'IPv4' ? 'IPv6' : 'IPv4'].destination.address;
    const own = natTables(nat);
    const entry = destination({ address: address(other), forward: 'nat' });
    const [row] = natRows(nat);
    expect(
      model(
        { ...own, destinations: new Map([[1, entry]]) },
        state(),
        must(row, 'row').comes,
      ),
    ).toMatchObject({ verdict: 'other family', action: 'DROP' });
  });
});

describe('fragments', () => {
  const nat = NAT.IPv4;
  const { client, vip, destination: to } = nat;
  const fragment = (from: string, at: string, offset: number, content: Buffer): Buffer =>
    ethernet(
      { to: MACS.balancer, from: MACS.sender },
      ipv4({ from, to: at, protocol: UDP, fragment: offset }, content),
    );
  const content = udp({ from: to.port, to: client.port }, Buffer.alloc(24, 7));

  test.each([
    { what: 'a first one', offset: MORE_FRAGMENTS },
    { what: 'a later one', offset: 2 },
  ])('$what is an answer only where a note says so', ({ offset }) => {
    const frame = fragment(to.address, client.address, offset, content);
    const own = natTables(nat);
    expect(model(own, state(), frame).verdict).toBe('not ours');
    const note: ModelAnswer = {
      key: { address: address(to.address), port: 0, protocol: UDP },
      value: {
        ...{ address: address(vip.address), port: 0, id: 1 },
        ...{ isForFragments: true, isByLink: false },
      },
    };
    const answers = [...(own.answers ?? []), note];
    expect(model({ ...own, answers }, state(), frame)).toMatchObject({
      verdict: 'answer passed',
      frame: ethernet(
        { to: MACS.balancer, from: MACS.sender },
        ipv4(
          {
            ...{ from: vip.address, to: client.address },
            ...{ protocol: UDP, fragment: offset },
          },
          content,
        ),
      ),
    });
    // The note is not for whole packets.
    expect(model({ ...own, answers }, state(), noAnswer(nat)).verdict).toBe('not ours');
  });
});

describe('by link', () => {
  const OTHER = '02:00:0a:00:01:77';

  function linkTables(vip: NatCase['vip']): Tables {
    const usual = tables();
    const key = { address: address(vip.address), port: vip.port, protocol: UDP };
    const value = {
      ...{ address: key.address, port: 0, id: 7 },
      ...{ isForFragments: false, isByLink: true },
    };
    return {
      ...usual,
      device: { ...usual.device, mac: mac(MACS.balancer), flags: DEVICE_ANSWERS },
      cells: [cell({ address: key.address, port: vip.port, protocol: UDP })],
      answers: [{ key, value }],
      senders: [
        { key: { mac: mac(MACS.destination), service: 7 }, id: 3 },
        { key: { mac: mac(OTHER), service: 8 }, id: 4 },
      ],
    };
  }

  test.each(['IPv4', 'IPv6'] as const)('%s: the sender is known by its MAC', (family) => {
    const { client, vip } = NAT[family];
    const ends = { from: vip.address, to: client.address };
    const content = udp({ from: vip.port, to: client.port }, Buffer.alloc(24, 7));
    const frame = (from: string): Buffer =>
      ethernet({ to: MACS.balancer, from }, packet({ ...ends, protocol: UDP }, content));
    const own = linkTables(vip);
    expect(model(own, state(), frame(MACS.destination))).toMatchObject({
      verdict: 'answer passed',
      action: 'PASS',
      frame: frame(MACS.destination),
      returned: 3,
    });
    // A destination of another service, and anybody.
    for (const one of [OTHER, MACS.sender]) {
      const answer = model(own, state(), frame(one));
      expect(answer).toMatchObject({ verdict: 'not ours', reasons: { noSender: 7 } });
      expect(answer.returned).toBeUndefined();
    }
  });
});
