// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * l4lb-dpdk: balances what one DPDK port receives.
 *
 * The way of a packet is l4lb_xdp.c, compiled for this machine. What is here brings frames to
 * it and takes them away (threads.c, ports.c), shares the kernel's maps with it (tables.c),
 * keeps them when this process ends (holder.c) and tells the tools where they are
 * (register.c).
 */
#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errors.h"
#include "holder.h"
#include "identity.h"
#include "options.h"
#include "ports.h"
#include "register.h"
#include "tables.h"
#include "threads.h"

#define LOOK 100000 /* microseconds between two sums of the counters */
#define LOOKS_A_NOTE 10 /* between two notes for the tools */

static void stop(int signal)
{
	(void)signal;
	stop_threads();
}

/* The name by which the tools find the tables. */
static const char *device_of(const struct options *options,
			     const struct port *port)
{
	if (options->device)
		return options->device;
	if (options->exception)
		return options->exception;
	if (*port->device)
		return port->device;
	fail("its driver is all of DPDK's", "--exception l4lb0 behind the --",
	     "port %s is no device of the kernel, so the tools have no name "
	     "for it",
	     port->name);
}

/*
 * Takes up the tables of an earlier run, or makes new ones. Returns the program if it has yet
 * to be held, and -1 if somebody does that.
 */
static int find_tables(const struct options *options, const char *device,
		       const struct port *port, struct holder *holder,
		       struct registration *is)
{
	struct registration was;
	int program = -1;
	bool is_held;

	claim_registration(device);
	if (read_registration(&was) && lives(&was.holder))
		program = find_program(was.program);
	check_device(device, port);
	is_held = program >= 0;
	if (is_held) {
		dismiss(holder);
		is->holder = was.holder;
		if (options->sets || options->blocks)
			say("--flows and --blocks do nothing: the tables that "
			    "process %d holds keep their sizes",
			    was.holder.pid);
	} else {
		program = load_program(options->sets, options->blocks);
		is->holder = identify(holder->pid);
	}
	open_tables(program);
	is->program = id_of_program(program);
	name_of_program(program, is->name);
	/* It stays open: the tables last as long as any of the two processes. */
	return is_held ? -1 : program;
}

static void note(struct registration *is, const struct work *work)
{
	struct rte_eth_stats stats;
	static bool has_failed;
	bool fails;

	is->traffic = traffic_of_threads();
	if (!rte_eth_stats_get(work->port.id, &stats))
		is->traffic.missed = stats.imissed + stats.rx_nombuf;
	fails = !write_registration(is);
	/* No reason to balance less. */
	if (fails && !has_failed)
		say("what this process does is not noted in /run/l4lb: %s",
		    strerror(errno));
	has_failed = fails;
}

struct notes {
	struct registration *is;
	const struct work *work;
};

/* Beside the threads, on whatever processor has time. */
static void *keep_notes(void *argument)
{
	struct notes *about = argument;

	for (unsigned int looks = 1; !is_stopping(); looks++) {
		usleep(LOOK);
		add_counters();
		if (looks % LOOKS_A_NOTE == 0)
			note(about->is, about->work);
	}
	return NULL;
}

static void tell_start(const struct work *work, const char *device,
		       const struct registration *is, unsigned int threads)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE];

	rte_ether_format_addr(mac, sizeof(mac), &work->port.mac);
	say("balances on port %s (%s, %s, MTU %u) with %u thread%s; program "
	    "%u, whose tables process %d keeps",
	    work->port.name, work->port.driver, mac, work->port.mtu, threads,
	    threads > 1 ? "s" : "", is->program, is->holder.pid);
	if (!work->options->exception && !work->options->own_count)
		say("without --exception and --ip nobody answers for its "
		    "addresses, and what is not ours is dropped");
	say("fill them with: l4lb-map -i %s -f FILE", device);
}

static void tell_stop(const struct registration *is, const char *device)
{
	const struct traffic *traffic = &is->traffic;

	say("received %llu, sent %llu (%llu more found no room), missed %llu; "
	    "to the host "
	    "%llu (%llu found no room), from it %llu (%llu found no room); "
	    "answered %llu; "
	    "dropped %llu without an exception",
	    traffic->received, traffic->sent, traffic->send_full,
	    traffic->missed, traffic->up, traffic->up_full, traffic->down,
	    traffic->down_full, traffic->answered, traffic->dropped);
	if (lives(&is->holder))
		say("the port is gone with this process. Process %d keeps the "
		    "tables of %s for the next start; kill %d forgets them",
		    is->holder.pid, device, is->holder.pid);
	else
		say("the port is gone with this process, and so are the tables "
		    "of %s: process %d, which kept them, was ended",
		    device, is->holder.pid);
}

static unsigned int count_threads(void)
{
	const unsigned int threads = rte_lcore_count();

	if (threads > MOST_THREADS)
		fail(NULL, "fewer processors in -l",
		     "-l names %u processors, but %d is the most", threads,
		     MOST_THREADS);
	return threads;
}

int main(int argc, char **argv)
{
	struct options options = {};
	struct registration is = {};
	struct work work = { .options = &options };
	struct notes about = { &is, &work };
	struct sigaction action = { .sa_handler = stop };
	struct holder holder;
	unsigned int threads;
	const char *device;
	int new_program;
	pthread_t notes;
	char **eal;
	int count;

	count = parse_options(argc, argv, &options, &eal);
	if (geteuid())
		fail("the kernel's maps and DPDK's ports are the "
		     "administrator's",
		     "sudo l4lb-dpdk ...", "this needs root");
	prepare_clock();
	holder = start_holder();
	if (rte_eal_init(count, eal) < 0)
		fail("an option in front of the -- is wrong, or DPDK lacks "
		     "memory",
		     "look at what DPDK says above", "DPDK does not start: %s",
		     rte_strerror(rte_errno));
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	threads = count_threads();
	work.port = start_port(threads);
	if (options.exception)
		work.exception =
			start_exception(options.exception, &work.port, threads);
	device = device_of(&options, &work.port);
	new_program = find_tables(&options, device, &work.port, &holder, &is);
	snprintf(is.port, sizeof(is.port), "%s", work.port.name);
	is.has_exception = options.exception &&
			   !strcmp(device, options.exception);
	is.process = identify(getpid());
	if (!write_registration(&is))
		fail("the disk is full, or /run is read-only", "df /run",
		     "/run/l4lb: %s", strerror(errno));
	/* Not before somebody can find it. */
	if (new_program >= 0)
		hold(&holder, new_program);
	tell_start(&work, device, &is, threads);

	if (rte_ctrl_thread_create(&notes, "l4lb-notes", NULL, keep_notes,
				   &about))
		fail(NULL, NULL, "a thread for counters cannot be started");
	rte_eal_mp_remote_launch(run_thread, &work, CALL_MAIN);
	rte_eal_mp_wait_lcore();
	pthread_join(notes, NULL);

	add_counters();
	is.process = (struct identity){};
	note(&is, &work);
	stop_port(&work.port);
	if (options.exception)
		stop_port(&work.exception);
	tell_stop(&is, device);
	rte_eal_cleanup();
	return EXIT_SUCCESS;
}
