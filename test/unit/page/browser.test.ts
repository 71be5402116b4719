// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The page in Debian's chromium, where it is installed; a part of make test-all. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';

import type { Launched } from '../../page/browser.js';
import { hasChromium, launch } from '../../page/browser.js';
import type { Pretended, Wanted } from '../../page/pretended.js';
import { pretend } from '../../page/pretended.js';

const isWanted = process.env.L4LB_TEST === 'all';
// Of a file whose tests are all skipped jest shows no console.
if (!isWanted)
  process.stderr.write('skipped: make test-all looks at the page in a browser\n');
else if (!hasChromium()) {
  process.stderr.write('skipped: chromium is not installed (./setup.sh chromium)\n');
}
const where = isWanted && hasChromium() ? test : test.skip;

const TOKEN = '0123456789abcdef';
/** The part of a core that 4,096 rows may cost. */
const MOST_CPU = 0.1;
/** Milliseconds. */
const MOST_PAINT = 1000;

let launched: Launched | undefined;
let pretended: Pretended | undefined;
/** What the browser complained about. */
let faults: string[] = [];

beforeAll(async () => {
  if (where === test) launched = await launch();
});
afterAll(() => launched?.close());
afterEach(() => pretended?.close());

/** A page, once it shows something. */
async function open(
  wanted: Wanted,
  colorScheme: 'light' | 'dark' = 'light',
): Promise<Page> {
  pretended = await pretend(wanted);
  if (!launched) throw new Error('no browser');
  const context = await launched.browser.newContext({ colorScheme });
  const page = await context.newPage();
  faults = [];
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text());
  });
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(pretended.url);
  await page.waitForSelector('.rows .row');
  return page;
}

where('shows the truth at once, and 4,096 rows cost little', async () => {
  const page = await open({ counts: { web: 4096 } });
  expect(await page.textContent('h1')).toMatch(
    /look.*4,093 up, 1 dead, 1 drained, 1 suspect/s,
  );
  const paint = await page.evaluate(
    () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime,
  );
  const rows = await page.$$eval('.rows .row', (all) => all.length);
  expect(rows).toBeLessThan(40);
  await sleep(3000);
  const before = launched?.seconds() ?? 0;
  const asked = pretended?.asked() ?? 0;
  await sleep(10_000);
  const cpu = ((launched?.seconds() ?? 0) - before) / 10;
  const asks = (pretended?.asked() ?? 0) - asked;
  console.info(
    `first paint after ${Math.round(paint ?? 0)} ms; 4,096 rows take ${(cpu * 100).toFixed(1)}% of a core, with ${asks} looks in 10 s`,
  );
  expect(paint).toBeLessThan(MOST_PAINT);
  expect(cpu).toBeLessThan(MOST_CPU);
  expect(asks).toBeGreaterThanOrEqual(1);
  expect(asks).toBeLessThanOrEqual(6);
  // The last row is there when somebody looks for it.
  await page.locator('.grid').focus();
  await page.keyboard.press('End');
  await page.waitForSelector('#row-4095');
  await page.fill('input[type=search]', 'REFUSED');
  await page.locator('.count', { hasText: '1 of 4,096' }).waitFor();
  expect(faults).toEqual([]);
  await page.context().close();
});

where('without a token it shows what would be, and how to do it', async () => {
  const page = await open({ counts: { web: 8, names: 3 } }, 'dark');
  expect(await page.locator('html').getAttribute('data-theme')).toBe('dark');
  await page.keyboard.press('u');
  await page.locator('.count', { hasText: '1 of 11' }).waitFor();
  await page.keyboard.press('u');
  // Chosen by the keyboard alone.
  await page.locator('.grid').focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  const dialog = page.locator('dialog');
  expect(await dialog.locator('h2').textContent()).toBe('10.0.1.1');
  await dialog.getByText('Drain…').click();
  await dialog.getByText('8,203 slots would move; at least 8,192 have to.').waitFor();
  await dialog.getByText('l4lb ctl -i eth0 drain web 10.0.1.1').waitFor();
  expect(await dialog.locator('button.danger').count()).toBe(0);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  // A service alone, and what is its own.
  await page.locator('.card', { hasText: 'names' }).click();
  await page.locator('.count', { hasText: '3 of 3' }).waitFor();
  expect(await page.locator('.events').textContent()).not.toContain('10.0.1.5');
  // What is chosen by hand is kept.
  await page.getByRole('button', { name: 'Light' }).click();
  await page.reload();
  await page.waitForSelector('.rows .row');
  expect(await page.locator('html').getAttribute('data-theme')).toBe('light');
  expect(pretended?.acted).toEqual([]);
  expect(faults).toEqual([]);
  await page.context().close();
});

where('with the token it does what was planned and confirmed', async () => {
  const page = await open({ counts: { web: 8 }, token: TOKEN });
  const dialog = page.locator('dialog');
  const plan = async (name: string): Promise<void> => {
    await page.getByText(name, { exact: true }).first().click();
    await dialog.getByText('Drain…').click();
    await dialog.locator('button.danger').waitFor();
  };
  await plan('10.0.1.1');
  await dialog.getByLabel('Token').fill(`${TOKEN}-wrong`);
  await dialog.locator('button.danger').click();
  await dialog.getByText('this is not the token').waitFor();
  expect(pretended?.acted).toEqual([]);
  await dialog.getByText('Drain…').click();
  await dialog.getByLabel('Token').fill(TOKEN);
  await dialog.locator('button.danger').click();
  await dialog.getByText('Done. 8,203 slots moved; at least 8,192 had to.').waitFor();
  await page.keyboard.press('Escape');
  // The token is asked for once.
  await plan('10.0.1.2');
  expect(await dialog.getByLabel('Token').count()).toBe(0);
  await dialog.locator('button.danger').click();
  await dialog.getByText('Done.').waitFor();
  expect(pretended?.acted).toEqual(['drain web 10.0.1.1', 'drain web 10.0.1.2']);
  // The browser says by itself that a request was refused.
  expect(faults).toEqual([expect.stringContaining('401')]);
  await page.context().close();
});

where('once l4lbd is gone, nothing looks well any more', async () => {
  const page = await open({ counts: { web: 8 }, isWell: true });
  await page.locator('h1', { hasText: 'well' }).waitFor();
  expect(await page.title()).toBe('well: 8 up - eth0');
  pretended?.close();
  await page.locator('.truth.gone .age', { hasText: /last seen \d+ s ago/ }).waitFor();
  expect(await page.locator('html').getAttribute('data-mood')).toBe('gone');
  expect(await page.title()).toBe('gone: 8 up - eth0');
  await page.context().close();
});
