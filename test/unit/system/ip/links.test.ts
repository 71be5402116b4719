// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import { Failure } from '../../../../src/text/failure.js';
import { Iproute } from '../../../../src/system/ip/links.js';
import type { Answer } from '../fake-run.js';
import { fakeRun } from '../fake-run.js';

const LINK = 'ip -j -d addr show dev ens4';

/** What `ip -j -d addr` (iproute2 6.1) says of ens4, as far as it is read. */
function link(more: object = {}): string {
  return JSON.stringify([
    {
      ifindex: 4,
      ifname: 'ens4',
      flags: ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP'],
      mtu: 1500,
      operstate: 'UP',
      address: '02:00:0a:00:00:01',
      ...more,
    },
  ]);
}

function iproute(answers: Record<string, Answer | Answer[]>): {
  ip: Iproute;
  lines: string[];
} {
  const { run, lines } = fakeRun(answers);
  return { ip: new Iproute(run), lines };
}

async function failureOf(attempt: Promise<unknown>): Promise<Failure> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

describe('iproute', () => {
  test('reads a device', async () => {
    const { ip } = iproute({ [LINK]: link() });
    expect(await ip.link('ens4')).toEqual({
      name: 'ens4',
      ifindex: 4,
      mac: '02:00:0a:00:00:01',
      mtu: 1500,
      up: true,
      addresses: { ipv4: undefined, ipv6: undefined },
      programs: [],
    });
  });

  test('reads no MTU that an IP packet cannot have, such as that of lo', async () => {
    const { ip } = iproute({ [LINK]: link({ mtu: 65_536 }) });
    expect(await ip.link('ens4')).toMatchObject({ mtu: 65_535 });
  });

  test('reads a device that is down, and one without an address', async () => {
    const { ip } = iproute({
      [LINK]: link({ flags: ['NOARP'], address: undefined }),
    });
    expect(await ip.link('ens4')).toMatchObject({ up: false, mac: '' });
  });

  test.each([
    { programs: 'no program', xdp: undefined, expected: [] },
    { programs: 'an empty entry', xdp: {}, expected: [] },
    {
      programs: 'one in driver mode',
      xdp: { mode: 1, prog: { id: 7, name: 'l4lb_2', tag: 'ab', jited: 1 } },
      expected: ['xdpdrv 7 l4lb_2'],
    },
    {
      programs: 'one in generic mode',
      xdp: { mode: 2, prog: { id: 7, name: 'l4lb_2' } },
      expected: ['xdpgeneric 7 l4lb_2'],
    },
    {
      programs: 'one in offload mode',
      xdp: { mode: 3, prog: { id: 7, name: 'l4lb_2' } },
      expected: ['xdpoffload 7 l4lb_2'],
    },
    {
      programs: 'one without a name',
      xdp: { mode: 1, prog: { id: 7 } },
      expected: ['xdpdrv 7 '],
    },
    {
      programs: 'one, which is also listed as attached',
      xdp: {
        mode: 1,
        prog: { id: 7, name: 'l4lb_2' },
        attached: [{ mode: 1, prog: { id: 7, name: 'l4lb_2' } }],
      },
      expected: ['xdpdrv 7 l4lb_2'],
    },
    {
      programs: 'two, of which only xdp.attached tells',
      xdp: {
        mode: 4,
        attached: [
          { mode: 1, prog: { id: 7, name: 'l4lb_2' } },
          { mode: 3, prog: { id: 9, name: 'l4lb_2' } },
        ],
      },
      expected: ['xdpdrv 7 l4lb_2', 'xdpoffload 9 l4lb_2'],
    },
  ])('finds $programs', async ({ xdp, expected }) => {
    const { ip } = iproute({ [LINK]: link({ xdp }) });
    const { programs } = await ip.link('ens4');
    expect(programs.map(({ mode, id, name }) => `${mode} ${id} ${name}`)).toEqual(
      expected,
    );
  });

  test('names the devices that there are where there is no such device', async () => {
    const { ip } = iproute({
      'ip -j -d addr show dev ens5': {
        exitCode: 1,
        stderr: 'Device "ens5" does not exist.\n',
      },
      'ip -j link show': '[{"ifname":"lo"},{"ifname":"ens4"}]',
    });
    const failure = await failureOf(ip.link('ens5'));
    expect(failure.format('l4lb-map')).toBe(
      [
        'l4lb-map: no device ens5',
        '  likely cause: the name is mistyped, or the device is in another network namespace',
        '  next: name one of: lo, ens4',
      ].join('\n'),
    );
  });

  test('fails with the words of ip, and the command that was run', async () => {
    const { ip } = iproute({
      'ip link set dev ens4 xdpdrv off': {
        exitCode: 2,
        stderr: 'RTNETLINK answers: Operation not permitted\nmore\n',
      },
    });
    const failure = await failureOf(ip.detach('ens4', 'xdpdrv'));
    expect(failure.message).toBe(
      'ip link set dev ens4 xdpdrv off: RTNETLINK answers: Operation not permitted',
    );
  });

  test('detaches in the mode that is named', async () => {
    const { ip, lines } = iproute({ 'ip link set dev ens4 xdpgeneric off': '' });
    await ip.detach('ens4', 'xdpgeneric');
    expect(lines).toEqual(['ip link set dev ens4 xdpgeneric off']);
  });

  const GLOBAL = { family: 'inet', scope: 'global' };
  const GLOBAL_6 = { family: 'inet6', scope: 'global' };

  test.each([
    {
      which: 'the first of two',
      infos: [
        { ...GLOBAL, local: '10.0.0.1' },
        { ...GLOBAL, local: '10.0.0.2' },
      ],
      expected: { ipv4: '10.0.0.1', ipv6: undefined },
    },
    { which: 'none', infos: [], expected: { ipv4: undefined, ipv6: undefined } },
    { which: 'none at all', infos: undefined, expected: {} },
    {
      which: 'one of each family',
      infos: [
        { ...GLOBAL_6, local: '2001:db8::4' },
        { ...GLOBAL, local: '10.0.0.1' },
      ],
      expected: { ipv4: '10.0.0.1', ipv6: '2001:db8::4' },
    },
    {
      which: 'none that is only of the link or of the host',
      infos: [
        { family: 'inet6', scope: 'link', local: 'fe80::1' },
        { family: 'inet', scope: 'host', local: '127.0.0.1' },
      ],
      expected: {},
    },
    {
      which: 'the first that will stay',
      infos: [
        { ...GLOBAL_6, local: '2001:db8::aaaa', temporary: true },
        { ...GLOBAL_6, local: '2001:db8::bbbb', deprecated: true },
        { ...GLOBAL_6, local: '2001:db8::cccc', tentative: true },
        { ...GLOBAL_6, local: '2001:db8::4' },
      ],
      expected: { ipv4: undefined, ipv6: '2001:db8::4' },
    },
  ])('the addresses of a device: $which', async ({ infos, expected }) => {
    const { ip } = iproute({ [LINK]: link({ addr_info: infos }) });
    expect((await ip.link('ens4')).addresses).toEqual(expected);
  });

  test('knows all addresses of the host', async () => {
    const { ip } = iproute({
      'ip -j addr show':
        '[{"addr_info":[{"local":"127.0.0.1"},{"local":"::1"}]},{"addr_info":[{"local":"10.0.0.1"}]}]',
    });
    expect(await ip.hostAddresses()).toEqual(['127.0.0.1', '::1', '10.0.0.1']);
  });

  test('knows how much a device has received', async () => {
    const { ip } = iproute({
      'ip -j -s link show dev ens4': [
        JSON.stringify([{ stats64: { rx: { packets: 7 } } }]),
        '[{}]',
      ],
    });
    expect(await ip.received('ens4')).toBe(7);
    await expect(ip.received('ens4')).rejects.toThrow(Failure);
  });
});
