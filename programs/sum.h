/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The input of l4lb_sum.c, which takes the place of a frame: questions, each of which the
 * program replaces by its answer. See src/abi/sum.ts.
 */
#ifndef SUM_H
#define SUM_H

#include "datapath/l4lb.h"

struct sum_question {
	__u32 of; /* enum sum_of */
	__u32 key; /* an id, a verdict, or the first slot */
	__u32 number; /* only for SUM_SLOTS and SUM_FORGET */
	__u32 spare;
};

enum sum_of {
	SUM_COUNTERS = 1, /* answered by a struct l4lb_counter */
	SUM_RETURNED = 2, /* likewise */
	SUM_VERDICTS = 3, /* likewise */
	/* Begins a count of slots, for a number of ids. */
	SUM_FORGET = 4,
	/* Of a number of slots: how many are hot, and how many have a destination. */
	SUM_SLOTS = 5,
	/* How many of these slots have this destination, and 0. */
	SUM_SHARE = 6,
	/* The generation of the tables, and 0. */
	SUM_GENERATION = 7,
};

struct sum_answer {
	__u64 first;
	__u64 second;
};

_Static_assert(sizeof(struct sum_question) == 16, "question");
_Static_assert(sizeof(struct sum_answer) == sizeof(struct sum_question),
	       "an answer takes the place of its question");
_Static_assert(sizeof(struct sum_answer) == sizeof(struct l4lb_counter),
	       "a counter is an answer");

#endif
