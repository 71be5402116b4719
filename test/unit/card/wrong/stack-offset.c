// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	const __u8 *data = (void *)(long)ctx->data;
	volatile __u32 seen[8] = {};

	if ((void *)(data + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	seen[*data & 7] = 1; /* finding stack-offset */
	return seen[3] ? XDP_DROP : XDP_PASS;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
