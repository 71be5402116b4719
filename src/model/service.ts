// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Step 2: finds a packet's service, and packets that a service leaves to the host. */
import { CELL_BY_PORT, CELL_FRAGMENTS, CELL_KEEPS_SSH, CELL_USED } from '../abi/cell.js';
import { ANY_ADDRESS, onWire } from '../wire/address.js';
import { isIpv4 } from './bytes.js';
import type { Connection, Ports, Refused } from './parse.js';
import { TCP, UDP } from './parse.js';
import type { ModelCell, Tables } from './types.js';

const SSH = 22;
const DHCP_SERVER = 67;
const DHCP_CLIENT = 68;
const DHCPV6_SERVER = 547;
const DHCPV6_CLIENT = 546;

export type Found =
  | { cell: ModelCell }
  | { verdict: 'not ours' | 'not for us' | 'ssh kept' | 'dhcp kept' | 'fragment' };

type Cells = readonly ModelCell[];

const isAny = ({ address }: ModelCell): boolean => address.equals(ANY_ADDRESS);
const isWay = ({ flags }: ModelCell): boolean => (flags & CELL_USED) !== 0;
const isNote = ({ flags }: ModelCell): boolean => (flags & CELL_BY_PORT) !== 0;

/** Returns the cells with exactly this address, without those for any address. */
function ofAddress(cells: Cells, address: Buffer): ModelCell[] {
  return cells.filter((cell) => !isAny(cell) && onWire(cell.address).equals(address));
}

function anyWay(cells: Cells, protocol: number): ModelCell | undefined {
  return cells.find((cell) => isWay(cell) && isAny(cell) && cell.protocol === protocol);
}

export function findService(
  { cells, device }: Tables,
  connection: Connection,
  isOwnMac: boolean,
): Found {
  const { address, protocol, ports } = connection;
  const own = ofAddress(cells, address).filter((cell) => cell.protocol === protocol);
  if (!ports) {
    const cell =
      own.find((one) => one.port === 0 && (isWay(one) || isNote(one))) ??
      anyWay(cells, protocol);
    if (!cell) return { verdict: 'not ours' };
    if (!isOwnMac) return { verdict: 'not for us' };
    return (cell.flags & CELL_FRAGMENTS) !== 0 ? { cell } : { verdict: 'fragment' };
  }
  const ways = own.filter(isWay);
  const byPort = ways.find(({ port }) => port !== 0 && port === ports.destination);
  const cell = byPort ?? ways.find(({ port }) => port === 0) ?? anyWay(cells, protocol);
  if (!cell) return { verdict: 'not ours' };
  if (cell.port === 0) {
    if (isDhcp(connection, ports)) return { verdict: 'dhcp kept' };
    if (isSsh(cell, connection, ports, device.sessionPort))
      return { verdict: 'ssh kept' };
  }
  return isOwnMac ? { cell } : { verdict: 'not for us' };
}

function isDhcp({ protocol, address }: Connection, ports: Ports): boolean {
  const [server, client] = isIpv4(address)
    ? [DHCP_SERVER, DHCP_CLIENT]
    : [DHCPV6_SERVER, DHCPV6_CLIENT];
  return protocol === UDP && ports.source === server && ports.destination === client;
}

function isSsh(
  cell: ModelCell,
  { protocol }: Connection,
  { destination }: Ports,
  sessionPort: number,
): boolean {
  if (protocol !== TCP || (cell.flags & CELL_KEEPS_SSH) === 0) return false;
  return destination === SSH || (sessionPort !== 0 && destination === sessionPort);
}

/** Tells whether a way names this address; ways for any address do not count. */
export function isServiceAddress({ cells }: Tables, address: Buffer): boolean {
  return ofAddress(cells, address).some(isWay);
}

/** Tells whether a service would get this packet; a malformed one then does not pass. */
export function isMeantForUs({ cells }: Tables, what: Refused): boolean {
  const protocols = what.protocol === undefined ? [TCP, UDP] : [what.protocol];
  const candidates = [
    ...(what.address ? ofAddress(cells, what.address) : []),
    ...cells.filter(isAny),
  ];
  return candidates.some((cell) => isWay(cell) && protocols.includes(cell.protocol));
}
