// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Destinations that decide: the decapsulation program beside real sockets. It takes what
 * is of a connection here, and sends the rest on.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { decodeKey, encodeKey } from '../../src/abi/bytes.js';
import { sumCounters } from '../../src/abi/counter.js';
import { DECAP_VERDICTS, encodeHost } from '../../src/abi/decap.js';
import { DECAP_ABI } from '../../src/abi/maps.js';
import { encodeSibling, encodeSiblingKey, sumPairs } from '../../src/abi/siblings.js';
import { decap } from '../../src/model/decap.js';
import type { Neighbourhood, Socket } from '../../src/model/names.js';
import { mapNamed } from '../../src/program/find.js';
import { decodeEntries } from '../../src/system/bpftool-text.js';
import type { MapInfo } from '../../src/system/bpftool-text.js';
import { Bpftool } from '../../src/system/bpftool.js';
import { run } from '../../src/system/run.js';
import { onWire, parseAddress } from '../../src/wire/address.js';
import { joinNames, parseNames } from '../../src/wire/names.js';
import { must } from '../../src/text/must.js';
import {
  ICMP,
  ICMPV6,
  IPIP,
  IPV6,
  TCP,
  UDP,
  ethernet,
  ip,
  mac,
  packet,
  u16,
} from '../frames.js';
import { Network, ROOT } from './network.js';
import { update } from '../../src/system/entries.js';

