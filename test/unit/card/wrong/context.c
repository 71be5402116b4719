// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	if (ctx->rx_queue_index > 3) /* finding context */
		return XDP_DROP;
	return XDP_PASS;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
