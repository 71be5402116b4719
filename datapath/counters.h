/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Step 6, count. On the host each CPU has its own counters and adds to them
 * plainly. A SmartNIC has neither per-CPU maps nor plain stores into a map, so
 * there the program adds atomically.
 */
#ifndef COUNTERS_H
#define COUNTERS_H

#include "l4lb.h"
#include "platform/platform.h"

#ifdef L4LB_HOST
#define COUNTER_MAP BPF_MAP_TYPE_PERCPU_ARRAY
#define ADD(where, what) (*(where) += (what))
#else
#define COUNTER_MAP BPF_MAP_TYPE_ARRAY
#define ADD(where, what) __sync_fetch_and_add(where, what)
#endif

static __always_inline void count(map_ref map, __u32 key, __u64 bytes)
{
	struct l4lb_counter *counter = lookup(map, &key);

	if (never(!counter))
		return;
	ADD(&counter->packets, 1);
	ADD(&counter->bytes, bytes);
}

#endif
