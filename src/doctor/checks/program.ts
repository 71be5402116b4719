// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Checks of the device and of the program on it. */
import { MODE_NAMES } from '../../text/mode.js';
import { ABI, PROGRAM_NAME } from '../../abi/maps.js';
import { abiOf, isDecap } from '../../program/find.js';
import type { Check, Facts } from '../facts.js';
import { printableLine } from '../../text/printable.js';
import { Unseen } from '../../text/unseen.js';
import { found, orWell, remark } from '../findings.js';

export const checkDevice: Check = ({ device, peer }) => {
  const { name } = device;
  if (!device.up) {
    return [
      found({
        finding: `${name} is down`,
        evidence: `ip link show dev ${name} does not say UP`,
        fix: `ip link set dev ${name} up`,
      }),
    ];
  }
  if (!device.carrier) {
    const end = peer?.isSeen ? peer : undefined;
    const where = end?.namespace === undefined ? '' : `-n ${end.namespace} `;
    return [
      found({
        finding: `${name} has no carrier`,
        evidence: `ip link show dev ${name} does not say LOWER_UP: nothing is at its other end`,
        fix: end
          ? `ip ${where}link set dev ${end.device.name} up`
          : 'plug in the cable, or enable the switch port',
      }),
    ];
  }
  return `${name} is up, with MAC ${device.mac} and an MTU of ${device.mtu}`;
};

export const checkTools: Check = ({ hardware, traffic, device }) => {
  const missing: [tool: string, what: string, unseen: Unseen][] = [];
  if (hardware instanceof Unseen) {
    const what = 'the driver, and whether the device removes VLAN tags';
    missing.push(['ethtool', what, hardware]);
  }
  if (traffic?.passed instanceof Unseen) {
    const what = 'which packets matched no service';
    missing.push(['tcpdump', what, traffic.passed]);
  }
  return orWell(
    missing.map(([tool, what, { why }]) =>
      remark({
        finding: `${tool} does not report on ${device.name}`,
        evidence: `${why}; so this is unknown: ${what}`,
        fix: why.startsWith('no ')
          ? `apt-get install ${tool}`
          : `${tool === 'ethtool' ? 'ethtool -i' : 'tcpdump -i'} ${device.name}, and read its error`,
      }),
    ),
    traffic ? 'ethtool and tcpdump are available' : 'ethtool is available',
  );
};

/** The drivers in Linux that offload whole programs. */
const OFFLOADING = ['nfp', 'netdevsim'];

export const checkOffload: Check = ({ device, hardware, offload, program }) => {
  if (!offload) return undefined;
  if (offload.refusal === undefined) return `${device.name} accepts the portable build`;
  const driver = hardware instanceof Unseen ? '' : hardware.driver;
  const why = OFFLOADING.includes(driver)
    ? `the driver ${driver} supports offload, so the cause is the card's firmware or the program's size`
    : `its driver${driver && ` ${driver}`} does not support eBPF offload; in Linux nfp does, for Netronome's Agilio cards`;
  return [
    found({
      finding: `${device.name} refuses the program in offload mode`,
      evidence: `${offload.refusal}; ${why}`,
      fix:
        program?.mode === 'xdpdrv'
          ? `none needed: it runs in driver mode, see l4lb-doctor -i ${device.name}`
          : `l4lb-load -i ${device.name} -m xdpdrv`,
    }),
  ];
};

export const checkProgram: Check = (facts) => {
  const { device, program, asked, balancer, sending } = facts;
  const { name } = device;
  if (!program) return isRefused(facts) ? undefined : [noProgram(facts)];
  const what = `program ${program.id} in mode ${program.mode} is ${program.name || 'nameless'}`;
  const abi = abiOf(program.name);
  if (sending) {
    return `${program.name} in mode ${MODE_NAMES[program.mode]}, the decapsulation program of a destination (program ${program.id})`;
  }
  if (isDecap(program.name)) {
    return [
      found({
        finding: `${name} has the decapsulation program, not the balancer`,
        evidence: `${what}, which removes the outer header`,
        fix: `l4lb-load -i ${name} --off && l4lb-load -i ${name} -f FILE`,
      }),
    ];
  }
  if (abi !== undefined && abi !== ABI) {
    return [
      found({
        finding: `the program on ${name} is from another release than these tools`,
        evidence: `${what}; its ABI version is ${abi}, and the tools have ${ABI}`,
        fix: `l4lb-load -i ${name} --replace`,
      }),
    ];
  }
  if (!balancer) {
    return [
      found({
        finding: `the program on ${name} is not l4lb`,
        evidence:
          program.name === PROGRAM_NAME
            ? `${what}, but its maps are not those of l4lb`
            : what,
        fix: `ip link set dev ${name} ${program.mode} off && l4lb-load -i ${name} -f FILE`,
      }),
    ];
  }
  const asWell = asked && asked !== program.mode ? ', not in the requested mode' : '';
  return `${program.name} in mode ${MODE_NAMES[program.mode]}${asWell}, ${balancer.build} build (program ${program.id})`;
};

