// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import type { Status, VerdictCount } from '../api/status.js';
import { formatCount } from '../text/format.js';

interface Props {
  status: Status;
  before: Status | undefined;
}

export function Verdicts({ status, before }: Props) {
  const { verdicts } = status;
  const seconds = before ? (Date.parse(status.time) - Date.parse(before.time)) / 1000 : 0;
  const earlier = new Map(
    before?.verdicts?.map(({ name, packets }) => [name, Number(packets)]),
  );
  const rateOf = ({ name, packets }: VerdictCount): number | null => {
    const more = Number(packets) - (earlier.get(name) ?? 0);
    return seconds > 0 && before?.verdicts && more >= 0 ? more / seconds : null;
  };
  const isDrop = ({ action }: VerdictCount): boolean => action === 'DROP';
  return (
    <section aria-label="Verdicts" class="verdicts">
      <h2>
        Verdicts <small>how packets ended</small>
      </h2>
      {verdicts === null ? (
        <p class="empty">Packets are not seen.</p>
      ) : (
        <>
          <List title="Dropped" all={verdicts.filter(isDrop)} rateOf={rateOf} />
          <List
            title="Not dropped"
            all={verdicts.filter((one) => !isDrop(one))}
            rateOf={rateOf}
          />
        </>
      )}
    </section>
  );
}

interface ListProps {
  title: string;
  all: VerdictCount[];
  rateOf: (one: VerdictCount) => number | null;
}

function List({ title, all, rateOf }: ListProps) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">{title}</th>
          <th scope="col">packets</th>
          <th scope="col">a second</th>
        </tr>
      </thead>
      <tbody>
        {all.map((one) => {
          const rate = rateOf(one);
          return (
            <tr key={one.name}>
              <th scope="row">{one.name}</th>
              <td>{formatCount(Number(one.packets))}</td>
              <td>{rate === null ? '?' : formatCount(rate)}</td>
            </tr>
          );
        })}
        {all.length === 0 && (
          <tr>
            <td colSpan={3}>none</td>
          </tr>
        )}
      </tbody>
    </table>
  );
}
