// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';

import {
  readGro,
  readHardware,
  readSendDrops,
  readTransmitErrors,
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

  test('sums the errors of all queues, where the driver has them', async () => {
    const { run } = fakeRun({
      'ethtool -S ens4':
        '  rx_queue_0_xdp_tx: 9\n  rx_queue_0_xdp_tx_errors: 3\n  rx_queue_1_xdp_tx_errors: 4\n',
      'ethtool -S ens5': '  rx_packets: 9\n',
    });
    expect(await readTransmitErrors(run, 'ens4')).toBe(7);
    expect(await readTransmitErrors(run, 'ens5')).toBeInstanceOf(Unseen);
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

test('GRO is read here, and in another namespace', async () => {
  const features = (state: string): string =>
    `Features for eth0:\ngeneric-segmentation-offload: on\ngeneric-receive-offload: ${state}\n`;
  const { run } = fakeRun({
    'ethtool -k eth0': features('off'),
    'ip netns exec web-1 ethtool -k eth0': features('on'),
    'ip netns exec web-2 ethtool -k eth0': '',
  });
  expect(await readGro(run, 'eth0', undefined)).toBe(false);
  expect(await readGro(run, 'eth0', 'web-1')).toBe(true);
  expect(await readGro(run, 'eth0', 'web-2')).toEqual(
    new Unseen('ethtool -k eth0 does not name generic-receive-offload'),
  );
});
