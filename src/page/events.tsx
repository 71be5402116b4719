// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { useState } from 'preact/hooks';

import { formatCount } from '../text/format.js';
import type { Told } from './figures/events.js';
import { clock } from './figures/truth.js';

interface Props {
  events: readonly Told[];
  service: string | undefined;
}

const FIRST = 50;
const SIGNS = { bad: '▼', good: '▲', plain: '·' };

export function Events({ events, service }: Props) {
  const [most, setMost] = useState(FIRST);
  const own = events.filter(
    (one) =>
      service === undefined || one.service === undefined || one.service === service,
  );
  return (
    <section aria-label="Events" class="events">
      <h2>
        Events <small>the latest first</small>
      </h2>
      <ol>
        {own.slice(0, most).map((one) => (
          <li key={one.id} class={one.weight}>
            <time>{clock(new Date(one.time).toISOString())}</time>
            <span class="who">
              <span aria-hidden="true">{SIGNS[one.weight]}</span> {one.who}
            </span>
            <span>
              {one.text}
              {one.moved && <Moved {...one.moved} />}
            </span>
          </li>
        ))}
      </ol>
      {own.length > most && (
        <button type="button" onClick={() => setMost(most * 4)}>
          Show more ({formatCount(own.length - most)})
        </button>
      )}
      {own.length === 0 && <p class="empty">Nothing has happened.</p>}
    </section>
  );
}

/** How many slots moved, beside how few would have done. */
function Moved({ moved, ideal }: { moved: number; ideal: number }) {
  if (moved === 0) return null;
  return (
    <span
      class="moved"
      aria-hidden="true"
      title={`${moved} slots moved, ${ideal} at least`}
    >
      <span style={{ width: `${(100 * ideal) / Math.max(moved, ideal)}%` }} />
    </span>
  );
}
