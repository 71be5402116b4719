// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Passes everything. A veth accepts what its peer sends by XDP_TX only while it
 * has a native XDP program itself; the testbed's switch ports get this one.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

/* For MTUs that one buffer cannot hold. */
SEC("xdp.frags")
int pass_frags(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
