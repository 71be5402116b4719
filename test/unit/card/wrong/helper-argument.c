// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;

	if (data + 4 > (void *)(long)ctx->data_end)
		return XDP_PASS;
	if (bpf_map_lookup_elem(&table, data)) /* finding helper-argument */
		return XDP_DROP;
	return XDP_PASS;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
