// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	const __u32 *data = (void *)(long)ctx->data;
	const __u64 *wide = (void *)(long)ctx->data;
	__u32 of, by;

	if ((void *)(data + 2) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	of = data[0];
	by = data[1];
	if (of / by > 7) /* finding divide */
		return XDP_DROP;
	return *wide / 10 == of ? XDP_DROP : XDP_PASS; /* finding divide */
}

char license_name[] SEC("license") = "Dual BSD/GPL";
