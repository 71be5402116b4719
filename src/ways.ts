// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Ways into services, and the cells of the `services` map that they lie in.
 *
 * The program reads a cell with one load, at hash(seed, address, port and
 * protocol). So no two ways may share a cell, and the seed is chosen for that.
 */
import type { Cell } from './abi.js';
import { CELL_BY_PORT, CELL_USED } from './abi.js';
import { ANY_ADDRESS, formatAddress, parseAddress, unusableAddress } from './address.js';
import { Failure } from './failure.js';
import { hash } from './hash.js';

export const TCP = 6;
export const UDP = 17;
const PROTOCOLS: Record<string, number> = { tcp: TCP, udp: UDP };

/** (address, port, protocol); address `::` and port 0 stand for any. */
export interface Way {
  address: Buffer;
  port: number;
  protocol: number;
}

/** All TCP and UDP to any address: the way in where none is named. */
export const EVERYTHING: readonly Way[] = [
  { address: ANY_ADDRESS, port: 0, protocol: TCP },
  { address: ANY_ADDRESS, port: 0, protocol: UDP },
];

/** ADDR[:PORT][/PROTO], or the reason why it is none. */
export function parseWays(text: string): Way[] | string {
  const match = /^([^:/]+)(?::([^/]*))?(?:\/(.*))?$/.exec(text);
  if (!match) return 'it is not of the form ADDR[:PORT][/PROTO]';
  const [, host = '', portText, protocolText] = match;

  const address = host === 'any' ? ANY_ADDRESS : parseAddress(host);
  if (!address) return `"${host}" is not an IPv4 address`;
  const unusable = address === ANY_ADDRESS ? undefined : unusableAddress(address);
  if (unusable) return `${host} cannot be a service's address: ${unusable}`;

  let port = 0;
  if (portText !== undefined) {
    if (!/^\d{1,5}$/.test(portText) || Number(portText) < 1 || Number(portText) > 65535) {
      return `"${portText}" is not a port from 1 to 65535`;
    }
    if (address === ANY_ADDRESS) return 'a port needs an address before it';
    port = Number(portText);
  }

  if (protocolText === undefined) {
    return [TCP, UDP].map((protocol) => ({ address, port, protocol }));
  }
  const protocol = PROTOCOLS[protocolText.toLowerCase()];
  if (protocol === undefined) return `"${protocolText}" is neither tcp nor udp`;
  return [{ address, port, protocol }];
}

export function formatWay(way: Way): string {
  const protocol = Object.keys(PROTOCOLS).find(
    (name) => PROTOCOLS[name] === way.protocol,
  );
  const port = way.port === 0 ? '' : `:${way.port}`;
  return `${formatAddress(way.address)}${port}/${protocol ?? way.protocol}`;
}

/** One way has one key, whatever service it leads to. */
export function wayKey(way: Way): string {
  return `${way.address.toString('hex')}:${way.port}/${way.protocol}`;
}

export function compareWays(one: Way, other: Way): number {
  return (
    Buffer.compare(one.address, other.address) ||
    one.port - other.port ||
    one.protocol - other.protocol
  );
}

/** The cell of a way under a seed: see read_cell() in datapath/service.h. */
export function cellIndex(way: Way, seed: number, cells: number): number {
  const portAndProtocol =
    ((way.port & 0xff) << 8) | (way.port >> 8) | (way.protocol << 16);
  return hash(seed, way.address.readUInt32LE(12), portAndProtocol) % cells;
}

/**
 * Fragments have no ports. So an address that is balanced by port gets a note
 * in its cell for all ports, unless that is a way in itself.
 */
export function withNotes(ways: readonly Cell[]): Cell[] {
  const taken = new Set(ways.map(wayKey));
  const notes = new Map<string, Cell>();
  for (const way of ways) {
    const note: Cell = {
      address: way.address,
      port: 0,
      protocol: way.protocol,
      idle: 0,
      drainDeadline: 0,
      firstSlot: 0,
      service: 0,
      log2Slots: 0,
      flags: CELL_BY_PORT,
    };
    if (!taken.has(wayKey(note))) notes.set(wayKey(note), note);
  }
  return [...ways, ...notes.values()];
}

/**
 * The cells that the program can find. After a change of seed that was cut
 * short, others still lie where the old seed had them.
 */
export function reachable(live: {
  cells: ReadonlyMap<number, Cell>;
  device: { cellSeed: number };
  sizes: { cells: number };
}): Map<number, Cell> {
  const isFound = ([key, cell]: [number, Cell]): boolean =>
    cellIndex(cell, live.device.cellSeed, live.sizes.cells) === key;
  return new Map([...live.cells].filter(isFound));
}

export function isWay(cell: Cell): boolean {
  return (cell.flags & CELL_USED) !== 0;
}

export interface Placement {
  seed: number;
  /** All that is wanted, by cell. */
  cells: Map<number, Cell>;
}

/** Some seconds at the most; 16 ways in 16 cells take a million on average. */
const TRIES = 4_000_000;

/**
 * Gives every wanted way a cell of its own. The seed stays if it can. Another
 * seed must suit the ways that are live as well: their cells under the new seed
 * are written before the program is told of it, so they must be free until then.
 */
export function placeCells(
  wanted: readonly Cell[],
  live: ReadonlyMap<number, Cell>,
  seed: number,
  size: number,
): Placement {
  const stay = place(wanted, seed, size, () => true);
  if (stay) return { seed, cells: stay };
  const isFree = (index: number, way: Way): boolean => {
    const there = live.get(index);
    return !there || wayKey(there) === wayKey(way);
  };
  if (wanted.length <= size) {
    for (let tries = 1; tries < TRIES; tries++) {
      const candidate = (seed + tries) >>> 0;
      const cells = place(wanted, candidate, size, isFree);
      if (cells) return { seed: candidate, cells };
    }
  }
  throw new Failure(`${wanted.length} ways into services do not fit the ${size} cells`, {
    cause:
      'each address, port and protocol takes a cell, and so does each address with ports',
    next: 'name fewer ways, or all of them anew, or use the host build with its 1,024 cells',
  });
}

function place(
  wanted: readonly Cell[],
  seed: number,
  size: number,
  isFree: (index: number, way: Way) => boolean,
): Map<number, Cell> | undefined {
  const cells = new Map<number, Cell>();
  for (const cell of wanted) {
    const index = cellIndex(cell, seed, size);
    if (cells.has(index) || !isFree(index, cell)) return undefined;
    cells.set(index, cell);
  }
  return cells;
}
