// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * finding map-entries: 3,072,001 entries
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2000000);
	__type(key, __u32);
	__type(value, __u64);
} one SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1072001);
	__type(key, __u32);
	__type(value, __u64);
} other SEC(".maps");

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	const __u32 key = 0;

	(void)ctx;
	if (!bpf_map_lookup_elem(&other, &key))
		return XDP_DROP;
	return bpf_map_lookup_elem(&one, &key) ? XDP_PASS : XDP_DROP;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
