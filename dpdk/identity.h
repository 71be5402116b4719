/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Names a process so that no later one with the same number is taken for it, as
 * src/system/processes.ts does, and tells the kernel's time, as src/system/clock.ts does: a
 * time namespace shows other clocks than a BPF program sees.
 */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>

struct identity {
	int pid;
	unsigned long long started; /* ticks since the machine was booted */
	unsigned long pids; /* inode of the PID namespace */
};

struct identity identify(pid_t pid);
bool lives(const struct identity *process);

/* Once, before any thread asks for the time. */
void prepare_clock(void);

#endif
