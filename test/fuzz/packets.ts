// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Frames by chance: right ones of every kind first, then wrong in every way. */
import { checksum } from '../../src/wire/checksum.js';
import { pseudoHeader } from '../../src/model/answers.js';
import { PORTS, TCP, UDP } from './choices.js';
import type { Flow } from './flow.js';
import type { Random } from './random.js';
import type { Scenario } from './scenario.js';

/** Long contents are of bytes that no chain of extension headers goes on by. */
const LEAST_FILLER = 64;
const EXTENSIONS = [0, 43, 44, 51, 60];
/** Bytes that mean something somewhere. */
const TELLING = [
  0, 1, 2, 4, 5, 6, 8, 17, 41, 43, 44, 45, 51, 58, 59, 60, 64, 0x45, 0x60, 0x7f, 0x80,
  0xff,
];

export function makeFrames(
  random: Random,
  scenario: Scenario,
  count: number,
  longest: number,
): Buffer[] {
  const frames: Buffer[] = [];
  // Every byte of a few frames in turn: cut off there, or another in its place.
  const sweep = random.chance(20) ? random.pick(['cut', 'change']) : undefined;
  while (frames.length < count) {
    const frame = makeFrame(random, scenario, longest).subarray(0, longest);
    if (!sweep || random.chance(30)) {
      frames.push(random.chance(60) ? frame : mutate(random, frame).subarray(0, longest));
      continue;
    }
    const until = Math.min(frame.length, 140);
    for (let at = 0; at < until && frames.length < count; at++) {
      if (sweep === 'cut') {
        if (at >= 14) frames.push(frame.subarray(0, at));
      } else {
        const changed = Buffer.from(frame);
        changed[at] = random.chance(50) ? random.pick(TELLING) : random.below(256);
        frames.push(changed);
      }
    }
  }
  return frames;
}

function makeFrame(random: Random, scenario: Scenario, longest: number): Buffer {
  if (random.chance(2)) return random.bytes(random.between(14, 200));
  const flow = random.chance(85)
    ? random.pick(scenario.flows)
    : { ...random.pick(scenario.flows), ports: somePorts(random) };
  const packet = makePacket(random, flow, longest);
  const { device, senders = [] } = scenario.tables;
  const from =
    senders.length > 0 && random.chance(60) ? random.pick(senders).key.mac : undefined;
  return link(random, device.mac, packet, flow.address.length === 4, from);
}

function somePorts(random: Random): Flow['ports'] {
  const port = (): number =>
    random.chance(50) ? random.pick(PORTS) : random.below(65536);
  return { source: port(), destination: port() };
}

export function link(
  random: Random,
  mac: Buffer,
  packet: Buffer,
  isV4: boolean,
  sender?: Buffer,
): Buffer {
  const tags = random.pick([0, 0, 0, 0, 0, 1, 1, 2, 2, random.chance(30) ? 3 : 0]);
  const from = Buffer.from(sender ?? random.bytes(6));
  if (!sender && random.chance(95)) from[0] = (from[0] ?? 0) & 0xfe;
  const head = [random.chance(92) ? mac : random.bytes(6), from];
  for (let tag = 0; tag < tags; tag++) {
    head.push(u16(random.pick([0x8100, 0x88a8])), random.bytes(2));
  }
  const type = random.chance(98)
    ? isV4
      ? 0x0800
      : 0x86dd
    : random.pick([0x0800, 0x86dd, 0x0806, 0x9100]);
  const padding = random.chance(15) ? random.bytes(random.below(20)) : Buffer.alloc(0);
  return Buffer.concat([...head, u16(type), packet, padding]);
}

function makePacket(random: Random, flow: Flow, longest: number): Buffer {
  const isV4 = flow.address.length === 4;
  const kind = random.below(100);
  if (kind < 62) {
    return network(random, flow, flow.protocol, transport(random, flow, longest));
  }
  if (kind < 82) {
    // By the host itself, or by a router before it.
    const source = random.chance(60) ? flow.source : random.bytes(flow.source.length);
    const from = { ...flow, source };
    return network(random, from, isV4 ? 1 : 58, error(random, flow, source));
  }
  if (kind < 92) return network(random, flow, isV4 ? 1 : 58, echo(random, flow));
  const protocol = random.pick([0, 1, 2, 4, 6, 17, 41, 47, 50, 58, 59, 60, 132, 255]);
  return network(random, flow, protocol, random.bytes(random.below(80)));
}

