// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * l4lb_carry: adds sums to counters that a program is counting in.
 *
 * Never attached. When l4lb-load --replace cannot keep the maps, the sums of
 * the old ones are added to the new ones after the swap, so that what was
 * counted up to the last moment is carried over. bpftool cannot do that: it sets
 * a per-CPU counter to one value on all CPUs, and does not add. So it runs this
 * program on frames that hold the sums.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "datapath/carry.h"

/* The real map takes its place at load time: either kind, any size. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct l4lb_counter));
} counters SEC(".maps");

SEC("xdp")
int l4lb_carry(struct xdp_md *ctx)
{
	const struct carry_sum *sum = (void *)(long)ctx->data;
	struct l4lb_counter *counter;
	__u32 key;

	for (int i = 0; i < CARRY_SUMS; i++, sum++) {
		if ((void *)(sum + 1) > (void *)(long)ctx->data_end)
			break;
		key = sum->key;
		counter = bpf_map_lookup_elem(&counters, &key);
		if (!counter)
			break;
		__sync_fetch_and_add(&counter->packets, sum->packets);
		__sync_fetch_and_add(&counter->bytes, sum->bytes);
	}
	return XDP_DROP;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
