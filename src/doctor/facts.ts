// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** All that l4lb-doctor has found out, as one value, and what its checks make of it. */
import type { DpdkProcess } from '../system/dpdk.js';
import type { Build } from '../abi/maps.js';
import type { Status } from '../api/status.js';
import type { VerdictName } from '../abi/verdicts.js';
import type { Mode } from '../text/mode.js';
import type { Hardware, Offloads } from '../system/ethtool.js';
import type { Unseen } from '../text/unseen.js';
import type { AttachedProgram } from '../system/ip/links.js';
import type { Ports } from '../plan/port-use.js';
import type { Records } from '../plan/records.js';
import type { Tables } from '../plan/state.js';
import type { Service } from '../plan/services.js';
import type { Device, RpFilter } from '../system/ip/namespaces.js';
import type { Exit } from '../abi/exit.js';
import type { Network, Place } from '../system/ip/own.js';
import type { Asked, Routing } from '../system/settings.js';
import type { EntryForward } from '../wire/forward.js';
import type { Names } from '../wire/names.js';

export interface Facts {
  device: Device;
  hardware: Hardware | Unseen;
  /** The mode that the user asked about. */
  asked: Mode | undefined;
  /** How the kernel answered when asked to offload; undefined if the user did not ask. */
  offload: { refusal: string | undefined } | undefined;
  program: AttachedProgram | undefined;
  /** Undefined unless the program's maps are those that these tools know. */
  balancer: Balancer | undefined;
  /** Of the decapsulation program, if it knows siblings. */
  sending: Sending | undefined;
  records: Records;
  /** How many ports of full-nat are taken. */
  ports: Ports;
  /** What l4lbd says; undefined: none runs on the device. */
  daemon: Status | Unseen | undefined;
  /** The process of DPDK's for the device, if there is or was one. */
  dpdk: DpdkProcess | undefined;
  /** Undefined where the device is no veth. */
  peer: Peer | undefined;
  /** Of the other end of a veth; undefined if it is not seen. */
  peerOffloads: Offloads | Unseen | undefined;
  traffic: Traffic | undefined;
  farEnds: FarEnd[];
  /** The addresses on all devices of this host. */
  addresses: string[];
  /** A program that passes everything, for the other end of a veth. */
  passObject: string;
}

export interface Balancer {
  build: Build;
  tables: Tables;
  services: ServiceFacts[];
  destinations: DestinationFacts[];
  /** Other devices that packets leave by, as far as destinations are behind them. */
  exits: ExitFacts[];
  /** Destinations on this host, which are not among the others; undefined: there are none. */
  local?: LocalFacts | undefined;
  /** The addresses that full-nat sends from; undefined: there are none. */
  pools?: PoolsFacts | undefined;
  /** Whether an `l4lb watch` of its device is seen in this network namespace. */
  isWatched: boolean;
}

export interface PoolsFacts {
  /** Those of the program's device, and of the devices that packets leave by. */
  links: LinkFacts[];
  pools: PoolFacts[];
}

/** A device, and for whom it answers hosts on its link that ask for a MAC. */
export interface LinkFacts extends Asked {
  name: string;
  networks: Network[];
  /** Addresses of others that it is to answer for. */
  proxied: ReadonlySet<string>;
}

export interface PoolFacts {
  /** As --source has it. */
  source: string;
  addresses: (Place & { address: string })[];
  /** How many answers came to it since the program was loaded. */
  returned: bigint;
}

export interface LocalFacts {
  servers: LocalServerFacts[];
  /** Whether the program that hands packets to them is attached. */
  isSteered: boolean;
}

/** A server on this host that packets are for. */
export interface LocalServerFacts {
  /** Where it listens, as `127.0.0.23:223/tcp`. */
  name: string;
  destination: string;
  /** One of the services that packets come from. */
  service: number;
  isListening: boolean;
  /** Whether packets are handed to the socket that it has now, or had. */
  isKnown: boolean;
  /** Addresses of its services that are not this host's. */
  foreign: string[];
}

/** A device that packets leave by, if it is not the one that they come in on. */
export interface ExitFacts {
  number: number;
  /** What the table has. */
  entry: Exit;
  /** Whether the program still has the device: the kernel takes one out that was removed. */
  isLost: boolean;
  /** The device with this number now, or the VLAN device on it. */
  device: Device | undefined;
  /** The device that frames leave by: the one beneath a VLAN device. */
  sender: Device | undefined;
  /** The destinations behind it. */
  destinations: string[];
  services: number[];
  /** The devices by which the kernel reaches these destinations now. */
  routed: string[];
  /** Undefined where the sender is no veth. */
  peer: Peer | undefined;
  /** Whether the other end of a veth has GRO. */
  gro: boolean | Unseen | undefined;
  /** Undefined where there is no device. */
  routing: Routing | undefined;
}

