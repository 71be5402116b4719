// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Drops everything. At both ways of a router's port, it is a cable that is cut
 * where neither end sees it: the link stays up, and nothing comes through.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

SEC("tc")
int cut(struct __sk_buff *skb)
{
	(void)skb;
	return TC_ACT_SHOT;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
