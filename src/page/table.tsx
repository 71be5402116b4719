// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import { formatCount } from '../text/format.js';
import type { Column, Order, Row } from './figures/rows.js';
import { filtered, percent, sorted } from './figures/rows.js';
import { visible } from './figures/window.js';
import type { Chosen } from './page.js';
import { Checks, State } from './state.js';

interface Props {
  rows: Row[];
  hasServices: boolean;
  choose: (chosen: Chosen) => void;
}

const ROW = 30;
/** Rows that are seen at once, at most. */
const MOST = 20;

const HEADS: Record<Column, string> = {
  ...{ state: 'state', name: 'destination', service: 'service', weight: 'weight' },
  ...{ slots: 'slots', share: 'share (expected)', packets: 'packets/s' },
  check: 'last check',
};

/** Draws only the rows that are seen, so that thousands cost no more than a few. */
export function Table({ rows, hasServices, choose }: Props) {
  const [order, setOrder] = useState<Order>({ by: 'state', isDown: false });
  const [words, setWords] = useState('');
  const [isUnwellOnly, setUnwellOnly] = useState(false);
  const [view, setView] = useState({ top: 0, height: ROW * MOST });
  const [cursor, setCursor] = useState(0);
  const body = useRef<HTMLDivElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const shown = useMemo(
    () => sorted(filtered(rows, words, isUnwellOnly), order),
    [rows, words, isUnwellOnly, order],
  );
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      const isTyping = event.target instanceof HTMLInputElement;
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
      if (event.key === '/') {
        event.preventDefault();
        search.current?.focus();
      } else if (event.key === 'u') setUnwellOnly((isOn) => !isOn);
    };
    document.addEventListener('keydown', listen);
    return () => document.removeEventListener('keydown', listen);
  }, []);

  const last = Math.max(0, shown.length - 1);
  const at = Math.min(cursor, last);
  const open = ({ service, name }: Row): void => choose({ service, destination: name });
  const move = (to: number): void => {
    const next = Math.min(last, Math.max(0, to));
    setCursor(next);
    const element = body.current;
    if (!element) return;
    const { scrollTop, clientHeight } = element;
    if (next * ROW < scrollTop) element.scrollTop = next * ROW;
    if ((next + 1) * ROW > scrollTop + clientHeight)
      element.scrollTop = (next + 1) * ROW - clientHeight;
  };
  const steps = new Map([
    ['ArrowDown', at + 1],
    ['ArrowUp', at - 1],
    ['PageDown', at + MOST],
    ['PageUp', at - MOST],
    ['Home', 0],
    ['End', last],
  ]);
  const press = (event: KeyboardEvent): void => {
    const step = steps.get(event.key);
    const row = shown[at];
    if (step !== undefined) move(step);
    else if (event.key === 'Enter' && row) open(row);
    else return;
    event.preventDefault();
  };

  const columns = (Object.keys(HEADS) as Column[]).filter(
    (column) => hasServices || column !== 'service',
  );
  const { from, to } = visible(shown.length, ROW, view);
  const unwell = rows.reduce((count, { isWell }) => count + (isWell ? 0 : 1), 0);
  return (
    <section aria-label="Destinations" class={hasServices ? 'wide' : ''}>
      <div class="bar">
        <h2>Destinations</h2>
        <input
          ref={search}
          type="search"
          placeholder="Filter by name, state or reason  ( / )"
          aria-label="Filter"
          value={words}
          onInput={({ currentTarget }) => setWords(currentTarget.value)}
        />
        <label>
          <input
            type="checkbox"
            checked={isUnwellOnly}
            onChange={({ currentTarget }) => setUnwellOnly(currentTarget.checked)}
          />{' '}
          only what is not well ({formatCount(unwell)})
        </label>
        <span class="count" role="status">
          {formatCount(shown.length)} of {formatCount(rows.length)}
        </span>
      </div>
      <div
        class="grid"
        role="grid"
        aria-label="Destinations"
        aria-rowcount={shown.length + 1}
        aria-activedescendant={shown[at] && `row-${at}`}
        tabIndex={0}
        onKeyDown={press}
      >
        <div class="row head" role="row" aria-rowindex={1}>
          {columns.map((column) => (
            <Head key={column} {...{ column, order, setOrder }} />
          ))}
          <span role="columnheader">last 60 checks</span>
        </div>
        <div
          class="rows"
          ref={body}
          onScroll={({ currentTarget: { scrollTop, clientHeight } }) =>
            setView({ top: scrollTop, height: clientHeight })
          }
        >
          <div style={{ height: `${shown.length * ROW}px` }}>
            {shown.slice(from, to).map((row, index) => (
              <Line
                key={row.key}
                {...{ row, hasServices }}
                index={from + index}
                isCurrent={from + index === at}
                open={() => {
                  setCursor(from + index);
                  open(row);
                }}
              />
            ))}
          </div>
          {shown.length === 0 && (
            <p class="empty">
              {rows.length === 0
                ? 'There are no destinations.'
                : isUnwellOnly && words === ''
                  ? 'All are well.'
                  : 'None is so.'}
            </p>
          )}
        </div>
      </div>
    </section>
  );
}

