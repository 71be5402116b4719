// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import type { Status } from '../api/status.js';
import { formatCount } from '../text/format.js';
import type { Box } from './figures/area.js';
import { squarify } from './figures/area.js';
import type { Row } from './figures/rows.js';
import { percent } from './figures/rows.js';
import type { Chosen } from './page.js';
import { signOf } from './state.js';
import type { Theme } from './theme.js';
import { colour } from './theme.js';

interface Props {
  status: Status;
  rows: Row[];
  service: string | undefined;
  theme: Theme;
  choose: (chosen: Chosen) => void;
}

interface Part {
  row: Row;
  box: Box;
}

const HEIGHT = 260;

/** The slots as an area: each destination has its share of it. */
export function Slots({ status, rows, service, theme, choose }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const parts = useRef<Part[]>([]);
  const [width, setWidth] = useState(400);
  const [pointed, point] = useState<Row>();
  const services = useMemo(
    () => status.services.filter(({ name }) => service === undefined || name === service),
    [status, service],
  );
  useEffect(() => {
    const element = canvas.current?.parentElement;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const seen = signature(services, rows);
  useEffect(() => {
    if (canvas.current) parts.current = draw(canvas.current, width, services, rows);
  }, [seen, width, theme]);
  const slots = services.reduce((sum, one) => sum + one.slots, 0);
  const hot = services.reduce((sum, one) => sum + (one.hot ?? 0), 0);
  const find = ({ offsetX, offsetY }: MouseEvent): Row | undefined =>
    parts.current.find(
      ({ box: { x, y, width: w, height: h } }) =>
        offsetX >= x && offsetX < x + w && offsetY >= y && offsetY < y + h,
    )?.row;
  const text = `${formatCount(slots)} slots, ${formatCount(hot)} of them hot`;
  return (
    <section aria-label="Slots" class="slots">
      <h2>
        Slots <small>by share; hatched: hot, they remember where connections were</small>
      </h2>
      <div>
        <canvas
          ref={canvas}
          role="img"
          aria-label={`${text}. The table of destinations has the same in words.`}
          style={{ width: `${width}px`, height: `${HEIGHT}px` }}
          onMouseMove={(event) => point(find(event))}
          onMouseLeave={() => point(undefined)}
          onClick={(event) => {
            const row = find(event);
            if (row) choose({ service: row.service, destination: row.name });
          }}
        />
      </div>
      <p class="near">
        {pointed
          ? `${pointed.name} (${pointed.service}): ${pointed.condition}, ${formatCount(pointed.destination.slots ?? 0)} slots, ${percent(pointed.slotShare ?? 0)}; its weight asks for ${percent(pointed.expected)}`
          : text}
      </p>
    </section>
  );
}

/** Thousands of boxes are drawn again only if any of them has changed. */
function signature(services: Status['services'], rows: readonly Row[]): string {
  const hot = services.map(({ name, slots, hot }) => `${name} ${slots} ${hot ?? ''}`);
  const own = rows.map((row) => `${row.destination.slots ?? ''}${row.condition}`);
  return `${hot.join()} ${own.join()}`;
}

function draw(
  canvas: HTMLCanvasElement,
  width: number,
  services: Status['services'],
  rows: readonly Row[],
): Part[] {
  const context = canvas.getContext('2d');
  if (!context) return [];
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = HEIGHT * ratio;
  context.scale(ratio, ratio);
  context.font = '12px system-ui, sans-serif';
  context.textBaseline = 'top';
  const tones = {
    ...{ well: colour('area'), ink: colour('ink'), gap: colour('panel') },
    ...{ unwell: colour('watch-soft'), hatch: colour('dim') },
  };
  const sized = services
    .filter(({ slots }) => slots > 0)
    .toSorted((one, other) => other.slots - one.slots);
  const boxes = squarify(
    sized.map(({ slots }) => slots),
    { x: 0, y: 0, width, height: HEIGHT },
  );
  const parts: Part[] = [];
  sized.forEach(({ name, slots, hot }, index) => {
    const box = boxes[index];
    if (!box) return;
    const own = rows
      .filter((row) => row.service === name && (row.destination.slots ?? 0) > 0)
      .sort(
        (one, other) => (other.destination.slots ?? 0) - (one.destination.slots ?? 0),
      );
    const areas = squarify(
      own.map(({ destination }) => destination.slots ?? 0),
      box,
    );
    own.forEach((row, place) => {
      const area = areas[place];
      if (!area) return;
      parts.push({ row, box: area });
      const { x, y, width: w, height: h } = area;
      // In many small ones, gaps would be all that is seen.
      const gap = Math.min(w, h) > 6 ? 1 : 0;
      context.fillStyle = row.isWell ? tones.well : tones.unwell;
      context.fillRect(x, y, w - gap, h - gap);
      context.fillStyle = tones.ink;
      if (w < 70 || h < 20) {
        // Not by colour alone.
        if (!row.isWell && w > 12 && h > 14)
          context.fillText(signOf(row.condition), x + 3, y + 3);
        return;
      }
      const sign = row.isWell ? '' : `${signOf(row.condition)} `;
      const most = Math.floor((w - 8) / 7);
      context.fillText(cut(`${sign}${row.name}`, most), x + 4, y + 4);
      if (h >= 34) context.fillText(percent(row.slotShare ?? 0), x + 4, y + 19);
    });
    hatch(context, box, slots > 0 ? (hot ?? 0) / slots : 0, tones.hatch);
  });
  return parts;
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
}

/** From the bottom up, as much of the box as the part says. */
function hatch(
  context: CanvasRenderingContext2D,
  { x, y, width, height }: Box,
  part: number,
  tone: string,
): void {
  if (part <= 0) return;
  const high = Math.max(2, height * part);
  const top = y + height - high;
  context.save();
  context.beginPath();
  context.rect(x, top, width, high);
  context.clip();
  context.strokeStyle = tone;
  context.beginPath();
  for (let from = x - high; from < x + width; from += 6) {
    context.moveTo(from, y + height);
    context.lineTo(from + high, top);
  }
  context.moveTo(x, top);
  context.lineTo(x + width, top);
  context.stroke();
  context.restore();
}
