// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';

import { formatCount } from '../text/format.js';
import type { Mark, Told } from './figures/events.js';
import { marksOf } from './figures/events.js';
import type { Series } from './figures/series.js';
import { clock } from './figures/truth.js';
import type { Theme } from './theme.js';
import { colour } from './theme.js';

interface Props {
  series: Series;
  /** Changes whenever the series has. */
  version: number;
  events: readonly Told[];
  service: string | undefined;
  theme: Theme;
}

/** Milliseconds: marks that are nearer are one. */
const MARK_WITHIN = 4000;

/** The last ten minutes; what happened is marked in all plots. */
export function Plots({ series, version, events, service, theme }: Props) {
  const [at, setAt] = useState<number>();
  const first = series.times[0] ?? 0;
  const marks = useMemo(
    () => marksOf(events, service, MARK_WITHIN).filter(({ time }) => time >= first),
    [events, service, first],
  );
  const plots = useMemo(
    () => [
      {
        title: 'packets a second',
        tone: 'line',
        values: series.rates('packets', service),
      },
      {
        title: 'weight that passes, %',
        tone: 'line',
        values: series.passing(service),
        top: 100,
      },
      { title: 'drops a second, all services', tone: 'bad', values: series.drops() },
    ],
    [version, service],
  );
  const near =
    at === undefined ? undefined : marks.find(({ time }) => Math.abs(time - at) < 6000);
  const span = ((series.times.at(-1) ?? 0) - first) / 60_000;
  return (
    <section aria-label="The last ten minutes">
      <h2>
        The last {span < 1 ? 'minute' : `${Math.round(span)} minutes`}
        <small> {service ?? 'all services'}</small>
      </h2>
      <div class="plots">
        {plots.map((one) => (
          <Plot
            key={one.title}
            {...one}
            {...{ theme, marks, setAt }}
            times={series.times}
          />
        ))}
      </div>
      <p class="near" aria-live="off">
        {near
          ? `${clock(new Date(near.time).toISOString())} ${near.texts.join('; ')}`
          : marks.length > 0
            ? `▼ and dashed lines mark what happened; point at one to read it.`
            : 'Nothing happened in this time.'}
      </p>
    </section>
  );
}

interface PlotProps {
  title: string;
  tone: string;
  times: readonly number[];
  values: (number | null)[];
  top?: number;
  marks: Mark[];
  theme: Theme;
  setAt: (time: number | undefined) => void;
}

const HEIGHT = 170;

function Plot({ title, tone, times, values, top, marks, theme, setAt }: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  /** What the drawing of the plot reads; it is made once for each theme. */
  const drawn = useRef(marks);
  drawn.current = marks;
  const data = useMemo<uPlot.AlignedData>(
    () => [times.map((time) => time / 1000), values],
    [values],
  );
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const width = (): number => Math.max(200, element.clientWidth);
    const axis = { stroke: colour('dim'), grid: { stroke: colour('rule'), width: 1 } };
    const made = new uPlot(
      {
        ...{ width: width(), height: HEIGHT, title: '', legend: { show: false } },
        cursor: { sync: { key: 'l4lb' }, points: { size: 6 }, y: false },
        scales: {
          y: { range: (_, __, most) => [0, top ? top * 1.05 : Math.max(1, most * 1.1)] },
        },
        axes: [
          {
            ...{ ...axis, ticks: axis.grid, space: 70 },
            values: (_, all) =>
              all.map((seconds) => clock(new Date(seconds * 1000).toISOString())),
          },
          { ...axis, ticks: axis.grid, size: 64, values: (_, all) => all.map(short) },
        ],
        series: [
          {},
          {
            label: title,
            stroke: colour(tone),
            fill: colour(`${tone}-soft`),
            width: 2,
            points: { show: false },
          },
        ],
        hooks: {
          draw: [(self) => drawMarks(self, drawn.current)],
          setCursor: [
            (self) => {
              const { idx } = self.cursor;
              const time = typeof idx === 'number' ? self.data[0][idx] : undefined;
              setAt(time === undefined ? undefined : time * 1000);
            },
          ],
        },
      },
      data,
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: width(), height: HEIGHT }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [theme]);
  useEffect(() => plot.current?.setData(data), [data, marks]);
  const latest = values.findLast((value) => value !== null) ?? null;
  const isSeen = latest !== null;
  const text = isSeen ? short(latest) : 'not seen';
  return (
    <figure role="img" aria-label={`${title}: now ${text}`}>
      <figcaption>
        {title} <b>{text}</b>
      </figcaption>
      <div ref={box} />
    </figure>
  );
}

function drawMarks(self: uPlot, marks: readonly Mark[]): void {
  const { ctx, bbox } = self;
  const { min = 0, max = 0 } = self.scales.x ?? {};
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  for (const { time, weight } of marks) {
    const at = time / 1000;
    if (at < min || at > max) continue;
    const x = Math.round(self.valToPos(at, 'x', true));
    const size = 5 * devicePixelRatio;
    ctx.strokeStyle = ctx.fillStyle = colour(weight === 'plain' ? 'dim' : weight);
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    // Good points up and bad points down.
    const [base, tip] =
      weight === 'good'
        ? [bbox.top + size * 1.5, bbox.top]
        : [bbox.top, bbox.top + size * 1.5];
    ctx.beginPath();
    ctx.moveTo(x - size, base);
    ctx.lineTo(x + size, base);
    ctx.lineTo(x, tip);
    ctx.fill();
  }
  ctx.restore();
}

/** 1,200 as it is, 1,234,567 as 1.2M. */
function short(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)}G`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)}M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(0)}k`;
  return value > 0 && value < 10 ? value.toFixed(1) : formatCount(value);
}
