// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * What l4lbd knows at one moment. Its API says this as JSON; the metrics, the page and
 * `l4lb ctl` draw this one value and nothing else. What could not be seen is null, and
 * `unseen` says why.
 */
import type { Action } from '../abi/verdicts.js';
import type { StateName } from '../health/condition.js';
import type { ByHand } from '../health/weights.js';
import type { Forward } from '../wire/forward.js';
import type { ModeName } from '../text/mode.js';

export interface Status {
  /** When that was so. */
  time: string;
  interface: string;
  version: string;
  pid: number;
  started: string;
  /** Whether the tables are as the file, the checks and hands want them. */
  ready: boolean;
  program: { id: number; mode: ModeName };
  /** Of the tables: rises with each fill. */
  generation: number;
  file: FileStatus;
  checker: CheckerStatus;
  services: ServiceStatus[];
  /** Null: it balances alone. */
  fleet: FleetStatus | null;
  /** Each verdict that any packet had. */
  verdicts: VerdictCount[] | null;
  /** What made l4lbd fill the tables, and how much that moved, since it started. */
  changes: Record<Cause, Changes>;
  /** What could not be seen, and why. */
  unseen: string[];
}

/** Of a node of a fleet. */
export interface FleetStatus {
  name: string;
  node: string;
  /** As the user has named it. */
  store: string;
  /** Whether the store is heard of; if not, all stays as it is. */
  linked: boolean;
  /** Null: nobody, or it is not known. */
  leader: string | null;
  /** It announces itself as drained, or it announces nothing: see `announced`. */
  drained: boolean;
  /** Addresses of services that it announces to routers. */
  announced: string[];
  /** It goes by what the leader decided last. */
  up_to_date: boolean;
  /** What is wrong with it; null: nothing. */
  fault: string | null;
  /** Nodes with the same document and other tables, in words; only the leader hears of all. */
  disagreements: string[];
  tables: FleetTable[];
}

export interface FleetTable {
  service: string;
  /** Of its document. */
  revision: number;
  /** Of what its slots lead to and remember: the same on all nodes. */
  sum: string;
  /** Of its history. */
  sets: number;
  /** This node needs the oldest of them no more. */
  settled: boolean;
}

export interface FileStatus {
  path: string;
  /** When the services that are running were read. */
  read: string;
  /** What is wrong with the file that was read last; null: nothing. */
  fault: string | null;
  reloads: { good: number; bad: number };
}

export interface CheckerStatus {
  /** Null: it is not running. */
  pid: number | null;
  /** Milliseconds since it last said something. */
  silent_ms: number;
  /** How often it was so late that answers may have been missed, since l4lbd started. */
  late: number;
  /** How many checks have begun to run again and again. */
  checks: number;
}

export type Cause = 'start' | 'file' | 'health' | 'hand';

export interface Changes {
  fills: number;
  slots_moved: number;
  /** How few would have done. */
  slots_ideal: number;
  /** All seconds that these fills took. */
  seconds: number;
}

export interface Count {
  packets: number | bigint;
  bytes: number | bigint;
}

export interface VerdictCount extends Count {
  name: string;
  action: Action;
}

export interface ServiceStatus {
  name: string;
  /** Such as 198.51.100.10:80/tcp. */
  ways: string[];
  forward: Forward;
  /** Of the checks; null: there are none, and all destinations serve. */
  check: { kind: string; interval_ms: number } | null;
  slots: number;
  /** Slots that remember where connections were. */
  hot: number | null;
  /** Weight of all that are asked, and of those whose last check passed, without backups. */
  weight: number;
  healthy: number;
  /** Below half of its weight passes. */
  panic: boolean;
  on_panic: 'keep' | 'all' | 'off';
  /** The backups stand in. */
  on_backup: boolean;
  /** Milliseconds until health may move its slots again; null: it may. */
  postponed_ms: number | null;
  /** Packets sent to its destinations since l4lbd started, also to those that have left. */
  counted: Count | null;
  destinations: DestinationStatus[];
}

export interface DestinationStatus {
  /** As the file has it. */
  name: string;
  /** Of its checks. */
  state: StateName;
  by_hand: ByHand | null;
  backup: boolean;
  /** Of the file, or of a hand. */
  weight: number;
  weight_by_hand: number | null;
  /** That the tables have now. */
  live: number;
  /** No packet goes there, not even of a connection that it has. */
  forgotten: boolean;
  slots: number | null;
  counted: Count | null;
  /** When it came into its state. */
  since: string;
  /** Why its last check failed; empty if none has since it was well. */
  reason: string;
  /** Null: it was not asked yet, or never is. */
  last: LastCheck | null;
  /**
   * The last of its checks, at most KEPT_CHECKS, the latest last: `+` passed, `-` failed,
   * `?` said nothing about the destination.
   */
  checks: string;
  /** How its checks ended since l4lbd started, and how long they took. */
  checked: Checks;
}

export const KEPT_CHECKS = 60;

export interface LastCheck {
  time: string;
  passed: boolean | null;
  ms: number;
  reason: string;
}

export interface Checks {
  passed: number;
  failed: number;
  void: number;
  /** All seconds that those took that passed. */
  seconds: number;
}

/** What an action by hand did, or would do. */
export interface ByHandResult {
  service: string;
  destination: string;
  by_hand: ByHand | null;
  weight: number;
  weight_by_hand: number | null;
  /** Nothing was changed: this is what it would do. */
  dry_run: boolean;
  slots_moved: number;
  slots_ideal: number;
  /** Weights in the tables that change. */
  weights: { destination: string; before: number; after: number }[];
}

/** Whether a service can be sent to, for the script of a routing daemon. */
export interface ServiceHealthStatus {
  service: string;
  /** Any destination gets packets, and passes its checks. */
  serves: boolean;
  healthy: number;
  weight: number;
  panic: boolean;
  on_backup: boolean;
}