export interface ServiceFacts extends Service {
  /** The number of slots that lead to no destination. */
  emptySlots: number;
}

/** A destination that sends on what is a sibling's. */
export interface Sending {
  names: Names;
  /** Its own addresses that can be named. */
  self: string[];
  siblings: SiblingFacts[];
}

export interface SiblingFacts extends Towards {
  address: string;
  mac: string;
}

/** What the kernel knows of the way to an address. */
export interface Towards {
  /** The next hop; undefined without a route over this device. */
  hop: string | undefined;
  isLocal: boolean;
  /** What the kernel knows of the next hop, after asking; undefined without one. */
  neighbour: NeighbourFacts | Unseen | undefined;
}

export interface NeighbourFacts {
  mac: string | undefined;
  answers: 'yes' | 'no' | 'not asked';
  /** Whether the kernel asks for it again and again by itself; undefined: it does not. */
  isManaged?: boolean;
}

export interface DestinationFacts extends Towards {
  id: number;
  address: string;
  mac: string;
  source: string;
  /**
   * Whether the source is a prefix that connections are spread over, not a single
   * address.
   */
  isSpread: boolean;
  service: number;
  forward: EntryForward;
  /** Whether its MAC and its device were found by the kernel's routes. */
  isFound: boolean;
  /** The device that packets to it leave by; undefined if that does not work. */
  device: string | undefined;
}

/** The other end of a veth. */
export type Peer =
  { isSeen: false } | { isSeen: true; namespace: string | undefined; device: Device };

/** The packets that came while the doctor watched. */
export interface Traffic {
  /** In seconds. */
  interval: number;
  /** Packets by verdict. */
  verdicts: ReadonlyMap<VerdictName, number>;
  /** The same since the program was loaded. */
  sums: ReadonlyMap<VerdictName, bigint>;
  /** Packets that the device received, by its own counter. */
  received: number;
  /**
   * Counters of frames that the device dropped before the program saw them, or did not
   * take back from it, if they rose, and by how much.
   */
  drops: ReadonlyMap<string, number> | Unseen;
  /** What XDP passed to the host. */
  passed: Passed[] | Unseen;
  /** What went to exits, and came back by them, by the exit's number. */
  exits: ReadonlyMap<number, ExitTraffic>;
}

export interface ExitTraffic {
  /** Packets that the program sent to the destinations behind it. */
  balanced: number;
  /** Packets that the device sent, by its own counter. */
  sent: number;
  /** Counters of frames that the device did not take, if they rose, and by how much. */
  drops: ReadonlyMap<string, number>;
  /** Why such counters were not read. */
  unseen: Unseen | undefined;
  /** Packets that came in by it from an address of its services, by this address. */
  answers: ReadonlyMap<string, number>;
}

/** Frames of one kind. */
export interface Passed {
  what: string;
  count: number;
  /** Where a TCP or UDP frame goes to. */
  to: { address: string; port: number; protocol: string; mac: string } | undefined;
  /** The host that says it does not know IP in IP. */
  withoutTunnel: string | undefined;
}

/** A destination that is a namespace of this host, so the doctor can look into it. */
export interface FarEnd {
  address: string;
  namespace: string;
  /** The device that its packets come in on. */
  device: Device;
  devices: Device[];
  rpFilters: ReadonlyMap<string, RpFilter> | Unseen;
  /** Only read where a filter is strict, which default routes matter for. */
  defaultDevices: string[] | Unseen;
  /** The value that counts for the device; undefined if no service sends to it by the link. */
  arpIgnore: number | Unseen | undefined;
}

export const CHECKS = [
  'device',
  'tools',
  'offload',
  'program',
  'mode',
  'table',
  'device mac',
  'source',
  'mtu',
  'answers',
  'mac',
  'neighbours',
  'exits',
  'exit veth',
  'exit drops',
  'way back',
  'siblings',
  'tunnel',
  'link',
  'rp_filter',
  'service address',
  'local servers',
  'veth peer',
  'veth offloads',
  'drops',
  'matches',
  'counters',
  'records',
  'ports',
  'pools',
  'serving',
  'l4lbd',
  'vlan',
] as const;
export type CheckName = (typeof CHECKS)[number];

export interface Finding {
  check: CheckName;
  /** A remark cannot be the reason why nothing works. */
  severity: 'finding' | 'remark';
  finding: string;
  evidence: string;
  /** The command that fixes it. */
  fix: string;
}

/**
 * What a check says: findings, or a few words about what is well, or why the check could
 * not be made, or undefined where it does not apply.
 */
export type Said = Omit<Finding, 'check'>[] | string | Unseen | undefined;
export type Check = (facts: Facts) => Said;
