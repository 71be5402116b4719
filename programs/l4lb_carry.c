// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * l4lb_carry: adds sums to counters while a program is counting in them.
 *
 * It is never attached. When l4lb-load --replace cannot keep the maps, it adds the old
 * maps' sums to the new maps after the swap, so that no count is lost. bpftool alone
 * cannot do that: it sets a per-CPU counter to one value on all CPUs, and does not
 * add. So bpftool runs this program on frames that hold the sums.
 */
#include "carry.h"
#include "datapath/platform/platform.h"

/* The real map, of either kind and any size, takes the place of this one at load time. */
MAP(counters, BPF_MAP_TYPE_PERCPU_ARRAY, 1, sizeof(__u32),
    sizeof(struct l4lb_counter));

PROGRAM
int l4lb_carry(struct xdp_md *ctx)
{
	const struct carry_sum *sum = frame_start(ctx);
	struct l4lb_counter *counter;
	__u32 key;

	for (int i = 0; i < CARRY_SUMS; i++, sum++) {
		if ((void *)(sum + 1) > frame_end(ctx))
			break;
		key = sum->key;
		counter = lookup(&counters, &key);
		if (!counter)
			break;
		__sync_fetch_and_add(&counter->packets, sum->packets);
		__sync_fetch_and_add(&counter->bytes, sum->bytes);
	}
	return XDP_DROP;
}

LICENSE;
