// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The least that a program can do which sends a packet back: swaps its MACs. */
#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int floor_of_all(struct xdp_md *ctx)
{
	struct ethhdr *ethernet = (void *)(long)ctx->data;
	struct ethhdr old;

	if ((void *)(ethernet + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	old = *ethernet;
	__builtin_memcpy(ethernet->h_dest, old.h_source, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, old.h_dest, ETH_ALEN);
	return XDP_TX;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
