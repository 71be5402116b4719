// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "errors.h"
#include "sender.h"
#include "frames.skel.h"

#ifndef BPF_F_TEST_XDP_LIVE_FRAMES
#define BPF_F_TEST_XDP_LIVE_FRAMES (1U << 1)
#endif

/* The kernel takes 31 bits; longer floods take several runs. */
#define LONGEST_RUN (1u << 30)
/* For floods with a rate. Each run costs some milliseconds in which the kernel waits. */
#define RUNS_A_SECOND 50
/* If runs were late, the next one catches up on at most the frames of this many runs. */
#define MOST_LATE_RUNS 5

/* Returns an equal share; the first shares take the remainder, one each. */
static __u64 share(__u64 whole, __u32 index, __u32 of)
{
	return whole / of + (index < whole % of);
}

void load_sender(struct sender *sender, const struct options *options,
		 __u32 index)
{
	const __u32 threads = options->threads;
	struct frames_bpf *program = frames_bpf__open();
	struct progress *progress;
	int error;

	if (!program)
		fail(errno, "cannot open the program that writes frames");
	program->rodata->plan = options->plan;
	progress = &program->bss->progress;
	/* Each thread begins at another flow, so that together they cover all. */
	progress->number = (__u64)options->plan.flows * index / threads;
	if (!options->plan.flows &&
	    getrandom(&progress->number, sizeof(progress->number), 0) < 0)
		fail(errno, "cannot get a random number");
	error = frames_bpf__load(program);
	if (error)
		fail(-error,
		     "the kernel refuses the program that writes frames");
	sender->options = options;
	sender->program = program;
	sender->count = share(options->count, index, threads);
	sender->rate = share(options->rate, index, threads);
}

__u64 sent_by(const struct sender *sender)
{
	return *(volatile __u64 *)&sender->program->bss->progress.sent;
}

/*
 * Returns the nanoseconds that the frames of a run took. This leaves out what the kernel
 * does once before and after all frames: it waits for milliseconds. A run that is too
 * short to separate the two, as with a rate, counts as a whole.
 */
static __u64 time_of_frames(const struct progress *progress, __u64 whole)
{
	const __u64 sent = progress->in_run;
	const __u64 timed = sent ? (sent - 1) / CLOCK_EVERY * CLOCK_EVERY : 0;

	if (!timed)
		return whole;
	return (progress->latest - progress->first) * (double)sent / timed;
}

/* Runs the program in the kernel once. Returns 0 or a negative errno. */
static int run(struct sender *sender, void *frame, __u32 repeat)
{
	struct xdp_md context = {
		.data_end = sender->options->length,
		.ingress_ifindex = sender->options->ifindex,
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
		    .data_size_in = sender->options->length, .ctx_in = &context,
		    .ctx_size_in = sizeof(context), .repeat = repeat,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
		    .batch_size = sender->options->batch);
	struct progress *progress = &sender->program->bss->progress;
	const __u64 began = now();
	int error;

	progress->in_run = 0;
	error = bpf_prog_test_run_opts(
		bpf_program__fd(sender->program->progs.frames), &opts);
	sender->busy += time_of_frames(progress, now() - began);
	return error;
}

static void sleep_until(__u64 moment)
{
	const struct timespec time = {
		.tv_sec = moment / 1000000000,
		.tv_nsec = moment % 1000000000,
	};

	/* A signal may end the sleep early; the caller then checks why. */
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

/* Returns a run's frames for a flood with a rate: more if earlier runs were late. */
static __u64 frames_due(const struct sender *sender, __u64 sent, __u64 elapsed)
{
	const __u64 usual = sender->rate / RUNS_A_SECOND + 1;
	const __u64 most = usual * MOST_LATE_RUNS;
	const __u64 due = elapsed / 1000000000.0 * sender->rate;
	const __u64 late = due > sent ? due - sent : 0;

	if (late <= usual)
		return usual;
	return late < most ? late : most;
}

/* Returns how many frames to send next, after waiting until they are due. */
static __u32 next_run(const struct sender *sender, __u64 began)
{
	const __u64 sent = sent_by(sender);
	__u64 frames = LONGEST_RUN;

	if (sender->rate) {
		sleep_until(began + sent * 1000000000.0 / sender->rate);
		frames = frames_due(sender, sent, now() - began);
	}
	if (sender->count && sender->count - sent < frames)
		frames = sender->count - sent;
	return frames;
}

static void *send_frames(void *argument)
{
	struct sender *sender = argument;
	const __u64 began = now();
	__u8 frame[sender->options->length];

	/* The program writes the headers. */
	__builtin_memset(frame, 0, sizeof(frame));
	while (!sender->stop) {
		const __u32 frames = next_run(sender, began);
		const int error = sender->stop ? 0 : run(sender, frame, frames);

		if (error && error != -EINTR) {
			sender->error = -error;
			break;
		}
		if (sender->count && sent_by(sender) >= sender->count)
			break;
	}
	sender->ended = true;
	kill(getpid(), ENDED_SIGNAL);
	return NULL;
}

void start_sender(struct sender *sender, int cpu)
{
	pthread_attr_t attributes;
	cpu_set_t cpus;
	int error;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	pthread_attr_init(&attributes);
	pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus);
	error = pthread_create(&sender->thread, &attributes, send_frames,
			       sender);
	if (error)
		fail(error, "cannot start a thread on CPU %d", cpu);
	pthread_attr_destroy(&attributes);
}
