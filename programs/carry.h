/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The input of l4lb_carry.c and l4lb_carry_flows.c, which takes the place of a frame:
 * see src/abi/carry.ts.
 */
#ifndef CARRY_H
#define CARRY_H

#include "datapath/l4lb.h"

struct carry_sum {
	__u32 key;
	__u32 spare;
	__u64 packets;
	__u64 bytes;
};

/* The most that fit a frame of 1,500 bytes. */
#define CARRY_SUMS 62

/* The input of l4lb_carry_flows.c, which writes its results into it as well. */
struct carry_flows {
	__u32 next; /* the set of this run */
	__u32 mask_before; /* the old number of sets less one */
	__u32 mask; /* the new number of sets less one */
	__u32 since; /* older records count for no slot; in units of 4 seconds */
	__u32 carried; /* records that the new sets hold, each counted once */
	__u32 lost; /* records that found no room */
};

_Static_assert(sizeof(struct carry_sum) == 24, "sum");
_Static_assert(sizeof(struct carry_flows) == 24, "flows");

#endif
