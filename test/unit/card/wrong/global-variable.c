// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * finding global-variable: .bss
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

volatile int switched_on = 1;
volatile int never_used;
extern int LINUX_KERNEL_VERSION __kconfig;

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	(void)ctx;
	if (LINUX_KERNEL_VERSION < 5) /* finding global-variable */
		return XDP_ABORTED;
	return switched_on ? XDP_PASS : XDP_DROP; /* finding global-variable */
}

char license_name[] SEC("license") = "Dual BSD/GPL";
