/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Limits work that a flood could cause too often: each CPU does it only a limited number
 * of times per second. A SmartNIC has no clock, so there the program does no such work.
 */
#ifndef LIMIT_H
#define LIMIT_H

#include "l4lb.h"
#include "maps.h"
#include "platform/platform.h"

#ifdef L4LB_HOST

/* Tells whether this may be done once more, and if so counts it as done. */
static __always_inline bool may(enum l4lb_limit what, __u32 most, __u32 seconds)
{
	const __u32 key = what;
	struct l4lb_done *done = lookup(&limits, &key);

	if (never(!done))
		return false; /* the map has an entry for each */
	if (done->second != seconds) {
		done->second = seconds;
		done->count = 0;
	}
	if (done->count >= most)
		return false;
	done->count++;
	return true;
}

#endif
#endif
