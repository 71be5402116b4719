// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { useEffect, useRef, useState } from 'preact/hooks';

import type { ByHandResult } from '../api/status.js';
import { formatCount, many } from '../text/format.js';
import type { Row } from './figures/rows.js';
import { percent } from './figures/rows.js';
import { ago } from './figures/truth.js';
import type { Wish } from './live.js';
import { Refusal, act, planFor, said } from './live.js';
import { Checks, State } from './state.js';
import { Share } from './table.js';

interface Props {
  row: Row;
  /** Of the balancer, for its command. */
  device: string;
  canAct: boolean;
  close: () => void;
  acted: () => void;
}

/** One destination: how it is, and what would be if somebody drained it. */
export function Detail({ row, device, canAct, close, acted }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const { destination, condition, service, name, check, weight, rate } = row;
  const { since, reason, slots, counted, checked, checks, backup, forgotten } =
    destination;
  const { passed, failed, void: silent, seconds } = checked;
  const facts: [string, string][] = [
    ['service', service],
    [
      'so since',
      `${since.slice(0, 19).replace('T', ' ')} UTC, ${ago(Date.now() - Date.parse(since))}`,
    ],
    ['last failure', reason || 'none since it was well'],
    ['last check', check],
    [
      'checks',
      `${formatCount(passed)} passed${passed > 0 ? ` in ${((seconds / passed) * 1000).toFixed(1)} ms each` : ''}, ${formatCount(failed)} failed, ${formatCount(silent)} said nothing`,
    ],
    [
      'weight',
      `${weight}${backup ? ', a backup' : ''}${forgotten ? ', forgotten: it gets no packet at all' : ''}`,
    ],
    [
      'slots',
      slots === null
        ? 'not seen'
        : `${formatCount(slots)}, ${percent(row.slotShare ?? 0)}; its weight asks for ${percent(row.expected)}`,
    ],
    [
      'packets',
      counted === null
        ? 'not seen'
        : `${formatCount(Number(counted.packets))}, ${formatCount(Number(counted.bytes))} bytes${rate === null ? '' : `; ${formatCount(rate)} a second`}`,
    ],
  ];
  return (
    <dialog ref={dialog} onClose={close} aria-label={`${name} of ${service}`}>
      <div class="bar">
        <h2>{name}</h2>
        <State condition={condition} />
        <Share row={row} />
        <button type="button" class="quiet" onClick={() => dialog.current?.close()}>
          Close (Esc)
        </button>
      </div>
      <Checks checks={checks} />
      <dl>
        {facts.map(([word, text]) => (
          <div key={word}>
            <dt>{word}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      <WhatIf {...{ row, device, canAct, acted }} />
    </dialog>
  );
}

const WORDS = {
  drain: ['Drain', 'no new connections go there; those that it has stay'],
  undrain: ['Undrain', 'takes that back'],
  down: ['Take down', 'no packet goes there any more, not even of its connections'],
  weight: ['Give a weight', 'in place of that in the file'],
  auto: ['Leave to checks', 'takes back all that was decided by hand'],
} as const;
type Action = keyof typeof WORDS;

interface WhatIfProps {
  row: Row;
  device: string;
  canAct: boolean;
  acted: () => void;
}

type Phase =
  | { is: 'idle' }
  | { is: 'planning' | 'doing'; wish: Wish }
  | { is: 'planned' | 'done'; wish: Wish; result: ByHandResult }
  | { is: 'failed'; text: string };

function WhatIf({ row, device, canAct, acted }: WhatIfProps) {
  const { service, name, destination } = row;
  const { by_hand, weight_by_hand } = destination;
  const [phase, setPhase] = useState<Phase>({ is: 'idle' });
  const [weight, setWeight] = useState(String(destination.weight));
  const actions: Action[] = [
    by_hand === 'drained' ? 'undrain' : 'drain',
    ...(by_hand === 'down' ? [] : (['down'] as const)),
    'weight',
    ...(by_hand !== null || weight_by_hand !== null ? (['auto'] as const) : []),
  ];
  const plan = async (action: Action): Promise<void> => {
    const more = action === 'weight' ? { weight: Number(weight) } : {};
    const wish: Wish = { service, destination: name, action, ...more };
    setPhase({ is: 'planning', wish });
    try {
      setPhase({ is: 'planned', wish, result: await planFor(wish) });
    } catch (error) {
      setPhase({ is: 'failed', text: said(error) });
    }
  };
  const confirm = async (wish: Wish, token: string): Promise<void> => {
    setPhase({ is: 'doing', wish });
    try {
      setPhase({ is: 'done', wish, result: await act(wish, token) });
      keepToken(token);
      acted();
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) keepToken(undefined);
      setPhase({ is: 'failed', text: said(error) });
    }
  };
  const isBusy = phase.is === 'planning' || phase.is === 'doing';
  return (
    <div class="whatif">
      <h3>What if</h3>
      <div class="bar">
        {actions.map((action) => (
          <span key={action}>
            {action === 'weight' && (
              <input
                type="number"
                min={0}
                aria-label="weight"
                value={weight}
                onInput={({ currentTarget }) => setWeight(currentTarget.value)}
              />
            )}
            <button
              type="button"
              disabled={isBusy}
              title={WORDS[action][1]}
              onClick={() => void plan(action)}
            >
              {WORDS[action][0]}…
            </button>
          </span>
        ))}
      </div>
      <div role="status">
        {phase.is === 'idle' && (
          <p>
            Shows what would move. Nothing is changed
            {canAct ? ' until you confirm it.' : ': here you can only look.'}
          </p>
        )}
        {phase.is === 'planning' && <p>Planning…</p>}
        {phase.is === 'doing' && <p>Doing it…</p>}
        {phase.is === 'failed' && <p class="fault">▲ {phase.text}</p>}
        {(phase.is === 'planned' || phase.is === 'done') && (
          <Plan result={phase.result} />
        )}
      </div>
      {phase.is === 'planned' && canAct && (
        <Confirm
          text={verbOf(phase.wish)}
          confirm={(token) => void confirm(phase.wish, token)}
          cancel={() => setPhase({ is: 'idle' })}
        />
      )}
      {phase.is === 'planned' && !canAct && (
        <p>
          To do it:{' '}
          <code>
            l4lb ctl -i {device} {commandOf(phase.wish)}
          </code>
        </p>
      )}
    </div>
  );
}

function verbOf({ action, destination, weight }: Wish): string {
  switch (action as Action) {
    case 'drain':
      return `Drain ${destination} now`;
    case 'undrain':
      return `Undrain ${destination} now`;
    case 'down':
      return `Take ${destination} down now`;
    case 'weight':
      return `Give ${destination} the weight ${weight ?? ''} now`;
    case 'auto':
      return `Leave ${destination} to its checks now`;
  }
}

function commandOf({ action, service, destination, weight }: Wish): string {
  const words = [action, service, destination, ...(weight === undefined ? [] : [weight])];
  return words
    .map((word) => (/^[\w.:[\]-]+$/.test(String(word)) ? word : `'${word}'`))
    .join(' ');
}

const MOST_WEIGHTS = 12;

function Plan({ result }: { result: ByHandResult }) {
  const { dry_run, slots_moved, slots_ideal, weights } = result;
  const rest = weights.length - MOST_WEIGHTS;
  return (
    <>
      <p>
        {slots_moved === 0
          ? dry_run
            ? 'No slot would move.'
            : 'Done. No slot moved.'
          : dry_run
            ? `${many(slots_moved, 'slot')} would move; at least ${formatCount(slots_ideal)} have to.`
            : `Done. ${many(slots_moved, 'slot')} moved; at least ${formatCount(slots_ideal)} had to.`}
      </p>
      {weights.length > 0 && (
        <ul>
          {weights.slice(0, MOST_WEIGHTS).map(({ destination, before, after }) => (
            <li key={destination}>
              {destination}: weight {before} to {after}
            </li>
          ))}
          {rest > 0 && <li>and {formatCount(rest)} more</li>}
        </ul>
      )}
    </>
  );
}

const KEY = 'l4lb-token';

function keepToken(token: string | undefined): void {
  if (token === undefined) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, token);
}

interface ConfirmProps {
  text: string;
  confirm: (token: string) => void;
  cancel: () => void;
}

function Confirm({ text, confirm, cancel }: ConfirmProps) {
  const kept = sessionStorage.getItem(KEY) ?? '';
  const [token, setToken] = useState(kept);
  return (
    <form
      class="bar"
      onSubmit={(event) => {
        event.preventDefault();
        confirm(token);
      }}
    >
      {kept === '' && (
        <input
          type="password"
          required
          minLength={16}
          autocomplete="off"
          placeholder="token of token_file"
          aria-label="Token"
          value={token}
          onInput={({ currentTarget }) => setToken(currentTarget.value)}
        />
      )}
      <button type="submit" class="danger">
        {text}
      </button>
      <button type="button" onClick={cancel}>
        Cancel
      </button>
    </form>
  );
}
