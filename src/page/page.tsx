// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The page of l4lbd: puts its parts together. */
import { render } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useReducer, useState } from 'preact/hooks';

import { Cards } from './cards.js';
import { Detail } from './detail.js';
import { Events } from './events.js';
import { rowsOf } from './figures/rows.js';
import { Header } from './header.js';
import { Live } from './live.js';
import { Plots } from './plots.js';
import { Slots } from './slots.js';
import { Table } from './table.js';
import type { Theme } from './theme.js';
import { firstTheme, setTheme } from './theme.js';
import { Verdicts } from './verdicts.js';

const canAct = document.documentElement.hasAttribute('data-actions');

export interface Chosen {
  service: string;
  destination: string;
}

function App() {
  const [version, changed] = useReducer<number, undefined>((count) => count + 1, 0);
  const [theme, chooseTheme] = useState<Theme>(firstTheme);
  const [service, chooseService] = useState<string>();
  const [chosen, choose] = useState<Chosen>();
  const live = useMemo(() => new Live(() => changed(undefined)), []);
  useEffect(() => live.start(), [live]);
  useLayoutEffect(() => setTheme(theme), [theme]);
  const { status, series } = live;
  // One that the file no longer has is not asked for any more.
  const selected = status?.services.some(({ name }) => name === service)
    ? service
    : undefined;
  const rows = useMemo(
    () => (status ? rowsOf(status, (key) => series.rateOf(key)) : []),
    [version],
  );
  const shown =
    selected === undefined ? rows : rows.filter((row) => row.service === selected);
  const current =
    chosen &&
    rows.find((row) => row.service === chosen.service && row.name === chosen.destination);
  return (
    <>
      <Header
        live={live}
        theme={theme}
        toggle={() => chooseTheme(theme === 'dark' ? 'light' : 'dark')}
      />
      {status && (
        <main>
          <Cards
            {...{ status, rows, series, selected }}
            choose={(name) => chooseService(name === selected ? undefined : name)}
          />
          <Table
            rows={shown}
            hasServices={status.services.length > 1 && selected === undefined}
            choose={choose}
          />
          <Plots
            {...{ series, version, theme, service: selected }}
            events={live.events}
          />
          <div class="beside">
            <Slots {...{ status, rows: shown, theme, choose, service: selected }} />
            <Events events={live.events} service={selected} />
            <Verdicts status={status} before={live.before} />
          </div>
        </main>
      )}
      {status && current && (
        <Detail
          device={status.interface}
          key={current.key}
          row={current}
          canAct={canAct}
          close={() => choose(undefined)}
          acted={() => live.hurry()}
        />
      )}
      {status && (
        <footer>
          l4lb {status.version} on {status.interface}, program {status.program.id} (
          {status.program.mode}), generation {status.generation} of the tables; l4lbd runs
          since {status.started.slice(0, 16).replace('T', ' ')} UTC. All times are UTC.
        </footer>
      )}
    </>
  );
}

render(<App />, document.body);
