/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A thread that sends frames, with a program of its own. */
#ifndef SENDER_H
#define SENDER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "options.h"

/* Interrupts a run of the kernel's; what was sent until then counts. */
#define STOP_SIGNAL SIGUSR1
/* Tells the main thread that a sender has ended. */
#define ENDED_SIGNAL SIGUSR2

struct sender {
	const struct options *options;
	__u64 count; /* its share; 0: until it is stopped */
	__u64 rate;
	struct frames_bpf *program;
	pthread_t thread;
	__u64 busy; /* nanoseconds of the frames, inside the kernel's runs */
	int error; /* why it ended early, or 0 */
	atomic_bool stop, ended;
};

/* Loads the program of one of so many senders. */
void load_sender(struct sender *sender, const struct options *options,
		 __u32 index);

void start_sender(struct sender *sender, int cpu);

/* How many frames it has sent until now. */
__u64 sent_by(const struct sender *sender);

static inline __u64 now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

#endif
