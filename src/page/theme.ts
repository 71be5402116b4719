// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Light and dark: as the system has it, until somebody chooses. */
export type Theme = 'light' | 'dark';

const KEY = 'l4lb-theme';

export function firstTheme(): Theme {
  const kept = localStorage.getItem(KEY);
  if (kept === 'light' || kept === 'dark') return kept;
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
}

export function setTheme(theme: Theme): void {
  const root = document.documentElement;
  if (root.dataset.theme !== undefined) localStorage.setItem(KEY, theme);
  root.dataset.theme = theme;
}

/** A colour of the style sheet, for a canvas. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
