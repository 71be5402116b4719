// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the ports of a fabric's router do beside forwarding; see fabric.sh. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

/*
 * Drops everything. At both ways of a port, it is a cable that is cut where
 * neither end sees it: the link stays up, and nothing comes through.
 */
SEC("tc/cut")
int cut(struct __sk_buff *skb)
{
	(void)skb;
	return TC_ACT_SHOT;
}

/*
 * Takes away the hash that the client's kernel has given to a packet. No wire
 * carries it, but a veth does, and ECMP would choose the way by it: by a random
 * number, and by another one for each packet that TCP sends again.
 */
SEC("tc/wire")
int wire(struct __sk_buff *skb)
{
	bpf_set_hash_invalid(skb);
	return TC_ACT_OK;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
