// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What `ip` knows of devices: their addresses, XDP programs and counts. */
import type { Mode } from '../../text/mode.js';
import { Failure } from '../../text/failure.js';
import { dpdkDevices, dpdkOf } from '../dpdk.js';
import type { DpdkProcess } from '../dpdk.js';
import { askIp, askIpJson } from './ask.js';
import { parseIpJson } from './json.js';
import type { Run } from '../run.js';
import type { Family } from '../../wire/outer-source.js';

/** The numbers that stand for the modes in `ip -j link` (iproute2 6.1). */
const MODES: Record<number, Mode> = { 1: 'xdpdrv', 2: 'xdpgeneric', 3: 'xdpoffload' };

export interface AttachedProgram {
  mode: Mode;
  id: number;
  name: string;
}

export interface Link {
  name: string;
  ifindex: number;
  mac: string;
  mtu: number;
  up: boolean;
  /** For each family the first global address that will stay. */
  addresses: Record<Family, string | undefined>;
  programs: AttachedProgram[];
}

/** A device that runs a program. */
export interface Running {
  name: string;
  mac: string;
  mode: Mode;
}

/** What has to be known of a device to send frames by it. */
export interface Sender {
  name: string;
  ifindex: number;
  mac: string;
  mtu: number;
  up: boolean;
  isLoopback: boolean;
  /** `vlan`, `veth`, `bridge` and so on; empty for a real device. */
  kind: string;
  /** Of a VLAN device: the one beneath it, if that is in this namespace. */
  parent: string | undefined;
  vlan: { id: number; protocol: string } | undefined;
}

interface SenderJson extends LinkJson {
  link?: string;
  linkinfo?: { info_kind?: string; info_data?: { id?: number; protocol?: string } };
}

/** No IP packet is longer, but the MTU of lo is. */
const LONGEST_PACKET = 65_535;

/** The MTU, as far as it limits IP packets. */
export function mtuOf({ mtu }: { mtu: number }): number {
  return Math.min(mtu, LONGEST_PACKET);
}

export interface LinkJson {
  ifname: string;
  ifindex: number;
  address?: string;
  mtu: number;
  flags: string[];
  xdp?: XdpJson & { attached?: XdpJson[] };
  addr_info?: Partial<AddressJson>[];
}

interface XdpJson {
  mode: number;
  prog?: { id: number; name?: string };
}

interface CountsJson {
  rx: { packets: number };
  tx: { packets: number; dropped?: number; errors?: number };
}

/** States of IPv6 addresses that cannot be used as a source, or not for long. */
const PASSING = ['temporary', 'deprecated', 'tentative', 'dadfailed'] as const;

type AddressJson = { local: string; family: string; scope: string } & Partial<
  Record<(typeof PASSING)[number], boolean>
>;

