// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The files of the page, which `make` puts into dist/page/. */
import { readFileSync } from 'node:fs';

import { packaged } from '../system/package.js';

export interface PageFile {
  type: string;
  text: string;
}

/** By path. */
const TYPES = new Map([
  ['index.html', 'text/html; charset=utf-8'],
  ['page.js', 'text/javascript; charset=utf-8'],
  ['page.css', 'text/css; charset=utf-8'],
]);

/** Nothing but what l4lbd itself sends, and no text that becomes a program. */
export const PAGE_HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; '),
  'referrer-policy': 'no-referrer',
};

/** Undefined: there is no such file. `canAct` says whether there is a token to act with. */
export function pageFile(name: string, canAct: boolean): PageFile | undefined {
  const file = name === '' ? 'index.html' : name;
  const type = TYPES.get(file);
  if (type === undefined || name === 'index.html') return undefined;
  const text = readFileSync(packaged(`dist/page/${file}`), 'utf8');
  return { type, text: canAct ? text.replace('<html ', '<html data-actions ') : text };
}