/** Of any length now and then, and else of one where something changes. */
function transport(random: Random, flow: Flow, longest: number): Buffer {
  const ports = [u16(flow.ports.source), u16(flow.ports.destination)];
  const content = random.chance(75)
    ? random.bytes(random.chance(40) ? flow.data : random.below(30))
    : random.chance(20)
      ? Buffer.alloc(random.below(longest), random.between(LEAST_FILLER, 255))
      : Buffer.alloc(
          random.pick([
            84, 460, 472, 484, 492, 560, 972, 984, 1016, 1240, 1440, 1452, 1460,
          ]) + random.below(3),
          random.below(256),
        );
  const { length } = content;
  if (flow.protocol === UDP) {
    const head = [...ports, u16(8 + content.length)];
    return sumUp(random, flow, Buffer.concat([...head, random.bytes(2), content]), 6);
  }
  const flags = random.pick([
    0x02,
    0x02,
    0x10,
    0x10,
    0x12,
    0x18,
    0x11,
    0x04,
    0xc2,
    0,
    random.below(256),
  ]);
  const isSyn = (flags & 0x12) === 0x02;
  const next = isSyn ? [0, 0, 1] : [0, 1, 1, 1 + flow.data, 1 + flow.data - length];
  const sequences = flow.sequences ?? next.map((by) => flow.sequence + by);
  const sequence = random.chance(20) ? random.word() : random.pick(sequences);
  const { acknowledged } = flow;
  const rest = Buffer.concat([
    u32(sequence),
    acknowledged && random.chance(90) ? u32(random.pick(acknowledged)) : random.bytes(4),
    Buffer.from([random.chance(95) ? 0x50 : random.below(256), flags]),
    random.bytes(6),
  ]);
  return sumUp(random, flow, Buffer.concat([...ports, rest, content]), 16);
}

/** With a right checksum, as a rule; in UDP 0 says that there is none. */
function sumUp(
  random: Random,
  { source, address, protocol }: Flow,
  segment: Buffer,
  at: number,
): Buffer {
  const end = Buffer.concat([u32(segment.length), u32(protocol)]);
  if (random.chance(65)) {
    segment.writeUInt16BE(0, at);
    const sum = checksum(source, address, end, segment);
    segment.writeUInt16BE(protocol === UDP ? sum || 0xffff : sum, at);
  } else if (random.chance(50)) {
    segment.writeUInt16BE(random.pick([0, 0, 1, 0xfffe, 0xffff]), at);
  }
  return segment;
}

/** What a router says about a packet that the service sent to the client, or the like. */
function error(random: Random, flow: Flow, from: Buffer): Buffer {
  const isV4 = flow.address.length === 4;
  const types = isV4 ? [3, 3, 3, 11, 12, 4, 5] : [1, 2, 3, 4, 5, 100, 127];
  const head = Buffer.concat([
    Buffer.from([random.pick(types), random.below(6)]),
    random.bytes(6),
  ]);
  const back: Flow = {
    ...flow,
    source: random.chance(95) ? flow.address : flow.source,
    address: flow.source,
    ports: { source: flow.ports.destination, destination: flow.ports.source },
  };
  const quoted = network(random, back, flow.protocol, transport(random, back, 0));
  const most = random.pick(
    isV4 ? [8, 20, 28, 28, 28, 40, 80, 576] : [8, 40, 48, 48, 56, 64, 80, 200, 1232],
  );
  const message = Buffer.concat([head, quoted.subarray(0, most)]);
  if (random.chance(70)) {
    message.writeUInt16BE(0, 2);
    const pseudo = isV4
      ? Buffer.alloc(0)
      : pseudoHeader(from, flow.address, message.length);
    message.writeUInt16BE(checksum(pseudo, message), 2);
  }
  return message;
}

