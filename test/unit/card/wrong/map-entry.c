// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * finding map-entry: `table` has 72 bytes
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct wide {
	__u8 bytes[57];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct wide);
} table SEC(".maps");

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	const __u32 key = 0;

	(void)ctx;
	return bpf_map_lookup_elem(&table, &key) ? XDP_PASS : XDP_DROP;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
