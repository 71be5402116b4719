// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import {
  readHardware,
  readOffloads,
  readOwnDrops,
  readSendDrops,
  tagNote,
} from '../../../src/system/ethtool.js';
import { Unseen } from '../../../src/text/unseen.js';
import { Failure } from '../../../src/text/failure.js';
import { fakeRun } from './fake-run.js';

function hardware(features: string): ReturnType<typeof readHardware> {
  const { run } = fakeRun({
    'ethtool -i ens4': 'driver: veth\nversion: 1.0\n',
    'ethtool -k ens4': `Features for ens4:\n${features}\nrx-vlan-filter: on [fixed]\n`,
  });
  return readHardware(run, 'ens4');
}

describe('ethtool', () => {
  test.each([
    ['rx-vlan-offload: off', 'off'],
    ['rx-vlan-offload: off [fixed]', 'off'],
    ['rx-vlan-offload: on', 'on'],
    ['rx-vlan-offload: on [fixed]', 'always'],
  ])('%s: tags are taken off: %s', async (features, stripsTags) => {
    expect(await hardware(features)).toEqual({ driver: 'veth', stripsTags });
  });

  test('notes that tags are taken off, and how not to', async () => {
    expect(tagNote('ens4', await hardware('rx-vlan-offload: on'))).toContain(
      'ethtool -K ens4 rxvlan off',
    );
    expect(tagNote('ens4', await hardware('rx-vlan-offload: on [fixed]'))).toContain(
      'the driver veth has no setting for it',
    );
    expect(tagNote('ens4', await hardware('rx-vlan-offload: off'))).toBeUndefined();
    expect(tagNote('ens4', new Unseen('no ethtool'))).toBeUndefined();
  });

  test('may be missing, or know nothing', async () => {
    const missing = (): never => {
      throw new Failure('no ethtool on this machine');
    };
    expect(await readHardware(missing, 'ens4')).toEqual(
      new Unseen('no ethtool on this machine'),
    );
    const { run } = fakeRun({
      'ethtool -i ens4': {
        exitCode: 71,
        stderr: 'Cannot get driver information: Operation not permitted\n',
      },
    });
    expect(await readHardware(run, 'ens4')).toEqual(
      new Unseen(
        'ethtool -i ens4: Cannot get driver information: Operation not permitted',
      ),
    );
  });

  test('that does not name the offload does not say that it is off', async () => {
    expect(await hardware('rx-checksumming: on')).toEqual({
      driver: 'veth',
      stripsTags: new Unseen('ethtool -k ens4 does not name rx-vlan-offload'),
    });
  });
});

describe('frames that a device dropped', () => {
  test.each([
    [
      'a veth',
      '     rx_queue_0_xdp_drops: 4\n     rx_queue_0_xdp_tx: 9\n     rx_queue_0_xdp_tx_errors: 0\n     rx_queue_1_xdp_tx_errors: 5\n     tx_queue_0_xdp_xmit_errors: 7\n',
      [
        ['rx_queue_0_xdp_tx_errors', 0],
        ['rx_queue_1_xdp_tx_errors', 5],
      ],
    ],
    [
      'mlx5',
      '     rx_xdp_drop: 1\n     rx_xdp_tx_xmit: 9\n     rx_xdp_tx_full: 2\n     rx_out_of_buffer: 3\n',
      [
        ['rx_xdp_tx_full', 2],
        ['rx_out_of_buffer', 3],
      ],
    ],
    ['igb', '     rx_errors: 1\n     rx_missed_errors: 6\n', [['rx_missed_errors', 6]]],
  ])('of %s, and none that the program dropped', async (_what, statistics, expected) => {
    const { run } = fakeRun({ 'ethtool -S eth1': `NIC statistics:\n${statistics}` });
    expect([...((await readOwnDrops(run, 'eth1')) as Map<string, number>)]).toEqual(
      expected,
    );
  });

  test('of a device that counts none are not known', async () => {
    const { run } = fakeRun({ 'ethtool -S eth1': '  rx_packets: 9\n' });
    expect(await readOwnDrops(run, 'eth1')).toEqual(
      new Unseen('ethtool -S eth1 does not count them'),
    );
  });
});

describe('frames that XDP sent and a device did not take', () => {
  test.each([
    [
      'a veth',
      '     rx_queue_0_xdp_drops: 4\n     rx_queue_0_xdp_tx_errors: 5\n     tx_queue_0_xdp_xmit: 6\n     tx_queue_0_xdp_xmit_errors: 7\n',
      [['tx_queue_0_xdp_xmit_errors', 7]],
    ],
    [
      'mlx5',
      '     rx_xdp_drop: 1\n     tx_xdp_xmit: 9\n     tx_xdp_full: 2\n     tx_xdp_err: 3\n',
      [
        ['tx_xdp_full', 2],
        ['tx_xdp_err', 3],
      ],
    ],
    ['a device that counts none', '     tx_packets: 3\n', []],
  ])('of %s', async (_what, statistics, expected) => {
    const { run } = fakeRun({ 'ethtool -S eth1': `NIC statistics:\n${statistics}` });
    expect([...((await readSendDrops(run, 'eth1')) as Map<string, number>)]).toEqual(
      expected,
    );
  });
});

test('offloads are read here, and in another namespace', async () => {
  const features = (gro: string, tx: string): string =>
    `Features for eth0:\ntx-checksumming: ${tx}\n\ttx-checksum-ipv4: off [fixed]\ntcp-segmentation-offload: on\n\ttx-tcp-segmentation: off [requested on]\n` +
    `generic-segmentation-offload: on\ngeneric-receive-offload: ${gro}\n`;
  const { run } = fakeRun({
    'ethtool -k eth0': features('off', 'on'),
    'ip netns exec web-1 ethtool -k eth0': features('on', 'off'),
    'ip netns exec web-2 ethtool -k eth0': '',
  });
  const [here, there] = [undefined, 'web-1'];
  expect(await readOffloads(run, 'eth0', here)).toEqual({
    gro: false,
    tso: false,
    checksums: true,
  });
  expect(await readOffloads(run, 'eth0', there)).toEqual({
    gro: true,
    tso: false,
    checksums: false,
  });
  expect(await readOffloads(run, 'eth0', 'web-2')).toEqual(
    new Unseen('ethtool -k eth0 does not name generic-receive-offload'),
  );
});
