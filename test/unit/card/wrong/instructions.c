// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * remark instructions: 2,902 instructions
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	(void)ctx;
	asm volatile(".rept 2900\n r0 = 1\n .endr" ::: "r0");
	return XDP_PASS;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
