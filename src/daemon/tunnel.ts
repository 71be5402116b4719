// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Sends checks on the way of the balancer's packets. The checker binds a check to a port,
 * the kernel's routes lead what comes from that port to a program at the device's way out,
 * and the program makes of it what XDP makes of a packet for the same destination.
 *
 * Nothing of this may ever look like a destination's fault or merit. A check begins when its
 * destination has an entry. What fails counts only if all of it was there afterwards. And
 * where a part is missing, packets get nowhere: see check-routes.ts and l4lb_check.c.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import type { CheckTarget } from '../abi/check.js';
import { CHECKS, PORTS_OF_CHECK } from '../abi/check.js';
import type { Report } from '../checks/checker.js';
import { addressesOf } from '../config/via.js';
import { refusedVia } from '../fill/check-via.js';
import type { PreparedConfig } from '../fill/from-config.js';
import type { Check, Checked } from '../health/check.js';
import type { ResolvedService } from '../plan/all.js';
import type { Tables } from '../plan/state.js';
import type { Checking } from '../program/checking.js';
import {
  blockOf,
  startChecking,
  stopChecking,
  writeChecks,
} from '../program/checking.js';
import type { Attached } from '../program/find.js';
import { attachedNow } from '../program/find.js';
import { readTables } from '../program/read.js';
import type { Context } from '../program/tools.js';
import {
  FAMILIES,
  checkRules,
  dropCheckRoutes,
  familyOf,
  freePorts,
  layCheckRoutes,
} from '../system/ip/check-routes.js';
import { senderOf } from '../system/ip/links.js';
import { ownAddresses } from '../system/ip/own.js';
import type { Run } from '../system/run.js';
import { reservePorts } from '../system/reserved-ports.js';
import { filterOn } from '../system/tc.js';
import { Failure } from '../text/failure.js';
import { checkAnswersBack } from './answers-back.js';
import { idsByEndpoint } from './live.js';

/** Milliseconds between two looks at what others may have removed. */
const LOOK = 5000;
/** From one look because checks fail to the next one. */
const LOOK_AGAIN = 200;
/** What a result needs at most to get here from the checker. */
const TOLD = 50;
/** The longest outer header, and the shortest MTU that IPv6 has. */
const MOST_OUTER = 40;
const LEAST_MTU = 1280;

export interface TunnelEvents {
  /** All checks that may be asked now. */
  checks: (checks: readonly Check[]) => void;
  report: (report: Report) => void;
  trouble: (what: string) => void;
}

interface Heard {
  report: Report;
  at: number;
}

interface Opened {
  attached: Attached;
  checking: Checking;
  firstPort: number;
  /** Whether the ports were reserved by somebody else. */
  keepsPorts: boolean;
}

export class Tunnel {
  readonly #tools: Context;
  readonly #events: TunnelEvents;
  #opened: Opened | undefined;
  #services: readonly ResolvedService[] = [];
  #checks: readonly Check[] = [];
  /** Of the checks that go this way, by key. */
  readonly #numbers = new Map<string, number>();
  #targets = new Map<number, CheckTarget>();
  /** Those that have routes. */
  #addresses: readonly string[] = [];
  /** Those that this host has itself, so that checks would not leave it. */
  #own: ReadonlySet<string> = new Set();
  /** What went wrong at the last look, which is told once. */
  #fault = '';
  #given = '';
  /** Whether the tables are what the file wants: an older entry may be a wrong one. */
  #isFilled = false;
  /** When something of all this was last changed: a check that began before says nothing. */
  #changed = -Infinity;
  /** The same for one check, by number. */
  readonly #pointed = new Map<number, number>();
  readonly #reports: Heard[] = [];
  #isJudging = false;
  #timer: NodeJS.Timeout | undefined;
  /** Ends when nobody works on all this. */
  #work: Promise<unknown> = Promise.resolve();

  constructor(tools: Context, events: TunnelEvents) {
    // Ctrl-C must not reach what removes all this.
    const run: Run = (command, args, options) =>
      tools.run(command, args, { ...options, detached: true });
    this.#tools = { ...tools, run };
    this.#events = events;
  }

