// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Connections that the packets of a chunk belong to. */
import { onWire } from '../../src/wire/address.js';
import type { ModelCell } from '../../src/model/types.js';
import { ANY, CLIENTS, PORTS, SERVICE_ADDRESSES, TCP, UDP } from './choices.js';
import type { Random } from './random.js';

/** One that a scenario's packets belong to, as often as not. */
export interface Flow {
  source: Buffer;
  address: Buffer;
  protocol: number;
  ports: { source: number; destination: number };
  /** The sequence number of its SYN, and how many bytes of data the SYN has. */
  sequence: number;
  data: number;
  /** The numbers of its segments, if they are not to follow from the SYN's or chance. */
  sequences?: readonly number[];
  acknowledged?: readonly number[];
}

export function makeFlow(random: Random, cells: readonly ModelCell[]): Flow {
  const cell = cells.length > 0 && random.chance(90) ? random.pick(cells) : undefined;
  const address =
    cell && !cell.address.equals(ANY)
      ? cell.address
      : random.chance(50)
        ? random.pick(SERVICE_ADDRESSES)
        : random.bytes(16);
  const to = onWire(address);
  const clients = CLIENTS.filter((one) => one.length === to.length);
  const isDhcp = cell?.protocol === UDP && cell.port === 0 && random.chance(20);
  const dhcp =
    to.length === 4 ? { source: 67, destination: 68 } : { source: 547, destination: 546 };
  return {
    source: random.chance(3)
      ? to
      : random.chance(40)
        ? random.pick(clients)
        : random.bytes(to.length),
    address: to,
    protocol: cell?.protocol ?? random.pick([TCP, UDP]),
    sequence: random.chance(20) ? random.pick([0, 0xffffffff]) : random.word(),
    data: random.chance(70) ? 0 : random.below(30),
    ports: isDhcp
      ? dhcp
      : {
          source: random.chance(50) ? random.pick(PORTS) : random.below(65536),
          destination: cell && cell.port !== 0 ? cell.port : random.pick(PORTS),
        },
  };
}

export function leadsTo(cell: ModelCell, { protocol, address, ports }: Flow): boolean {
  return (
    cell.protocol === protocol &&
    (cell.port === 0 || cell.port === ports.destination) &&
    (cell.address.equals(ANY) || onWire(cell.address).equals(address))
  );
}
