// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** Takes the pictures of the page for docs/, in light and dark: make page-pictures. */
import { launch } from './browser.js';
import { pretend } from './pretended.js';

const folder = process.argv[2] ?? 'docs/pictures';
const pretended = await pretend({ counts: { web: 10, names: 3 } });
const { browser, close } = await launch();
try {
  for (const colorScheme of ['light', 'dark'] as const) {
    const page = await browser.newPage({
      ...{ colorScheme, viewport: { width: 1180, height: 900 } },
    });
    page.on('console', (message) => console.error(message.text()));
    page.on('pageerror', (error) => console.error(error));
    await page.goto(pretended.url);
    await page.waitForSelector('.u-wrap');
    // Until there are rates of single destinations.
    await page.waitForTimeout(6500);
    const path = `${folder}/page-${colorScheme}.png`;
    await page.screenshot({ path, fullPage: true });
    console.log(path);
    if (process.argv[3] === 'all') {
      await page.keyboard.press('u');
      await page.click('.rows .row >> nth=0');
      await page.click('text=Drain…');
      await page.waitForSelector('text=would move');
      await page.screenshot({ path: `${folder}/detail-${colorScheme}.png` });
    }
    await page.close();
  }
} finally {
  await close();
  pretended.close();
}
