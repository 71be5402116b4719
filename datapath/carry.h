/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What l4lb_carry.c reads from its input, instead of a frame: see src/carry.ts. */
#ifndef CARRY_H
#define CARRY_H

#include "l4lb.h"

struct carry_sum {
	__u32 key;
	__u32 spare;
	__u64 packets;
	__u64 bytes;
};

/* As many as fit a frame of 1,500 bytes. */
#define CARRY_SUMS 62

_Static_assert(sizeof(struct carry_sum) == 24, "sum");

#endif
