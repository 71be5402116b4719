// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What l4lb-doctor finds out where all is well, for tests to break. */
import { TCP } from '../../../src/wire/protocols.js';
import { CELL_USED } from '../../../src/abi/cell.js';
import type { VerdictName } from '../../../src/abi/verdicts.js';
import { VERDICTS } from '../../../src/abi/verdicts.js';
import type {
  Balancer,
  DestinationFacts,
  Facts,
  FarEnd,
  Traffic,
} from '../../../src/doctor/facts.js';
import type { Device } from '../../../src/system/ip/namespaces.js';
import { VIP, ip, mac } from '../wire/names.js';

export const MAC = '02:00:0a:00:00:01';
export const WEB_1_MAC = '02:00:0a:00:01:15';

export function device(more: Partial<Device> = {}): Device {
  return {
    name: 'ens4',
    ifindex: 4,
    mac: MAC,
    mtu: 1500,
    up: true,
    carrier: true,
    kind: '',
    addresses: ['10.0.0.1'],
    programs: [{ mode: 'xdpdrv', id: 7, name: 'l4lb_2' }],
    peer: undefined,
    ...more,
  };
}

export function destination(more: Partial<DestinationFacts> = {}): DestinationFacts {
  return {
    id: 1,
    address: '10.0.1.15',
    mac: WEB_1_MAC,
    source: '10.0.0.1',
    isSpread: false,
    service: 1,
    forward: 'tunnel',
    isFound: false,
    device: 'ens4',
    hop: '10.0.1.15',
    isLocal: false,
    neighbour: { mac: WEB_1_MAC, answers: 'yes' },
    ...more,
  };
}

export function balancer(more: Partial<Balancer> = {}): Balancer {
  return {
    build: 'host',
    tables: {
      sizes: { slots: 512, destinations: 512, cells: 16 },
      device: {
        abi: 1,
        generation: 1,
        cellSeed: 0,
        slotSeed: 0,
        mac: mac(MAC),
        sessionPort: 0,
        mtu: 1500,
        log2Sets: 0,
        flags: 0,
        names: {},
      },
      cells: new Map(),
      destinations: new Map([
        [
          1,
          {
            address: ip('10.0.1.15'),
            mac: mac(WEB_1_MAC),
            service: 1,
            weight: 1,
            spread: 0,
            source: ip('10.0.0.1'),
            headerSum: 0,
            largestPacket: 1480,
            forward: 'tunnel',
            isFound: false,
            isForgotten: false,
            exit: 0,
            port: 0,
            block: 0,
          },
        ],
      ]),
      slots: new Map(),
    },
    services: [
      {
        id: 1,
        firstSlot: 0,
        log2Slots: 9,
        ways: [{ address: VIP, port: 80, protocol: TCP }],
        flags: CELL_USED,
        idle: 0,
        drainDeadline: 0,
        emptySlots: 0,
      },
    ],
    destinations: [destination()],
    exits: [],
    isWatched: false,
    ...more,
  };
}

export function traffic(
  verdicts: Partial<Record<VerdictName, number>> = { balanced: 100 },
  more: Partial<Traffic> = {},
): Traffic {
  const counts = VERDICTS.map(({ name }) => [name, verdicts[name] ?? 0] as const);
  return {
    interval: 1,
    verdicts: new Map(counts),
    sums: new Map(counts.map(([name, count]) => [name, BigInt(count)])),
    received: counts.reduce((sum, [, count]) => sum + count, 0),
    drops: new Map(),
    passed: [],
    exits: new Map(),
    ...more,
  };
}

export function farEnd(more: Partial<FarEnd> = {}): FarEnd {
  const eth0 = device({
    name: 'eth0',
    mac: WEB_1_MAC,
    addresses: ['10.0.1.15'],
    programs: [{ mode: 'xdpdrv', id: 9, name: 'l4lb_decap_1' }],
  });
  const lo = device({ name: 'lo', mac: '', addresses: ['192.0.2.10'], programs: [] });
  return {
    address: '10.0.1.15',
    namespace: 'web-1',
    device: eth0,
    devices: [lo, eth0],
    rpFilters: new Map([
      ['all', 'off'],
      ['eth0', 'off'],
    ]),
    defaultDevices: [],
    arpIgnore: undefined,
    ...more,
  };
}

/** Where all is well. */
export function facts(more: Partial<Facts> = {}): Facts {
  return {
    device: device(),
    hardware: { driver: 'ixgbe', stripsTags: 'off' },
    asked: undefined,
    offload: undefined,
    program: { mode: 'xdpdrv', id: 7, name: 'l4lb_2' },
    balancer: balancer(),
    sending: undefined,
    records: undefined,
    ports: undefined,
    daemon: undefined,
    dpdk: undefined,
    peer: undefined,
    peerOffloads: undefined,
    traffic: traffic(),
    farEnds: [],
    addresses: ['127.0.0.1', '10.0.0.1'],
    passObject: '/usr/lib/l4lb/testbed/pass.o',
    ...more,
  };
}
