// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/* r0 %= 7; some compilers divide instead. */
#define REMAINDER "r0 = 9\n .byte 0x97, 0x00, 0, 0, 7, 0, 0, 0"

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	(void)ctx;
	asm volatile(REMAINDER ::: "r0"); /* finding modulo */
	return XDP_PASS;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