/** The check of offload already says that there is no program in offload mode then. */
function isRefused({ offload }: Facts): boolean {
  return offload?.refusal !== undefined;
}

function noProgram({ device, asked }: Facts): ReturnType<typeof found> {
  const { name, programs } = device;
  const mode = asked ? ` in mode ${asked}` : '';
  const there = programs.map((one) => `${one.name || 'one'} in mode ${one.mode}`);
  return found({
    finding: `no XDP program on ${name}${mode}`,
    evidence:
      there.length > 0
        ? `ip link show dev ${name} lists ${there.join(' and ')}`
        : `ip link show dev ${name} lists none`,
    fix:
      there.length > 0 && asked !== 'xdpoffload'
        ? `l4lb-load -i ${name} --off && l4lb-load -i ${name}${asked ? ` -m ${asked}` : ''} -f FILE`
        : `l4lb-load -i ${name}${asked ? ` -m ${asked}` : ''} -f FILE`,
  });
}

function checkDpdk(device: string, there: Facts['dpdk']): ReturnType<Check> {
  if (!there) return undefined;
  if (there.process !== undefined) {
    return `process ${there.process} runs it on port ${printableLine(there.port)}`;
  }
  return [
    found({
      finding: `nobody runs the program of ${device}`,
      evidence: `l4lb-dpdk on port ${printableLine(there.port)} has ended; process ${there.holder} keeps the tables`,
      fix: 'start l4lb-dpdk again as before: it takes up the tables',
    }),
  ];
}

/** Drivers that support XDP with XDP_TX. */
const XDP_DRIVERS = new Set(
  (
    'atlantic bnxt_en dpaa2-eth ena enetc fec fsl_dpa_eth gve hv_netvsc i40e iavf ice igb igc ' +
    'ixgbe ixgbevf lan966x mana mlx4_en mlx5_core mtk_eth_soc mvneta mvpp2 netdevsim nfp ' +
    'nicvf octeontx2-nicpf qede sfc sfc-ef100 sfc_siena stmmac st_gmac tap tun ' +
    'ti_cpsw veth virtio_net vmxnet3'
  ).split(' '),
);
/** The MTU that fits one page, in the drivers with the least room. */
const ONE_BUFFER = 3498;

export const checkMode: Check = ({ device, program, balancer, hardware, dpdk }) => {
  if (!program || !balancer) return undefined;
  if (program.mode === 'dpdk') return checkDpdk(device.name, dpdk);
  const { name } = device;
  if (program.mode !== 'xdpgeneric') return `not in generic mode, which is slow`;
  const driver = hardware instanceof Unseen ? device.kind : hardware.driver;
  if (hardware instanceof Unseen && driver === '') {
    return new Unseen(
      `whether driver mode would work instead of generic mode: ${hardware.why}`,
    );
  }
  // A veth with a program in driver mode takes no large packets from its other end.
  if (driver === 'veth' && balancer.local && balancer.destinations.length === 0) {
    return 'in generic mode, which suits a veth whose packets all stay on this host';
  }
  if (!XDP_DRIVERS.has(driver)) {
    return `in generic mode, since the driver ${driver} is not known to support XDP`;
  }
  const again = (load: string): string =>
    [
      `l4lb-map -i ${name} --export > l4lb.toml`,
      `l4lb-load -i ${name} --off`,
      load,
      `l4lb-map -i ${name} -c l4lb.toml`,
    ].join(' && ');
  if (device.mtu > ONE_BUFFER) {
    return [
      remark({
        finding: `${name} runs in generic mode`,
        evidence: `the driver ${driver} supports XDP, but perhaps not at an MTU of ${device.mtu}`,
        fix: `ip link set dev ${name} mtu ${ONE_BUFFER} && ${again(`l4lb-load -i ${name}`)}, if you do not need so large an MTU`,
      }),
    ];
  }
  return [
    found({
      finding: `${name} runs in generic mode, but driver mode should work`,
      evidence: `the driver ${driver} supports XDP, and the MTU of ${device.mtu} allows it`,
      fix: again(`l4lb-load -i ${name} -m xdpdrv`),
    }),
  ];
};

export const checkVlan: Check = ({ device, hardware }) => {
  const { name } = device;
  const strips = hardware instanceof Unseen ? hardware : hardware.stripsTags;
  if (strips instanceof Unseen) {
    return new Unseen(`whether ${name} takes VLAN tags off: ${strips.why}`);
  }
  if (strips === 'off') return `${name} leaves VLAN tags in the frame`;
  return [
    remark({
      finding: `${name} removes VLAN tags before XDP sees the frame`,
      evidence:
        'rx-vlan-offload is on, so tagged frames would leave without their tag; ' +
        'this matters only where tagged frames arrive',
      fix:
        strips === 'always'
          ? 'none: this driver cannot turn it off'
          : `ethtool -K ${name} rxvlan off`,
    }),
  ];
};
