/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The time in seconds, which records and limits are kept by.
 *
 * To ask for the time is a call, and that costs as much as to find a destination. The
 * kernel's count of ticks is read without one. So the first packet of a tick asks, and
 * others, on all CPUs, read what it wrote. A tick is 1 to 10 milliseconds.
 *
 * One word has both, so nobody sees the seconds of another tick. Its 32 bits of the ticks
 * come back after 49 days or more: if no packet asked in between and the next one comes in
 * that very tick, its time is wrong, for one tick.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include "maps.h"

#ifdef L4LB_HOST

static __always_inline __u32 this_second(void)
{
	const __u64 tick = ticks() << 32;
	const __u32 only = 0;
	__u64 *known = lookup(&clock, &only);
	__u64 word;

	if (never(!known))
		return seconds_now();
	word = read_word(known);
	if ((word ^ tick) >> 32) {
		word = tick | seconds_now();
		*(volatile __u64 *)known = word;
	}
	return word;
}

#endif
#endif
