// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/* *(u32 *)(r10 - 4) = 7, as -mcpu=v4 has it. */
#define STORE_CONSTANT ".byte 0x62, 0x0a, 0xfc, 0xff, 7, 0, 0, 0"

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	(void)ctx;
	asm volatile(STORE_CONSTANT); /* finding instruction */
	return XDP_PASS;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
