// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	const __u64 *wide = (void *)(long)ctx->data;
	const __u32 *narrow = (void *)(long)ctx->data;

	if ((void *)(wide + 2) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	if (*wide * 10 == wide[1]) /* finding multiply */
		return XDP_DROP;
	if (*narrow * -5ULL == wide[1]) /* finding multiply */
		return XDP_DROP;
	return XDP_PASS;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
