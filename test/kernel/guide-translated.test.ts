// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The pages of the guide in which addresses and ports are translated, here or by the host. */
import { beforeAll } from '@jest/globals';

import { TOOLS, install, runPages } from './guide-pages.js';

beforeAll(install);

runPages([
  { page: 'docs/guide/nat.md', words: ['l4lb-stats', ...TOOLS] },
  {
    page: 'docs/guide/full-nat.md',
    words: ['l4lb-load', 'l4lb-map', 'l4lb-explain', 'l4lb-stats', 'curl', 'tcpdump'],
  },
  { page: 'docs/guide/local.md', words: ['ip', ...TOOLS] },
]);
