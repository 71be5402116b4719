// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * finding frags: xdp.frags
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int wrong(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
