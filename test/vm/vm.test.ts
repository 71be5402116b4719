// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * Runs everything that needs another kernel in one virtual machine, since it takes long
 * to boot, and each node that is started in it takes longer. On an emulated processor,
 * where all of it takes minutes, `make test` runs only what short.ts has.
 */
import { afterAll, describe } from '@jest/globals';

import { cardAndHost } from './card-and-host.js';
import { cardGoes } from './card-goes.js';
import { refusals } from './refusals.js';
import { programs, shortOffload } from './short.js';
import { hostBuild, stockKernel } from './stock-kernel.js';
import { IS_ALL, MOST_MS, Vm } from './vm.js';
import { vlan } from './vlan.js';
import { walkthrough } from './walkthrough.js';

// The module for the card has to be compiled. If that fails, the kernel is still there.
const withCard = await Vm.boot('--netdevsim');
const plain = withCard instanceof Vm ? withCard : await Vm.boot();

/**
 * Runs what needs the machine. If there is none, it is skipped, and the reason is
 * printed.
 */
function inVm(booted: Vm | string, scenarios: ((vm: Vm) => void)[]): void {
  const reason = typeof booted === 'string' ? booted : undefined;
  if (reason !== undefined) process.stderr.write(`SKIPPED: ${reason}\n`);
  const run = reason === undefined ? describe : describe.skip;
  run('in the virtual machine', () => {
    for (const scenario of scenarios) scenario(booted as Vm);
  });
}

if (plain instanceof Vm && plain.isEmulated && !IS_ALL) {
  process.stderr.write(
    "SKIPPED: most of the virtual machine's tests, such as VLANs, siblings, cards that " +
      'refuse, go, or have several ports: there is no KVM here, and an emulated ' +
      'processor takes minutes. To run them: make test-all\n',
  );
  inVm(plain, [programs, hostBuild]);
  inVm(withCard, [shortOffload]);
} else {
  inVm(plain, [programs, stockKernel, vlan]);
  inVm(withCard, [walkthrough, cardAndHost, cardGoes, refusals]);
}

afterAll(async () => {
  if (plain instanceof Vm) await plain.shutDown();
}, MOST_MS);
