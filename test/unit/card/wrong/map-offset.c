// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct row {
	__u8 cells[32];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct row);
} table SEC(".maps");

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	const __u8 *data = (void *)(long)ctx->data;
	const __u32 key = 0;
	struct row *row;

	if ((void *)(data + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	row = bpf_map_lookup_elem(&table, &key);
	if (row && row->cells[*data & 31]) /* finding map-offset */
		return XDP_DROP;
	return XDP_PASS;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
