// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/**
 * The test files that take long, the longest first: they start before all others, so
 * that none of them is left alone at the end. A file that may take more than 40 seconds
 * says why; see seconds.js.
 */
export const LONG_FILES = [
  {
    file: 'test/vm/vm.test.ts',
    why: 'where there is no KVM, the processor of its machine is emulated',
  },
  {
    file: 'test/kernel/doctor.test.ts',
    why: 'each fault has a network of its own, in which the doctor watches what comes for a second or longer',
  },
  {
    file: 'test/kernel/kills.test.ts',
    why: 'it kills twenty times, and looks at every slot after each',
  },
  { file: 'test/kernel/guide-translated.test.ts' },
  { file: 'test/kernel/disturb-changes.test.ts' },
  { file: 'test/kernel/explain.test.ts' },
  { file: 'test/kernel/nat.test.ts' },
  { file: 'test/kernel/exits.test.ts' },
  { file: 'test/kernel/bridge.test.ts' },
  { file: 'test/kernel/dpdk.test.ts' },
  { file: 'test/kernel/guide.test.ts' },
  {
    file: 'test/kernel/dashboard.test.ts',
    why: 'it waits for a screen that is drawn tick by tick, behind whatever else the machine does',
  },
  { file: 'test/kernel/disturb.test.ts' },
  {
    file: 'test/kernel/disturb-ecmp.test.ts',
    why: 'make test-all holds 1,000 connections in it, four times for 20 seconds, and runs make demo-fleet',
  },
  { file: 'test/kernel/doctor-exits.test.ts' },
  { file: 'test/kernel/lock.test.ts' },
  { file: 'test/kernel/large-services.test.ts' },
  { file: 'test/kernel/load.test.ts' },
  { file: 'test/kernel/carry-flows.test.ts' },
  { file: 'test/kernel/names.test.ts' },
  { file: 'test/kernel/fuzz.test.ts' },
  { file: 'test/kernel/flood.test.ts' },
  { file: 'test/kernel/tshark.test.ts' },
  {
    file: 'test/kernel/l4lbd.test.ts',
    why: 'make test-all kills l4lbd twenty times in it',
  },
  {
    file: 'test/kernel/l4lbd-tunnel.test.ts',
    why: 'make test-all runs make demo-live in it, which takes a minute',
  },
  { file: 'test/kernel/errors.test.ts' },
  { file: 'test/kernel/local.test.ts' },
  { file: 'test/kernel/walkthrough.test.ts' },
  { file: 'test/unit/abi/headers.test.ts' },
  { file: 'test/unit/card/damaged.test.ts' },
  { file: 'test/unit/card/check.test.ts' },
  { file: 'test/unit/plan/service.test.ts' },
  { file: 'test/unit/plan/export.test.ts' },
];