const bpftool = new Bpftool(run);
const folder = mkdtempSync(join(tmpdir(), 'l4lb-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const SERVICES = ['198.51.100.10', 'fd00::64:1'];
const CLIENTS = ['10.0.1.1', 'fd00::1:1'];
/** This host, its siblings, and itself under another address. */
const HOSTS = ['10.0.1.1', 'fd00::1:1'];
const SIBLINGS = [
  ...[2, 3].map((number) => ({ text: `10.0.1.${number}`, number, pair: number })),
  ...[2, 3].map((number) => ({ text: `fd00::1:${number}`, number, pair: 8 + number })),
  { text: '10.0.1.9', number: 9, pair: 0 },
].map(({ text, number, pair }) => ({
  ...{ number, pair, address: must(parseAddress(text), text) },
  mac: mac(`02:00:0a:00:01:0${number}`),
}));
const PREFIXES = ['10.7.0.0/16', 'fd00:7::/112'].map(parseNames);
const FROM = '02:00:00:00:00:04';
const TO = '02:00:0a:00:01:01';

const SYN = 2;
const RST = 4;
const ACK = 16;

interface Connection {
  service: string;
  client: string;
  state: string;
  port: number;
  clientPort: number;
  sequence: number;
  acknowledged: number;
}

type Change = Partial<Pick<Connection, 'clientPort' | 'sequence' | 'acknowledged'>> & {
  flags?: number;
};

/** What the client sends. */
function segment(
  connection: Connection,
  { flags = ACK, ...change }: Change = {},
): Buffer {
  const { clientPort, port, sequence, acknowledged } = { ...connection, ...change };
  const words = Buffer.alloc(8);
  words.writeUInt32BE(sequence >>> 0, 0);
  words.writeUInt32BE(acknowledged >>> 0, 4);
  return Buffer.concat([
    ...[u16(clientPort), u16(port), words],
    Buffer.from([0x50, flags, 1, 0, 0, 0, 0, 0]),
  ]);
}

function fromClient(connection: Connection, change?: Change): Buffer {
  const { client: from, service: to } = connection;
  return packet({ from, to, protocol: TCP }, segment(connection, change));
}

/** What a router says about a packet of the service. */
function icmpError(connection: Connection, change: Change = {}): Buffer {
  const { service, client, port, clientPort } = { ...connection, ...change };
  const quoted = packet(
    { from: service, to: client, protocol: TCP },
    Buffer.concat([u16(port), u16(clientPort), Buffer.alloc(16)]),
  );
  const isV4 = !service.includes(':');
  const head = Buffer.from([...(isV4 ? [3, 4] : [2, 0]), 0, 0, 0, 0, 5, 0]);
  const router = isV4 ? '192.0.2.1' : '2001:db8::1';
  const protocol = isV4 ? ICMP : ICMPV6;
  return packet({ from: router, to: service, protocol }, Buffer.concat([head, quoted]));
}

describe.each(['l4lb_decap.o', 'l4lb_decap_frags.o'])('%s', (object) => {
  const pin = `/sys/fs/bpf/l4lb-test-${process.pid}-decide`;
  let network: Network;
  let helper: ChildProcess;
  let inside: Bpftool;
  let maps: MapInfo[];
  const connections: Connection[] = [];

  beforeAll(async () => {
    network = await Network.up(
      '--count',
      '1',
      '--ipv6',
      '--vip',
      '198.51.100.10',
      '--vip',
      'fd00::64:1',
    );
    const where = network.namespaceOf('destination1');
    inside = new Bpftool((command, args, options) =>
      run('nsenter', [where, command, ...args], options),
    );
    const binary = join(folder, 'connections');
    const source = `${ROOT}test/kernel/connections.c`;
    await execa('clang', ['-Wall', '-Wextra', '-Werror', source, '-o', binary]);
    const pairs = SERVICES.flatMap((service, index) => [service, CLIENTS[index] ?? '']);
    helper = spawn('nsenter', [where, binary, ...pairs], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    for await (const line of createInterface({ input: helper.stdout as Readable })) {
      if (line === 'ready') break;
      const [service = '', state = '', ...numbers] = line.split(' ');
      const [port = 0, clientPort = 0, sequence = 0, acknowledged = 0] =
        numbers.map(Number);
      const client = CLIENTS[SERVICES.indexOf(service)] ?? '';
      connections.push({
        service,
        client,
        state,
        port,
        clientPort,
        sequence,
        acknowledged,
      });
    }
    await bpftool.load(join(ROOT, object), pin);
    maps = await bpftool.maps((await bpftool.program('pinned', pin)).mapIds);
    const [addresses, host, siblings] = ['addresses', 'host', 'siblings'].map((name) =>
      mapNamed(maps, name),
    ) as [MapInfo, MapInfo, MapInfo];
    const names = joinNames(PREFIXES);
    await bpftool.write(
      [
        ...[...HOSTS, '10.0.1.9'].map((text) =>
          update(addresses, must(parseAddress(text), text), encodeKey(1)),
        ),
        update(host, encodeKey(0), encodeHost({ abi: DECAP_ABI, names })),
        ...SIBLINGS.map((one) => {
          const version = onWire(one.address).length === 4 ? 4 : 6;
          const key = encodeSiblingKey({ number: one.number, version });
          return update(siblings, key, encodeSibling(one));
        }),
      ],
      undefined,
    );
  });
  afterAll(async () => {
    helper.stdin?.end();
    if (helper.exitCode === null) await once(helper, 'exit');
    rmSync(pin, { force: true });
    await network.down();
  });

  const connection = (service: string, state: string): Connection =>
    must(
      connections.find((one) => one.service === service && one.state === state),
      `a connection that is ${state}`,
    );

  /** Sends an inner packet by an outer one, asks the model too, and returns the verdict. */
  async function send(
    inner: Buffer,
    from: string,
    { ttl = 64, to = '', tags = [] as [number, number][] } = {},
  ): Promise<string> {
    const isV4 = !from.includes(':');
    const protocol = (inner[0] ?? 0) >> 4 === 4 ? IPIP : IPV6;
    const address = to || (isV4 ? HOSTS[0] : HOSTS[1]) || '';
    const outer = packet({ from, to: address, protocol, ttl }, inner);
    const frame = ethernet({ to: TO, from: FROM, tags }, outer);
    const file = join(folder, 'frame');
    writeFileSync(file, frame);
    const count = `map dump id ${mapNamed(maps, 'verdicts').id}`;
    const [before, answer, after] = await inside.queries([
      count,
      `prog run pinned ${pin} data_in ${file} data_out -`,
      count,
    ]);
    const { retval, data_out: data } = answer as { retval: number; data_out: number[] };
    const [was, is] = [countsIn(before), countsIn(after)];
    const counted = [...is.keys()].filter((name) => is.get(name) !== was.get(name));
    const expected = decap(undefined, frame, neighbourhood());
    expect({ verdict: counted.join(), frame: Buffer.from(data) }).toEqual({
      verdict: expected.verdict,
      frame: expected.frame,
    });
    expect(retval).toBe({ PASS: 2, DROP: 1, TX: 3 }[expected.action]);
    return expected.verdict;
  }

  /** The packets of each verdict in a dump. */
  function countsIn(dump: unknown): Map<string, bigint> {
    return new Map(
      decodeEntries(dump).map(({ key, values }) => {
        const number = decodeKey(key);
        const verdict = DECAP_VERDICTS.find((one) => one.number === number);
        const name = verdict?.name ?? `number ${number}`;
        return [name, sumCounters(values).packets];
      }),
    );
  }

  function neighbourhood(): Neighbourhood {
    const known: Socket['state'][] = ['open', 'half-open', 'time-wait'];
    return {
      names: PREFIXES.map(({ address, length }) => ({ prefix: onWire(address), length })),
      siblings: SIBLINGS.map((one) => ({ ...one, address: onWire(one.address) })),
      sockets: connections.flatMap((one): Socket[] => {
        const state = known.find((name) => name === one.state);
        const at = { address: ip(one.service), port: one.port };
        const last = one.acknowledged - 1;
        const cookie = one.state === 'cookie' ? last : 0;
        const listens: Socket = { ...at, state: 'listens', sequence: cookie };
        const peer = { address: ip(one.client), port: one.clientPort };
        const sequence = state === 'time-wait' ? one.sequence : last;
        return state ? [listens, { ...at, state, peer, sequence }] : [listens];
      }),
    };
  }

  const NAMED = ['10.7.0.2', 'fd00:7::2'];
  const CASES: [string, string, Change, string][] = [
    ['of an established connection', 'open', {}, 'taken hot'],
    ['of nobody', 'open', { clientPort: 9 }, 'sent on'],
    ['a SYN', 'open', { clientPort: 9, flags: SYN }, 'taken hot'],
    ['a SYN and ACK of nobody', 'open', { clientPort: 9, flags: SYN | ACK }, 'sent on'],
    ['the ACK that completes a connection', 'half-open', {}, 'taken hot'],
    ["the ACK of another host's SYN-ACK", 'half-open', { acknowledged: 7 }, 'sent on'],
    ['the last FIN again', 'time-wait', {}, 'taken hot'],
    ['of a later connection of the same ports', 'time-wait', { sequence: 7 }, 'sent on'],
    ['an ACK with a SYN cookie', 'cookie', {}, 'taken hot'],
    ['an ACK with a wrong cookie', 'cookie', { acknowledged: 7 }, 'sent on'],
    ['an RST to a listener', 'cookie', { flags: RST | ACK }, 'sent on'],
  ];
  describe.each(NAMED)('named by %s', (source) => {
    test.each(CASES)('%s', async (_, state, change, verdict) => {
      for (const service of SERVICES) {
        const inner = fromClient(connection(service, state), change);
        expect(await send(inner, source)).toBe(verdict);
      }
    });

    test.each<[string, Change, string]>([
      ['about a connection here', {}, 'taken hot'],
      ['about one elsewhere', { clientPort: 9 }, 'sent on'],
    ])('an ICMP error %s', async (_, change, verdict) => {
      for (const service of SERVICES) {
        const inner = icmpError(connection(service, 'open'), change);
        expect(await send(inner, source)).toBe(verdict);
      }
    });

    test('VLAN tags stay on what is sent on', async () => {
      const inner = fromClient(connection(SERVICES[0] ?? '', 'open'), { clientPort: 9 });
      for (const tags of [
        [[0x8100, 7]],
        [
          [0x88a8, 100],
          [0x8100, 7],
        ],
      ] as [number, number][][]) {
        expect(await send(inner, source, { tags })).toBe('sent on');
      }
    });

    test('a hop limit of 1 does not suffice', async () => {
      const inner = fromClient(connection(SERVICES[0] ?? '', 'open'), { clientPort: 9 });
      expect(await send(inner, source, { ttl: 1 })).toBe('hops used up');
      expect(await send(inner, source, { ttl: 2 })).toBe('sent on');
    });
  });

  test.each<[string, string, string, string]>([
    ['two names', '10.7.3.2', '', 'sent on'],
    ['two names, of IPv6', 'fd00:7::302', '', 'sent on'],
    ['its own number first', '10.7.3.1', '', 'sent on'],
    ['another address of its own first', '10.7.3.9', '', 'sent on'],
    ['to another address of its own', '10.7.3.9', '10.0.1.9', 'sent on'],
    ['its own number alone', '10.7.0.1', '', 'nobody named'],
    ['an unknown name', '10.7.0.77', '', 'nobody named'],
    ['final, from a sibling', '10.7.2.0', '', 'decapsulated'],
    ['cold', '10.0.0.4', '', 'decapsulated'],
    ['without a name', '10.7.0.0', '', 'decapsulated'],
  ])('of nobody, %s', async (_, source, to, verdict) => {
    const inner = fromClient(connection(SERVICES[0] ?? '', 'open'), { clientPort: 9 });
    expect(await send(inner, source, { to })).toBe(verdict);
  });

  test('UDP is taken', async () => {
    const inner = packet(
      { from: '192.0.2.7', to: SERVICES[0] ?? '', protocol: UDP },
      Buffer.concat([u16(9), u16(80), u16(8), u16(0)]),
    );
    expect(await send(inner, '10.7.0.2')).toBe('taken hot');
  });

  test('each pair has its packets and the time of the last', async () => {
    const map = mapNamed(maps, 'pairs');
    const read = async (pair: number): Promise<ReturnType<typeof sumPairs>> => {
      const entries = await bpftool.dump(map.id);
      const entry = entries.find(({ key }) => key.equals(encodeKey(pair)));
      return sumPairs(must(entry, `pair ${pair}`).values);
    };
    const before = await read(3);
    const open = connection(SERVICES[0] ?? '', 'open');
    const inner = fromClient(open);
    await send(inner, '10.7.3.0');
    await send(inner, '10.7.2.3');
    await send(fromClient(open, { clientPort: 9 }), '10.7.0.3');
    const after = await read(3);
    const now = process.hrtime()[0];
    for (const kind of ['found', 'sent', 'named'] as const) {
      expect(after[kind].packets - before[kind].packets).toBe(1n);
      expect(now - Number(after[kind].last)).toBeLessThan(10);
    }
    expect(after.sent.bytes - before.sent.bytes).toBe(BigInt(14 + 20 + inner.length));
  });
});
