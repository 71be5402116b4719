// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { useState } from 'preact/hooks';

import type { ServiceStatus, Status } from '../api/status.js';
import { countConditions } from '../api/words.js';
import { formatCount, many } from '../text/format.js';
import { largest } from '../text/lists.js';
import type { Balance } from './figures/balance.js';
import { balanceOf } from './figures/balance.js';
import type { Row } from './figures/rows.js';
import { percent } from './figures/rows.js';
import type { Series } from './figures/series.js';

interface Props {
  status: Status;
  rows: Row[];
  series: Series;
  selected: string | undefined;
  choose: (service: string) => void;
}

/** More than these only if somebody wants to see them. */
const FIRST = 12;

export function Cards({ status, rows, series, selected, choose }: Props) {
  const [isWhole, showAll] = useState(false);
  const byService = new Map<string, Row[]>();
  for (const row of rows) {
    const others = byService.get(row.service);
    if (others) others.push(row);
    else byService.set(row.service, [row]);
  }
  // Those that are not well first; else as the file has them.
  const services = status.services.toSorted(
    (one, other) => Number(isFine(one)) - Number(isFine(other)),
  );
  const shown = isWhole ? services : services.slice(0, FIRST);
  const rest = services.length - shown.length;
  return (
    <section aria-label="Services">
      <div class="cards">
        {shown.map((one) => (
          <Card
            key={one.name}
            service={one}
            rows={byService.get(one.name) ?? []}
            times={series.times}
            rates={series.rates('packets', one.name)}
            isSelected={one.name === selected}
            choose={() => choose(one.name)}
          />
        ))}
      </div>
      {rest > 0 && (
        <button type="button" onClick={() => showAll(true)}>
          Show {rest} more
        </button>
      )}
    </section>
  );
}

function isFine({
  panic,
  on_backup,
  healthy,
  weight,
  destinations,
}: ServiceStatus): boolean {
  return (
    !panic && !on_backup && healthy >= weight && destinations.some(({ live }) => live > 0)
  );
}

interface CardProps {
  service: ServiceStatus;
  rows: Row[];
  times: readonly number[];
  rates: (number | null)[];
  isSelected: boolean;
  choose: () => void;
}

function Card({ service, rows, times, rates, isSelected, choose }: CardProps) {
  const { name, ways, check, panic, on_backup, slots, hot, postponed_ms } = service;
  const [way = 'any', ...more] = ways;
  const rate = rates.at(-1) ?? null;
  const alarms = [
    ...(panic ? [`PANIC (${service.on_panic})`] : []),
    ...(on_backup ? ['on its backups'] : []),
    ...(postponed_ms === null ? [] : ['moves wait']),
  ];
  return (
    <button
      type="button"
      class={`card ${panic ? 'bad' : isFine(service) ? 'well' : 'watch'}`}
      aria-pressed={isSelected}
      onClick={choose}
    >
      <span class="name">{name}</span>
      <span class="way">
        {way}
        {more.length > 0 && ` and ${more.length} more`}, {service.forward}
        {check ? `, ${check.kind}` : ', not checked'}
      </span>
      <span class="counts">
        {countConditions(service.destinations)}
        {alarms.length > 0 && <strong> {alarms.join(', ')}</strong>}
      </span>
      <span class="figures">
        <span>
          {rate === null ? (
            'packets not seen'
          ) : (
            <>
              <b>{formatCount(rate)}</b> packets/s
            </>
          )}
        </span>
        <span>
          {many(slots, 'slot')}
          {hot ? `, ${formatCount(hot)} hot` : ''}
        </span>
      </span>
      <Spark times={times} rates={rates} />
      <BalanceView balance={balanceOf(rows)} />
    </button>
  );
}

const WIDTH = 240;
const HEIGHT = 36;

interface SparkProps {
  times: readonly number[];
  rates: (number | null)[];
}

function Spark({ times, rates }: SparkProps) {
  const top = largest([1, ...rates.map((rate) => rate ?? 0)]);
  const [first = 0] = times;
  const scale = WIDTH / Math.max(1, (times.at(-1) ?? 0) - first);
  let isDown = false;
  const path = rates
    .map((rate, index) => {
      if (rate === null) {
        isDown = false;
        return '';
      }
      const command = isDown ? 'L' : 'M';
      isDown = true;
      const y = HEIGHT - 1 - (rate / top) * (HEIGHT - 2);
      return `${command}${(((times[index] ?? 0) - first) * scale).toFixed(1)} ${y.toFixed(1)}`;
    })
    .join('');
  return (
    <svg
      class="spark"
      role="img"
      aria-label="Packets a second in the last ten minutes"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
    >
      <path d={path} vector-effect="non-scaling-stroke" />
    </svg>
  );
}

/** Less than this, as a part of what it should be, is not drawn larger than it is. */
const SMALLEST = 0.05;

/** What each destination should get is the line; the bars are how much more or less it gets. */
function BalanceView({ balance: { columns, most, of } }: { balance: Balance }) {
  if (most === null) return <span class="balance">no destination gets anything</span>;
  const apart = columns.map(({ ideal, actual }) =>
    ideal > 0 ? actual / ideal - 1 : actual > 0 ? 1 : 0,
  );
  const top = largest([SMALLEST, ...apart.map(Math.abs)]);
  const width = WIDTH / columns.length;
  const middle = HEIGHT / 2;
  const bars = apart
    .map((part, index) => {
      const x = (index + 0.1) * width;
      const high = (-part / top) * (middle - 1);
      return `M${x.toFixed(1)} ${middle}v${high.toFixed(1)}h${(width * 0.8).toFixed(1)}V${middle}z`;
    })
    .join('');
  const more = percent(Math.max(0, most));
  return (
    <span class="balance">
      <svg
        role="img"
        aria-label={`the fullest gets ${more} more ${of} than its weight asks for`}
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
      >
        <path class="actual" d={bars} />
        <path
          class="ideal"
          d={`M0 ${middle}h${WIDTH}`}
          vector-effect="non-scaling-stroke"
        />
      </svg>
      <span>
        {of} against ideal: at most +{more}
      </span>
    </span>
  );
}
