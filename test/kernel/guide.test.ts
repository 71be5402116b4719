// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The pages of the guide whose destinations get the packet as the client sent it. */
import { TOOLS, runPages } from './guide-pages.js';

runPages([
  // It installs the commands that the others use.
  { page: 'docs/guide/first-balancer.md', words: ['make', 'l4lb-stats', ...TOOLS] },
  { page: 'docs/guide/link.md', words: ['sysctl', ...TOOLS] },
  { page: 'docs/guide/gateway.md', words: ['sysctl', ...TOOLS] },
]);
