// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} table SEC(".maps");

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	const __u32 key = 0;
	const __u64 *from = (void *)(long)ctx->data;

	if ((void *)(from + 1) > (void *)(long)ctx->data_end)
		from = bpf_map_lookup_elem(&table, &key);
	if (!from)
		return XDP_PASS;
	return *from == 7 ? XDP_DROP : XDP_PASS; /* remark pointer-kind */
}

char license_name[] SEC("license") = "Dual BSD/GPL";
