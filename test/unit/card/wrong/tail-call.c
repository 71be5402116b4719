// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * finding map-kind: `programs`
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} programs SEC(".maps");

SEC("xdp")
int wrong(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &programs, 0); /* finding tail-call */
	return XDP_PASS;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