export class Iproute {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  /** The names of all devices, for a message. */
  async names(): Promise<string[]> {
    const links = (await askIpJson(this.#run, ['-j', 'link', 'show'])) as LinkJson[];
    return links.map((link) => link.ifname);
  }

  async link(name: string): Promise<Link> {
    const args = ['-j', '-d', 'addr', 'show', 'dev', name];
    const result = await this.#run('ip', args);
    if (result.exitCode !== 0) {
      const names = await this.names();
      const gone = dpdkOf(name);
      if (gone) {
        throw new Failure(`no device ${name}`, {
          cause: `l4lb-dpdk, which made it, has ended; process ${gone.holder} keeps the tables`,
          next: 'start l4lb-dpdk again as before, which takes them up',
        });
      }
      throw new Failure(`no device ${name}`, {
        cause: `the name is mistyped, or the device is in another network namespace`,
        next: `name one of: ${names.join(', ')}`,
      });
    }
    const [link] = parseIpJson(result.stdout, args.join(' ')) as LinkJson[];
    if (!link) throw new Failure(`ip does not list the device ${name}`);
    return {
      name: link.ifname,
      ifindex: link.ifindex,
      mac: link.address ?? '',
      mtu: mtuOf(link),
      up: link.flags.includes('UP'),
      addresses: {
        ipv4: lastingAddress(link, 'inet'),
        ipv6: lastingAddress(link, 'inet6'),
      },
      programs: [...attachedPrograms(link.xdp), ...programOfProcess(dpdkOf(link.ifname))],
    };
  }

  /** All devices, as far as sending by them needs it. */
  async senders(): Promise<Sender[]> {
    const args = ['-j', '-d', 'link', 'show'];
    return ((await askIpJson(this.#run, args)) as SenderJson[]).map(readSender);
  }

  /** All devices here that run this program. */
  async running(program: number): Promise<Running[]> {
    const all = (await askIpJson(this.#run, ['-j', 'link', 'show'])) as LinkJson[];
    const processes = dpdkDevices();
    return all.flatMap(({ ifname: name, address: mac = '', xdp }) =>
      [...attachedPrograms(xdp), ...programOfProcess(processes.get(name))]
        .filter(({ id }) => id === program)
        .map(({ mode }) => ({ name, mac, mode })),
    );
  }

  /** All addresses of the host. */
  async hostAddresses(): Promise<string[]> {
    const args = ['-j', 'addr', 'show'];
    const links = (await askIpJson(this.#run, args)) as Partial<LinkJson>[];
    return links
      .flatMap((link) => link.addr_info ?? [])
      .flatMap(({ local }) => local ?? []);
  }

  async detach(device: string, mode: Mode): Promise<void> {
    await askIp(this.#run, ['link', 'set', 'dev', device, mode, 'off']);
  }

  /** Packets that the device has received, by its own counter. */
  async received(device: string): Promise<number> {
    return (await this.#counts(device)).rx.packets;
  }

  /** Packets that the device has sent, and has dropped instead, by its own counters. */
  async sent(device: string): Promise<{ packets: number; dropped: number }> {
    const { packets, dropped = 0, errors = 0 } = (await this.#counts(device)).tx;
    return { packets, dropped: dropped + errors };
  }

  async #counts(device: string): Promise<CountsJson> {
    const args = ['-j', '-s', 'link', 'show', 'dev', device];
    const [link] = (await askIpJson(this.#run, args)) as { stats64?: CountsJson }[];
    if (link?.stats64) return link.stats64;
    throw new Failure(`ip -s link show dev ${device} has no counters of packets`);
  }
}

/**
 * The device that an exit was found for, if it is still there: of those with this index,
 * the VLAN device on it if the exit has a tag.
 */
export function senderOf(
  all: readonly Sender[],
  { ifindex, vlan }: { ifindex: number; vlan: number },
): Sender | undefined {
  const beneath = all.find((one) => one.ifindex === ifindex);
  if (!beneath || vlan === 0) return beneath;
  return all.find(({ parent, vlan: own }) => parent === beneath.name && own?.id === vlan);
}

function readSender({ link, linkinfo, ...json }: SenderJson): Sender {
  const { id, protocol = '' } = linkinfo?.info_data ?? {};
  return {
    name: json.ifname,
    ifindex: json.ifindex,
    mac: json.address ?? '',
    mtu: mtuOf(json),
    up: json.flags.includes('UP'),
    isLoopback: json.flags.includes('LOOPBACK'),
    kind: linkinfo?.info_kind ?? '',
    parent: link,
    vlan:
      id === undefined || linkinfo?.info_kind !== 'vlan' ? undefined : { id, protocol },
  };
}

/** What l4lb-dpdk runs for a device is as good as attached to it. */
export function programOfProcess(there: DpdkProcess | undefined): AttachedProgram[] {
  return there ? [{ mode: 'dpdk', id: there.program, name: there.name }] : [];
}

function lastingAddress(
  { addr_info = [] }: LinkJson,
  family: string,
): string | undefined {
  const lasting = addr_info.find(
    (one) =>
      one.family === family &&
      one.scope === 'global' &&
      !PASSING.some((state) => one[state]),
  );
  return lasting?.local;
}

/** With one program `xdp.prog` says which; with several only `xdp.attached` does. */
export function attachedPrograms(xdp: LinkJson['xdp']): AttachedProgram[] {
  if (!xdp) return [];
  const all = xdp.attached?.length ? xdp.attached : [xdp];
  return all.flatMap(({ mode, prog }) => {
    const name = MODES[mode];
    return name && prog ? [{ mode: name, id: prog.id, name: prog.name ?? '' }] : [];
  });
}
