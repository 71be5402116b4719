// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Sends frames with the kernel's live test run of an XDP program. Each thread does one
 * long run. The main thread reports progress and ends the runs with a signal, which the
 * kernel checks for between two batches.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "errors.h"
#include "losses.h"
#include "losses.skel.h"
#include "sender.h"

#define SECOND 1000000000ull
/* A stop signal can come just before a run begins, so it is sent again. */
#define STOP_AGAIN (SECOND / 100)

struct flood {
	const struct options *options;
	struct sender *senders;
	struct losses_bpf *losses; /* NULL: the kernel reports none */
	__u64 began;
};

static void do_nothing(int signal)
{
	(void)signal;
}

/* Only senders handle the stop signal; the main thread fetches all others. */
static sigset_t prepare_signals(void)
{
	const struct sigaction interrupt = { .sa_handler = do_nothing };
	sigset_t fetched;

	sigaction(STOP_SIGNAL, &interrupt, NULL);
	sigemptyset(&fetched);
	sigaddset(&fetched, SIGINT);
	sigaddset(&fetched, SIGTERM);
	sigaddset(&fetched, ENDED_SIGNAL);
	sigprocmask(SIG_BLOCK, &fetched, NULL);
	return fetched;
}

/* Returns NULL if the kernel cannot report losses, because it has no BTF of its own. */
static struct losses_bpf *watch_losses(const struct options *options)
{
	struct losses_bpf *losses = losses_bpf__open();
	struct stat namespace;

	if (!losses || stat("/proc/self/ns/net", &namespace))
		return NULL;
	losses->rodata->watched = (struct watched){
		.ifindex = options->ifindex,
		.namespace_inode = namespace.st_ino,
	};
	if (losses_bpf__load(losses) || losses_bpf__attach(losses)) {
		losses_bpf__destroy(losses);
		return NULL;
	}
	return losses;
}

static void start_senders(struct flood *flood)
{
	const struct options *options = flood->options;
	__u32 index;
	cpu_set_t cpus;
	int cpu = -1;

	sched_getaffinity(0, sizeof(cpus), &cpus);
	if (options->threads > (__u32)CPU_COUNT(&cpus))
		wrong_usage("--threads %u: there are %d CPUs", options->threads,
			    CPU_COUNT(&cpus));
	flood->senders = calloc(options->threads, sizeof(*flood->senders));
	if (!flood->senders)
		fail(errno, "no memory");
	for (index = 0; index < options->threads; index++)
		load_sender(&flood->senders[index], options, index);
	flood->began = now();
	for (index = 0; index < options->threads; index++) {
		do
			cpu++;
		while (!CPU_ISSET(cpu, &cpus));
		start_sender(&flood->senders[index], cpu);
	}
}

struct sums {
	__u64 sent, lost, busy;
	__u32 running;
	int error;
};

static struct sums sum_up(const struct flood *flood)
{
	struct sums sums = {};

	for (__u32 i = 0; i < flood->options->threads; i++) {
		const struct sender *sender = &flood->senders[i];

		sums.running += !sender->ended;
		sums.sent += sent_by(sender);
		sums.busy += sender->busy;
		if (sender->error)
			sums.error = sender->error;
	}
	if (flood->losses)
		sums.lost =
			*(volatile __u64 *)&flood->losses->bss->losses.frames;
	return sums;
}

static void report(const struct flood *flood, const struct sums *sums,
		   bool is_end)
{
	printf("{\"event\":\"%s\",\"elapsed_ns\":%llu",
	       is_end ? "end" : "progress", now() - flood->began);
	printf(",\"sent\":%llu", sums->sent);
	if (flood->losses)
		printf(",\"lost\":%llu", sums->lost);
	else
		printf(",\"lost\":null");
	if (is_end)
		printf(",\"busy_ns\":%llu", sums->busy);
	puts("}");
	fflush(stdout);
}

static void stop_senders(const struct flood *flood)
{
	for (__u32 i = 0; i < flood->options->threads; i++) {
		struct sender *sender = &flood->senders[i];

		sender->stop = true;
		if (!sender->ended)
			pthread_kill(sender->thread, STOP_SIGNAL);
	}
}

/* Tells whether the device accepted no frame, not counting those still on their way. */
static bool is_in_vain(const struct flood *flood, const struct sums *sums)
{
	const __u64 on_their_way = sums->running * (__u64)flood->options->batch;

	return sums->lost && flood->losses->bss->losses.error &&
	       sums->lost + on_their_way >= sums->sent;
}

static int fetch_signal(const sigset_t *signals, __u64 patience)
{
	const struct timespec time = {
		.tv_sec = patience / SECOND,
		.tv_nsec = patience % SECOND,
	};

	return sigtimedwait(signals, NULL, &time);
}

/* Waits until all senders have ended. */
static struct sums supervise(const struct flood *flood, const sigset_t *signals)
{
	const __u64 lasts = flood->options->nanoseconds;
	const __u64 deadline = lasts ? flood->began + lasts : UINT64_MAX;
	__u64 next_report = flood->began + SECOND;
	bool is_over = false;

	for (;;) {
		const struct sums sums = sum_up(flood);
		const __u64 time = now();
		__u64 wake = next_report < deadline ? next_report : deadline;
		int signal;

		if (!sums.running)
			return sums;
		if (time >= next_report) {
			report(flood, &sums, false);
			next_report += SECOND;
		}
		if (is_over || time >= deadline || is_in_vain(flood, &sums)) {
			stop_senders(flood);
			wake = time + STOP_AGAIN;
		}
		signal = fetch_signal(signals, wake > time ? wake - time : 0);
		is_over = is_over || signal == SIGINT || signal == SIGTERM;
	}
}

int main(int argc, char **argv)
{
	const struct options options = parse_options(argc, argv);
	struct flood flood = { .options = &options };
	const sigset_t signals = prepare_signals();
	struct sums sums;

	libbpf_set_print(NULL);
	flood.losses = watch_losses(&options);
	start_senders(&flood);
	sums = supervise(&flood, &signals);
	if (sums.error)
		fail(sums.error, "the kernel does not send from %s",
		     options.device);
	if (is_in_vain(&flood, &sums))
		fail(-flood.losses->bss->losses.error,
		     "%s accepted none of %llu frames", options.device,
		     sums.sent);
	report(&flood, &sums, true);
	return EXIT_SUCCESS;
}