  /**
   * Sees to it that checks can go this way. If they cannot, a service that asks for it is
   * refused, and the others are asked at the addresses of their destinations.
   */
  async open(attached: Attached, prepared: PreparedConfig): Promise<PreparedConfig> {
    const { run } = this.#tools;
    const services: ResolvedService[] = [];
    for (const service of prepared.services) {
      const devices = await this.#devicesOf(attached, service);
      const back = (): Promise<void> =>
        checkAnswersBack(run, devices, addressesOf(service));
      services.push(await this.#unlessRefused(service, back));
    }
    const start = (): Promise<void> => this.#alone(() => this.#start(attached));
    for (const [index, service] of services.entries())
      services[index] = await this.#unlessRefused(service, start);
    return { ...prepared, services };
  }

  /** The devices that answers to a service's checks come in by, as a rule. */
  async #devicesOf(
    { link }: Attached,
    { destinations }: ResolvedService,
  ): Promise<string[]> {
    const exits = destinations.flatMap(({ exit }) => exit ?? []);
    const all = exits.length === 0 ? [] : await this.#tools.ip.senders();
    const names = exits.flatMap((exit) => senderOf(all, exit)?.name ?? []);
    return [...new Set([link.name, ...names])];
  }

  /** The service as it is if the work succeeds, or asked at other addresses. */
  async #unlessRefused(
    service: ResolvedService,
    work: () => Promise<void>,
  ): Promise<ResolvedService> {
    if (!goesThrough(service)) return service;
    try {
      await work();
      return service;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (service.check?.isViaWanted) throw refusedVia(service, error);
      const { message, advice } = error;
      const next = advice.next === undefined ? '' : `; next: ${advice.next}`;
      const what = `checks of ${service.name} go to its destinations' own addresses: ${message}${next}`;
      this.#events.trouble(what);
      return byAddress(service);
    }
  }

  /** These checks, and no others; those without an entry wait for one. */
  async set(
    services: readonly ResolvedService[],
    checks: readonly Check[],
    tables: Tables | undefined,
  ): Promise<void> {
    this.#services = services;
    this.#checks = checks;
    const going = checks.filter(({ through }) => through);
    const keys = new Set(going.map(({ key }) => key));
    for (const key of this.#numbers.keys()) if (!keys.has(key)) this.#numbers.delete(key);
    const taken = new Set(this.#numbers.values());
    let next = 0;
    for (const { key } of going) {
      if (this.#numbers.has(key)) continue;
      while (taken.has(next)) next++;
      taken.add(next);
      this.#numbers.set(key, next);
    }
    await this.#alone(async () => {
      if (going.length === 0) await this.#stop();
      await this.#lay(services.filter(goesThrough).flatMap(addressesOf));
      await this.#point(tables);
    });
  }

  /** The tables have changed. */
  async follow(attached: Attached, tables: Tables): Promise<void> {
    if (!this.#opened) return;
    this.#isFilled = true;
    await this.#alone(async () => {
      await this.#start(attached);
      await this.#point(tables);
    });
  }

  /** Passes on what the checker says, as far as it is about the destinations. */
  take(report: Report): void {
    if (!this.#needsLook(report) && this.#reports.length === 0) {
      this.#events.report(report);
      return;
    }
    this.#reports.push({ report, at: performance.now() });
    if (!this.#isJudging) void this.#judge();
  }

  /** Leaves nothing of it behind. */
  async close(): Promise<void> {
    try {
      await this.#alone(() => this.#stop());
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#events.trouble(`the way of checks is not removed: ${error.message}`);
    }
  }

  #isDoubtful({ key, passed }: Checked): boolean {
    return passed === false && this.#numbers.has(key);
  }

  #needsLook({ checked }: Report): boolean {
    return checked.some((one) => this.#isDoubtful(one));
  }

  /** Looks once for all that has come since the last time, lest it takes a process each. */
  async #judge(): Promise<void> {
    this.#isJudging = true;
    let next = 0;
    // What came meanwhile waits for another look only if a check has failed.
    while (this.#reports.some(({ report }) => this.#needsLook(report))) {
      if (performance.now() < next) await sleep(next - performance.now());
      next = performance.now() + LOOK_AGAIN;
      const { length } = this.#reports;
      const missing = await this.#alone(() => this.#lookAndMend());
      if (missing !== undefined) this.#changed = Infinity;
      this.#passOn(length);
      if (missing !== undefined) this.#changed = performance.now();
    }
    this.#passOn(this.#reports.length);
    this.#isJudging = false;
  }

  #passOn(count: number): void {
    for (const heard of this.#reports.splice(0, count))
      this.#events.report(this.#sifted(heard));
  }

  #sifted({ report, at }: Heard): Report {
    const reason = 'a part of their way was missing';
    const checked = report.checked.map((one) => {
      const { key, took } = one;
      const pointed = this.#pointed.get(this.#numbers.get(key) ?? -1) ?? -Infinity;
      const changed = Math.max(this.#changed, pointed);
      if (!this.#isDoubtful(one) || at - took - TOLD > changed) return one;
      return { key, took, reason };
    });
    return { ...report, checked };
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#work;
    const done = (async () => {
      await before;
      return work();
    })();
    // Whoever waits for this does not wait for its success.
    this.#work = Promise.allSettled([done]);
    return done;
  }

  /** Attaches the program, unless it is there and reads the tables that count. */
  async #start(attached: Attached): Promise<void> {
    const before = this.#opened;
    if (before?.checking.destinations === attached.maps.destinations.id) {
      this.#opened = { ...before, attached };
      return;
    }
    const { run } = this.#tools;
    const rules = await checkRules(run);
    const firstPort = before?.firstPort ?? freePorts(rules, attached.link.ifindex);
    if (firstPort === undefined) {
      throw new Failure('all ports for checks are in use', {
        cause: 'l4lbd has them on other devices',
        next: 'ip rule',
      });
    }
    const checking = await startChecking(this.#tools, attached, this.#targets);
    // A rule that is there is what a killed l4lbd has left, and the reservation with it.
    const isLeft = rules.some(({ ifindex }) => ifindex === attached.link.ifindex);
    const isNew = await this.#reserve(firstPort);
    const keepsPorts = before ? before.keepsPorts : !isNew && !isLeft;
    this.#opened = { attached, checking, firstPort, keepsPorts };
    this.#changed = performance.now();
    this.#timer ??= setInterval(() => {
      void this.#alone(() => this.#keep());
    }, LOOK).unref();
  }

  /** A check whose port somebody has says nothing, and takes its other one next. */
  async #reserve(firstPort: number): Promise<boolean> {
    try {
      return await reservePorts(blockOf(firstPort));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const { message, advice } = error;
      const what = `checks share their ports with other connections: ${message}`;
      this.#events.trouble(`${what}; next: ${advice.next ?? ''}`);
      return false;
    }
  }

  async #stop(): Promise<void> {
    const opened = this.#opened;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#opened = undefined;
    this.#addresses = [];
    if (!opened) return;
    await stopChecking(this.#tools, opened.attached.link, opened.keepsPorts);
  }

  async #lay(addresses: readonly string[]): Promise<void> {
    const opened = this.#opened;
    if (!opened) return;
    const { run } = this.#tools;
    const gone = this.#addresses.filter((address) => !addresses.includes(address));
    this.#addresses = [...new Set(addresses)];
    await layCheckRoutes(run, this.#routes(opened), await checkRules(run));
    await dropCheckRoutes(run, opened.attached.link.ifindex, gone);
  }

  #routes({
    attached: { link },
    firstPort,
  }: Opened): Parameters<typeof layCheckRoutes>[1] {
    const mtu = Math.max(LEAST_MTU, link.mtu - MOST_OUTER);
    const { name: device, ifindex } = link;
    return { device, ifindex, firstPort, mtu, addresses: this.#addresses };
  }

  /** Writes where each check goes, as far as that has changed. */
  async #point(tables: Tables | undefined): Promise<void> {
    const idOf = tables && idsByEndpoint(tables, this.#services);
    const targets = new Map<number, CheckTarget>();
    for (const { key, through } of this.#checks) {
      const number = this.#numbers.get(key);
      if (!through || number === undefined || number >= CHECKS) continue;
      const destination = idOf?.(through.service, through.destination) ?? 0;
      const address = tables?.destinations.get(destination)?.address;
      if (address) targets.set(number, { address, destination });
    }
    const changed = [...new Set([...this.#targets.keys(), ...targets.keys()])].filter(
      (number) => !isSame(this.#targets.get(number), targets.get(number)),
    );
    this.#targets = targets;
    if (this.#opened && changed.length > 0) {
      const changes = new Map(changed.map((number) => [number, targets.get(number)]));
      await writeChecks(this.#tools, this.#opened.checking, changes);
      for (const number of changed) this.#pointed.set(number, performance.now());
    }
    this.#give();
  }

  /** Lets the checker ask those whose way is laid, if these are not the same as before. */
  #give(): void {
    const ready = this.#checks.flatMap((check): Check[] => {
      if (!check.through) return [check];
      const number = this.#numbers.get(check.key);
      const { address, alsoAt = [] } = check.probe;
      const isLocal = [address, ...alsoAt].some((one) => this.#own.has(one));
      if (!this.#opened || !this.#isFilled || isLocal) return [];
      if (number === undefined || !this.#targets.has(number)) return [];
      const first = this.#opened.firstPort + number * PORTS_OF_CHECK;
      return [{ ...check, localPorts: [first, first + 1] }];
    });
    const given = JSON.stringify(ready.map(({ key }) => key));
    if (given === this.#given) return;
    this.#given = given;
    this.#events.checks(ready);
  }

  /** What is missing, so that checks cannot get to their destinations. */
  async #look({ attached, checking }: Opened): Promise<string | undefined> {
    const { link } = attached;
    const { run } = this.#tools;
    const needed = FAMILIES.filter((family) =>
      this.#addresses.some((address) => familyOf(address) === family),
    );
    // Checks that fail wait for this.
    const [filter, rules] = await Promise.all([
      filterOn(run, link.name),
      checkRules(run, needed),
    ]);
    if (filter?.program !== checking.program) return `the filter on ${link.name}`;
    const hasRule = needed.every((family) =>
      rules.some((rule) => rule.family === family && rule.ifindex === link.ifindex),
    );
    return hasRule ? undefined : 'the routing rule of checks';
  }

  /** Returns what was missing. */
  async #lookAndMend(): Promise<string | undefined> {
    const opened = this.#opened;
    if (!opened) return 'all of it';
    try {
      const { run } = this.#tools;
      const missing = await this.#look(opened);
      if (missing === undefined) return undefined;
      const checking = await startChecking(this.#tools, opened.attached, this.#targets);
      this.#opened = { ...opened, checking };
      await layCheckRoutes(run, this.#routes(opened), await checkRules(run));
      // Only now it is: what is removed after this was said is found at the next look.
      this.#events.trouble(`${missing} was removed by somebody else; it is back`);
      return missing;
    } catch (error) {
      this.#tellFault(error);
      return String(error);
    }
  }

  /** Looks at all that others can change, and puts it right. */
  async #keep(): Promise<void> {
    const opened = this.#opened;
    if (!opened || (await this.#lookAndMend()) !== undefined) return;
    try {
      const { run, bpftool } = this.#tools;
      const attached = await attachedNow(this.#tools, opened.attached);
      if (attached.program !== opened.attached.program) {
        await this.#start(attached);
        await this.#point(await readTables(bpftool, attached.maps));
      }
      // A device that was down has lost its routes.
      await layCheckRoutes(run, this.#routes(opened), await checkRules(run));
      this.#noteOwn(await ownAddresses(run, this.#addresses));
      this.#fault = '';
    } catch (error) {
      this.#tellFault(error);
    }
  }

  #tellFault(error: unknown): void {
    if (!(error instanceof Failure)) throw error;
    if (error.message === this.#fault) return;
    this.#fault = error.message;
    this.#events.trouble(`checks cannot get to their destinations: ${error.message}`);
  }

  /** An address that this host has now cannot be asked. */
  #noteOwn(own: ReadonlySet<string>): void {
    for (const address of own) {
      if (this.#own.has(address)) continue;
      const what = `${address} has become an address of this host; its checks wait until it is none`;
      this.#events.trouble(what);
    }
    this.#own = own;
    this.#give();
  }
}

function goesThrough({ check }: ResolvedService): boolean {
  return check?.via === 'tunnel' || check?.via === 'link';
}

function byAddress(service: ResolvedService): ResolvedService {
  const { check } = service;
  return check ? { ...service, check: { ...check, via: 'address' } } : service;
}

function isSame(one: CheckTarget | undefined, other: CheckTarget | undefined): boolean {
  if (!one || !other) return one === other;
  return one.destination === other.destination && one.address.equals(other.address);
}