/** Zeros alone now and then: a sum of 0 is not that of 0xffff. */
function echo(random: Random, { source, address }: Flow): Buffer {
  const isV4 = address.length === 4;
  const type = random.chance(90) ? (isV4 ? 8 : 128) : random.pick([0, 13, 129, 135]);
  const code = random.chance(92) ? 0 : random.below(256);
  const length = 4 + random.below(60);
  const rest = random.chance(20) ? Buffer.alloc(length) : random.bytes(length);
  const message = Buffer.concat([Buffer.from([type, code, 0, 0]), rest]);
  const pseudo = isV4 ? Buffer.alloc(0) : pseudoHeader(source, address, message.length);
  const sum = random.chance(60)
    ? checksum(pseudo, message)
    : random.pick([random.below(65536), 0, 0xffff, 0xf7ff]);
  message.writeUInt16BE(sum, 2);
  return message;
}

/** An IP packet with what belongs in front: options, or extension headers. */
export function network(
  random: Random,
  flow: Pick<Flow, 'source' | 'address'>,
  protocol: number,
  content: Buffer,
): Buffer {
  return flow.address.length === 4
    ? ipv4(random, flow, protocol, content)
    : ipv6(random, flow, protocol, content);
}

function lengthOr(random: Random, right: number): number {
  if (random.chance(94)) return right;
  const wrong = right + random.pick([-21, -20, -8, -1, 1, 4, 40]);
  return (random.chance(80) ? wrong : random.below(65536)) & 0xffff;
}

function ipv4(
  random: Random,
  flow: Pick<Flow, 'source' | 'address'>,
  protocol: number,
  content: Buffer,
): Buffer {
  const options = random.chance(85) ? 0 : random.between(1, 10);
  const header = Buffer.alloc(20 + options * 4);
  header.writeUInt8(0x40 | (5 + options), 0);
  header.writeUInt8(random.below(256), 1);
  header.writeUInt16BE(lengthOr(random, header.length + content.length), 2);
  header.writeUInt16BE(random.below(65536), 4);
  const fragment = random.chance(88)
    ? random.pick([0, 0x4000, 0x4000])
    : random.pick([0x2000, 0x6000, 1, 0x4001, 0x8000, 0x1fff, 0x3000]);
  header.writeUInt16BE(fragment, 6);
  header.writeUInt8(random.pick([64, 64, 1, 0, 255, random.below(256)]), 8);
  header.writeUInt8(protocol, 9);
  flow.source.copy(header, 12);
  flow.address.copy(header, 16);
  random.bytes(options * 4).copy(header, 20);
  const sum = random.chance(90)
    ? checksum(header)
    : random.pick([0, 0xffff, random.below(65536)]);
  header.writeUInt16BE(sum, 10);
  return Buffer.concat([header, content]);
}

function ipv6(
  random: Random,
  flow: Pick<Flow, 'source' | 'address'>,
  protocol: number,
  content: Buffer,
): Buffer {
  const count = random.chance(65)
    ? 0
    : random.chance(70)
      ? random.between(1, 3)
      : random.between(4, 8);
  let payload: Buffer = content;
  let next = protocol;
  for (let extension = 0; extension < count; extension++) {
    const kind = random.pick(EXTENSIONS);
    payload = Buffer.concat([extensionHeader(random, kind, next), payload]);
    next = kind;
  }
  const header = Buffer.alloc(40);
  header.writeUInt32BE(0x60000000 + random.below(2 ** 28), 0);
  header.writeUInt16BE(lengthOr(random, payload.length), 4);
  header.writeUInt8(next, 6);
  header.writeUInt8(random.pick([64, 255, 1, random.below(256)]), 7);
  flow.source.copy(header, 8);
  flow.address.copy(header, 24);
  return Buffer.concat([header, payload]);
}

