/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel forgets a program, and its maps with it, when nobody has it open. A small
 * process of its own holds it, so that the tables outlive the one that runs packets. A pin
 * would not do: "ip netns exec" shows each command a BPF file system of its own.
 */
#ifndef HOLDER_H
#define HOLDER_H

#include <sys/types.h>

struct holder {
	pid_t pid;
	int channel;
};

/* Starts it before there is anything that a fork should not copy. It waits. */
struct holder start_holder(void);
/* Lets it hold the program, until it is told to end. */
void hold(struct holder *holder, int program);
/* Ends it, because another one has the tables. */
void dismiss(struct holder *holder);

#endif