const NUMBERS: ReadonlySet<Column> = new Set(['weight', 'slots', 'packets']);

interface HeadProps {
  column: Column;
  order: Order;
  setOrder: (order: Order) => void;
}

function Head({ column, order: { by, isDown }, setOrder }: HeadProps) {
  const isThis = by === column;
  return (
    <span
      role="columnheader"
      class={NUMBERS.has(column) ? 'number' : ''}
      aria-sort={isThis ? (isDown ? 'descending' : 'ascending') : 'none'}
    >
      <button
        type="button"
        onClick={() => setOrder({ by: column, isDown: isThis && !isDown })}
      >
        {HEADS[column]}
        {isThis ? (isDown ? ' ▾' : ' ▴') : ''}
      </button>
    </span>
  );
}

interface LineProps {
  row: Row;
  hasServices: boolean;
  index: number;
  isCurrent: boolean;
  open: () => void;
}

function Line({ row, hasServices, index, isCurrent, open }: LineProps) {
  const { destination, condition, name, service, rate, weight, check } = row;
  const { slots, backup, last, checks } = destination;
  return (
    <div
      class={`row ${row.isWell ? '' : 'unwell'}`}
      role="row"
      id={`row-${index}`}
      aria-rowindex={index + 2}
      aria-selected={isCurrent}
      style={{ top: `${index * ROW}px` }}
      onClick={open}
    >
      <span role="gridcell">
        <State condition={condition} />
      </span>
      <span role="gridcell" class="name" title={name}>
        {name}
        {backup && ' (backup)'}
      </span>
      {hasServices && (
        <span role="gridcell" title={service}>
          {service}
        </span>
      )}
      <span role="gridcell" class="number">
        {weight}
      </span>
      <span role="gridcell" class="number">
        {slots === null ? '?' : formatCount(slots)}
      </span>
      <span role="gridcell">
        <Share row={row} />
      </span>
      <span role="gridcell" class="number">
        {rate === null ? '?' : formatCount(rate)}
      </span>
      <span
        role="gridcell"
        class={`check ${last?.passed === false ? 'failed' : ''}`}
        title={check}
      >
        {check}
      </span>
      <span role="gridcell">
        <Checks checks={checks} />
      </span>
    </div>
  );
}

/** A bar for what it gets; the line in its middle is what it should get. */
export function Share({ row }: { row: Row }) {
  const { expected, packetShare, slotShare } = row;
  const share = packetShare ?? slotShare;
  if (share === null) return <>?</>;
  const of = packetShare === null ? 'slots' : 'packets';
  const part = expected > 0 ? share / expected : share > 0 ? 2 : 0;
  return (
    <span
      class="share"
      title={`${percent(share)} of the ${of}; expected: ${percent(expected)}`}
    >
      <span class="track" aria-hidden="true">
        <span class="fill" style={{ width: `${Math.min(100, part * 50)}%` }} />
      </span>
      <span>
        {percent(share)} ({percent(expected)})
      </span>
    </span>
  );
}