function extensionHeader(random: Random, kind: number, next: number): Buffer {
  if (kind === 44) {
    const word = random.chance(60)
      ? random.pick([0, 0, 6])
      : random.pick([1, 8, 9, 0xfff8, 0xfff9]);
    return Buffer.concat([
      Buffer.from([next, random.below(256)]),
      u16(word),
      random.bytes(4),
    ]);
  }
  const units = random.pick([0, 0, 0, 1, 2, 5]);
  const length = kind === 51 ? (units + 2) * 4 : (units + 1) * 8;
  const said = random.chance(96) ? units : random.pick([units + 1, 31, 255]);
  const rest = random.bytes(length - 2);
  // A routing header with all of its stops behind it, as a rule.
  if (kind === 43 && random.chance(85)) rest[1] = 0;
  return Buffer.concat([Buffer.from([next, said]), rest]);
}

export function mutate(random: Random, frame: Buffer): Buffer {
  let changed: Buffer = Buffer.from(frame);
  for (let times = random.pick([1, 1, 1, 2, 3]); times > 0; times--) {
    changed = mutateOnce(random, changed);
  }
  return changed;
}

function mutateOnce(random: Random, frame: Buffer): Buffer {
  const head = Math.min(frame.length, 120);
  const at = random.below(head);
  switch (random.below(8)) {
    case 0:
      return frame.subarray(0, random.between(14, Math.max(14, frame.length)));
    case 1:
      frame[at] = (frame[at] ?? 0) ^ (1 << random.below(8));
      return frame;
    case 2:
      frame[at] = random.below(256);
      return frame;
    case 3:
      frame[at] = random.pick(TELLING);
      return frame;
    case 4:
      // A word that counts something: one more or less, or the most there is.
      if (at + 2 <= frame.length) {
        const word = frame.readUInt16BE(at) + random.pick([-1, 1, -8, 8, 0xffff]);
        frame.writeUInt16BE(word & 0xffff, at);
      }
      return frame;
    case 5:
      return Buffer.concat([frame, random.bytes(random.below(64))]);
    case 6:
      // Something more in between.
      return Buffer.concat([
        frame.subarray(0, Math.max(14, at)),
        random.bytes(random.pick([1, 4, 8, 20, 40])),
        frame.subarray(Math.max(14, at)),
      ]);
    default: {
      // A header once more, or one lost.
      const from = Math.max(14, at);
      const length = random.pick([4, 8, 20, 40]);
      const piece = frame.subarray(from, from + length);
      const rest = random.chance(50)
        ? [piece, frame.subarray(from)]
        : [frame.subarray(from + length)];
      return Buffer.concat([frame.subarray(0, from), ...rest]);
    }
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value & 0xffff);
  return bytes;
}

/** What a tunnel may come from, and what may be in it, beside what chance makes. */
export interface TunnelChoices {
  /** The host's own addresses. */
  own: readonly Buffer[];
  /** Returns a source of 4 or 16 bytes. */
  source: (random: Random, length: number) => Buffer;
  flows: readonly Flow[];
}

/** Tunnels to a host that may be the outer address, or none. */
export function makeTunnels(
  random: Random,
  { own, source, flows }: TunnelChoices,
  count: number,
  longest: number,
): Buffer[] {
  return Array.from({ length: count }, () => {
    const isOuterV4 = random.chance(50);
    const inner = random.chance(50) ? random.pick(flows) : someFlow(random);
    const length = isOuterV4 ? 4 : 16;
    const mine = own.filter((address) => address.length === length);
    const outer = {
      source: source(random, length),
      address: random.chance(90) ? random.pick(mine) : random.bytes(length),
    };
    const inside = random.chance(94)
      ? inner.address.length === 4
        ? 4
        : 41
      : random.pick([4, 41, 6, 17, 0, 60]);
    const content = makePacket(random, inner, longest);
    const packet = random.chance(95) ? network(random, outer, inside, content) : content;
    const frame = link(random, random.bytes(6), packet, isOuterV4);
    return (random.chance(70) ? frame : mutate(random, frame)).subarray(0, longest);
  });
}

function someFlow(random: Random): Flow {
  const length = random.pick([4, 16]);
  return {
    source: random.bytes(length),
    address: random.bytes(length),
    protocol: random.pick([TCP, UDP]),
    ports: somePorts(random),
    sequence: random.word(),
    data: 0,
  };
}
