// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Passes everything, except what the client of half-open connections, 10.0.255.2,
 * sends over TCP after its SYNs. l4lb-disturb gives it to the client's port of the
 * switch while a change is made.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define HELD 0x0a00ff02
#define IP_TCP 6

struct frame {
	struct ethhdr eth;
	struct iphdr ip; /* a client of this testbed sends no options */
	struct tcphdr tcp;
} __attribute__((packed));

SEC("xdp")
int hold(struct xdp_md *ctx)
{
	const struct frame *frame = (void *)(long)ctx->data;

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	if (frame->eth.h_proto != bpf_htons(ETH_P_IP) ||
	    frame->ip.saddr != bpf_htonl(HELD) ||
	    frame->ip.protocol != IP_TCP || frame->tcp.syn)
		return XDP_PASS;
	return XDP_DROP;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
