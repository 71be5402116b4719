// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	const __u32 key = 0;
	volatile __u64 here = 0;
	__u64 *count = bpf_map_lookup_elem(&counts, &key);

	(void)ctx;
	if (!count)
		return XDP_PASS;
	if (__sync_fetch_and_add(count, 1) & 1) /* finding atomic */
		return XDP_DROP;
	if (__sync_fetch_and_or(count, 2) & 1) /* finding atomic */
		return XDP_DROP;
	__sync_fetch_and_add(&here, 1); /* finding atomic */
	return XDP_PASS;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
