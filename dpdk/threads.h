/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way of a frame through this process, on each of its threads:
 *
 *   port -> l4lb_2() -> sent by the port
 *                    -> dropped
 *                    -> not ours: an answer of ours, or to the exception, or dropped
 *   exception -> port
 */
#ifndef THREADS_H
#define THREADS_H

#include <stdbool.h>

#include "options.h"
#include "ports.h"
#include "register.h"

struct work {
	const struct options *options;
	struct port port;
	struct port exception; /* if options->exception */
};

/* Runs on each lcore until stop_threads(). `work` is a struct work. */
int run_thread(void *work);
void stop_threads(void);
bool is_stopping(void);
/* What all threads have done so far. */
struct traffic traffic_of_threads(void);

#endif
