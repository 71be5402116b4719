// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * finding global-variable: .data
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

volatile int switched_on = 1;

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	(void)ctx;
	return switched_on ? XDP_PASS : XDP_DROP;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
