/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Step 5, encapsulate: the frame grows at its head by an outer IPv4 header
 * (IPIP, RFC 2003) and gets the MACs of the way to the destination.
 *
 * All that does not depend on the packet is ready in the destination's entry.
 */
#ifndef ENCAPSULATE_H
#define ENCAPSULATE_H

#include "parse.h"

#define OUTER_TTL 64
#define IP_DONT_FRAGMENT 0x4000

/* What an entry says of the outer IPv4 header, read as one word: see l4lb.h. */
union outer {
	__u64 word;
	struct {
		__be32 source;
		__be16 header_sum;
		__u16 largest_inner;
	};
};

/*
 * header_sum holds the other fields, folded. The three terms make at most
 * 0x2fffd, the first fold at most 0x1ffff, and the second leaves no carry: one
 * fold alone is wrong for about 2 headers in 100,000.
 */
static __always_inline __u16 outer_checksum(__be16 header_sum, __u16 length,
					    __u8 tos)
{
	__u32 sum = header_sum;

	sum += bpf_htons(length);
	sum += bpf_htons(tos);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void write_mac(void *to, const void *from)
{
	*(__u32 *)to = *(const __u32 *)from;
	*(__u16 *)(to + 4) = *(const __u16 *)(from + 4);
}

static __always_inline enum l4lb_verdict
encapsulate(struct xdp_md *ctx, const struct l4lb_device *device,
	    const struct packet *packet,
	    const struct l4lb_destination *destination, __u64 *sent_length)
{
	const __u16 length = packet->length + sizeof(struct iphdr);
	union outer outer;
	struct ethhdr *eth;
	struct iphdr *ip;

	outer.word = *(const volatile __u64 *)&destination->source_address[12];
	if (packet->length > outer.largest_inner)
		return L4LB_TOO_BIG;
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct iphdr)))
		return L4LB_NO_ROOM;

	eth = (void *)(long)ctx->data;
	ip = (void *)(eth + 1);
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return L4LB_NO_ROOM; /* never: the verifier wants to see it */

	write_mac(eth->h_dest, destination->mac);
	write_mac(eth->h_source, device->mac);
	eth->h_proto = bpf_htons(ETH_P_IP);

	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tos = packet->tos;
	ip->tot_len = bpf_htons(length);
	ip->id = 0; /* RFC 6864: unused where fragmenting is forbidden */
	ip->frag_off = bpf_htons(IP_DONT_FRAGMENT);
	ip->ttl = OUTER_TTL;
	ip->protocol = IPPROTO_IPIP;
	ip->check = outer_checksum(outer.header_sum, length, packet->tos);
	ip->saddr = outer.source;
	ip->daddr = *(const __be32 *)&destination->address[12];

	*sent_length = packet->frame_length + sizeof(*ip);
	return L4LB_BALANCED;
}

#endif
