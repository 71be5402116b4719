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
	__u64 *count = bpf_map_lookup_elem(&counts, &key);

	(void)ctx;
	if (count)
		*count = 1; /* finding map-store */
	return XDP_PASS;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
