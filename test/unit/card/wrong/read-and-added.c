// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct counter {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	const __u32 key = 0;
	struct counter *counter = bpf_map_lookup_elem(&counters, &key);

	(void)ctx;
	if (!counter)
		return XDP_PASS;
	__sync_fetch_and_add(&counter->bytes, 1);
	__sync_fetch_and_add(&counter->packets, 1); /* finding read-and-added */
	return counter->packets > 100 ? XDP_DROP : XDP_PASS;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
