// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * remark stack-size: needs 640 bytes
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

static __attribute__((noinline)) int inner(__u32 number)
{
	volatile __u64 many[32] = {};

	many[0] = number;
	many[30] = many[0];
	return many[30];
}

static __attribute__((noinline)) int outer(__u32 number)
{
	volatile __u64 many[32] = {};

	many[0] = inner(number);
	many[30] = many[0];
	return many[30];
}

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	return outer(ctx->data_end - ctx->data) ? XDP_DROP : XDP_PASS;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
