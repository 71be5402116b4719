// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Reports a flood as text and as JSON. */
import { formatCount, formatShare } from '../text/format.js';
import { must } from '../text/must.js';
import type { Progress, Total } from './send.js';

export interface Flood {
  interface: string;
  /** ADDR:PORT/PROTO; `source` is ADDR[/LENGTH]. */
  destination: string;
  source: string;
  flows: number | undefined;
  /** Bytes of a frame, without its checksum. */
  size: number;
}

interface Rate {
  pps: number;
  bps: number;
}

function rateOf(sent: number, seconds: number, size: number): Rate {
  const pps = seconds > 0 ? sent / seconds : 0;
  return { pps, bps: pps * size * 8 };
}

export function describeFlood(flood: Flood): string {
  const { destination, source, flows, size } = flood;
  const many = flows === undefined ? '' : `, ${formatCount(flows)} flows`;
  return `${flood.interface}: ${destination} from ${source}${many}, frames of ${size} bytes`;
}

/** Returns the line for each second, with the rates since the line before. */
export function progressLine(flood: Flood, before: Progress, now: Progress): string {
  const { pps, bps } = rateOf(
    now.sent - before.sent,
    now.seconds - before.seconds,
    flood.size,
  );
  return [
    `${Math.round(now.seconds)} s`.padStart(6),
    `${formatCount(pps)} pkts/s`.padStart(18),
    `${formatCount(bps)} bits/s`.padStart(23),
    ...(now.lost === undefined
      ? []
      : [
          `${formatCount(now.lost - must(before.lost, 'the earlier count of losses'))} lost`.padStart(
            14,
          ),
        ]),
  ].join('  ');
}

export function describeTotal({ size }: Flood, total: Total): string[] {
  const { pps, bps } = rateOf(total.sent, total.seconds, size);
  const lines = [
    `sent ${formatCount(total.sent)} packets in ${total.seconds.toFixed(1)} s: ` +
      `${formatCount(pps)} pkts/s, ${formatCount(bps)} bits/s`,
  ];
  if (total.lost === undefined) lines.push('this kernel does not report losses');
  else if (total.lost > 0) {
    const share = formatShare(total.lost, total.sent + total.lost);
    lines.push(
      `lost ${formatCount(total.lost)} more (${share}): the device accepted no more`,
    );
  }
  return lines;
}

export function totalJson(flood: Flood, total: Total): unknown {
  const { pps, bps } = rateOf(total.sent, total.seconds, flood.size);
  // Where losses are not known, they are part of what was sent.
  const all = total.sent + (total.lost ?? 0);
  return {
    interface: flood.interface,
    destination: flood.destination,
    source: flood.source,
    flows: flood.flows ?? null,
    frame_bytes: flood.size,
    seconds: total.seconds,
    sent: total.sent,
    lost: total.lost ?? null,
    pps,
    bps,
    ns_per_packet: all > 0 ? total.busy / all : null,
  };
}
