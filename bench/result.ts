// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** What the benchmark measures, and how rounds become one figure. */

/**
 * Of the rounds of one case: half of them lie from `lower` to `upper`. The least and the
 * most would tell of the machine's worst moments alone, and the more so the more rounds.
 */
export interface Spread {
  median: number;
  lower: number;
  upper: number;
}

export interface Machine {
  /** UTC, YYYY-MM-DD. */
  date: string;
  kernel: string;
  processor: string;
  processors: number;
  commit: string;
}

/** Packets that flow through one balancer, or what stands in its place. */
export interface PacketsResult {
  group: string;
  name: string;
  packets: number;
  /** Neither came back nor were refused by the wire in front. */
  lost: number;
  /** Of the whole path, in nanoseconds; bpf_stats off. */
  path: Spread;
  /** Nanoseconds over the floor of the same round. */
  over: Spread | undefined;
  /** Of the whole path to the floor of the same round. */
  ratio: Spread | undefined;
  /** In a pass of its own with bpf_stats on. */
  run: number | undefined;
  /** Of the translated program, all of its functions. */
  instructions: number | undefined;
  /** A packet's on the whole path, where the machine has counters for them. */
  hardware: { cycles: number; instructions: number } | undefined;
}

/** One TCP connection that sends for a second. */
export interface ThroughputResult {
  name: string;
  /** Gbit/s. */
  rate: Spread;
  /** The case that it is compared with; undefined: others are compared with it. */
  beside: string | undefined;
  /** To that one in the same round. */
  ratio: Spread | undefined;
}

/** TCP connections, each with one request. */
export interface ConnectionsResult {
  name: string;
  perSecond: Spread;
  /** To what goes straight to a destination, in the same round. */
  ratio: Spread;
  failed: number;
}

/** Nanoseconds of a processor for a packet, in a process of DPDK's. */
export interface DpdkResult {
  name: string;
  /** Of what only swaps MAC addresses. */
  swap: Spread;
  l4lb: Spread;
  /** l4lb over that, in the same round. */
  over: Spread;
}

/** What a command costs: its time by the clock, or what all its processes compute. */
export interface ToolResult {
  name: string;
  milliseconds: Spread;
  kind: 'clock' | 'processor';
  /** To `node -e 0` by the clock, in the same round. */
  ratio: Spread;
}

export interface Result {
  machine: Machine;
  packets: PacketsResult[];
  throughput: ThroughputResult[];
  connections: ConnectionsResult[];
  tools: ToolResult[];
  dpdk: DpdkResult[];
}

export function spreadOf(rounds: readonly number[]): Spread {
  const sorted = [...rounds].sort((a, b) => a - b);
  const quantile = (part: number): number => {
    const place = (sorted.length - 1) * part;
    const [low = NaN, high = NaN] = [Math.floor, Math.ceil].map(
      (to) => sorted[to(place)],
    );
    return low + (high - low) * (place % 1);
  };
  return { median: quantile(1 / 2), lower: quantile(1 / 4), upper: quantile(3 / 4) };
}

/** Each round's figure beside that of the same round of another case. */
export function spreadBeside(
  rounds: readonly number[],
  others: readonly number[],
  compare: (one: number, other: number) => number,
): Spread {
  return spreadOf(rounds.map((one, round) => compare(one, others[round] ?? NaN)));
}
