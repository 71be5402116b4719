// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { useEffect, useState } from 'preact/hooks';

import { truthOf } from './figures/truth.js';
import type { Live } from './live.js';
import type { Theme } from './theme.js';

interface Props {
  live: Live;
  theme: Theme;
  toggle: () => void;
}

const SIGNS = { waiting: '…', gone: '✕', bad: '▲', watch: '◐', well: '●' };

/** The line of truth. It grows old by itself, whether or not l4lbd answers. */
export function Header({ live, theme, toggle }: Props) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) tick((count) => count + 1);
    }, 1000);
    return () => clearInterval(timer);
  }, []);
  const { mood, word, text, age, troubles } = truthOf(live.status, live.contact);
  const device = live.status?.interface;
  useEffect(() => {
    document.title = device === undefined ? 'l4lb' : `${word}: ${text} - ${device}`;
    // Nothing on the page looks well when nobody knows.
    document.documentElement.dataset.mood = mood;
  });
  return (
    <header class={`truth ${mood}`}>
      <h1>
        <span class="word">
          <span aria-hidden="true">{SIGNS[mood]}</span> {word}
        </span>
        <span class="text">
          {device === undefined ? '' : `${device}: `}
          {text}
        </span>
      </h1>
      <span class="age">{age}</span>
      <button type="button" class="quiet" onClick={toggle}>
        {theme === 'dark' ? 'Light' : 'Dark'}
      </button>
      {troubles.length > 0 && (
        <ul role="status">
          {troubles.map((one) => (
            <li key={one}>{one}</li>
          ))}
        </ul>
      )}
    </header>
  );
}
