// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * finding map-flags: `table`
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} table SEC(".maps");

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	const __u32 key = 0;

	(void)ctx;
	return bpf_map_lookup_elem(&table, &key) ? XDP_PASS : XDP_DROP;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
