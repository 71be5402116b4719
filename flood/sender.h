/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A thread that sends frames, with a program of its own. */
#ifndef SENDER_H
#define SENDER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#include "options.h"

/* Interrupts a run in the kernel; what was sent until then counts. */
#define STOP_SIGNAL SIGUSR1
/* Tells the main thread that a sender has ended. */
#define ENDED_SIGNAL SIGUSR2

struct sender {
	const struct options *options;
	__u64 count; /* its share of the frames; 0: until it is stopped */
	__u64 rate;
	struct frames_bpf *program;
	pthread_t thread;
	__u64 busy; /* nanoseconds that the kernel's runs spent on frames */
	int error; /* why it ended early, or 0 */
	atomic_bool stop, ended;
};

/* Loads the program of the sender with this index. */
void load_sender(struct sender *sender, const struct options *options,
		 __u32 index);

void start_sender(struct sender *sender, int cpu);

/* Returns how many frames it has sent until now. */
__u64 sent_by(const struct sender *sender);

static inline __u64 now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

#endif
