// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	(void)ctx;
	if (bpf_ktime_get_ns() & 1) /* finding helper */
		return XDP_DROP;
	return XDP_PASS;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
