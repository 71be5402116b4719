// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Drops what comes back, and counts it; what the kernel says to groups is not ours. */
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} came SEC(".maps");

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	const struct ethhdr *ethernet = (void *)(long)ctx->data;
	const __u32 only = 0;
	__u64 *packets;

	if ((void *)(ethernet + 1) > (void *)(long)ctx->data_end ||
	    ethernet->h_dest[0] & 1)
		return XDP_DROP;
	packets = bpf_map_lookup_elem(&came, &only);
	if (packets)
		++*packets;
	return XDP_DROP;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
