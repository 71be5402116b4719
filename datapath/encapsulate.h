/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Step 5, encapsulate: the frame grows at its head by an outer header, IPv4 or
 * IPv6 as the destination's address is (RFC 2003, 2473, 4213), and gets the MACs
 * of the way to the destination.
 *
 * All that does not depend on the packet is ready in the destination's entry. DSCP
 * and ECN are the packet's (RFC 6040). Outer TTL and hop limit begin anew, and the
 * inner packet is not touched: to it the way to the destination is one link.
 *
 * A destination's NIC spreads packets over its queues by the outer addresses, and
 * would put all of ours into one. So the tools may let the last bits of the source
 * vary by flow. In IPv6 the flow label varies too, for routers (RFC 6438).
 */
#ifndef ENCAPSULATE_H
#define ENCAPSULATE_H

#include "link.h"
#include "parse.h"
#include "too_big.h"

#define OUTER_TTL 64

/* What an entry says of the outer header, read as one word: see l4lb.h. */
union outer {
	__u64 word;
	struct {
		__be32 source; /* the last 4 bytes of it */
		__be16 header_sum;
		__u16 largest_inner;
	};
};

/* The last 16 bits of the source, in memory as they are on the wire. */
union last_word {
	__be32 word;
	__be16 half[2];
};

static __always_inline __u8 protocol_of_inner(const struct packet *packet)
{
	return packet->version == 6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
}

/*
 * header_sum holds the other fields, folded, as for an IPv4 packet inside. The
 * terms make at most 0x40022, the first fold at most 0x10002, and the second leaves
 * no carry: one fold alone is wrong for about 2 headers in 100,000.
 */
static __always_inline __u16 outer_checksum(__be16 header_sum,
					    const struct packet *packet,
					    __u16 length, __be16 varied)
{
	__u32 sum = header_sum;

	sum += bpf_htons(length);
	sum += bpf_htons(packet->tos);
	sum += varied;
	sum += bpf_htons(protocol_of_inner(packet) - IPPROTO_IPIP);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void
write_outer_ipv4(struct iphdr *ip, const struct packet *packet,
		 const struct l4lb_destination *destination, union outer outer,
		 __be16 varied)
{
	const __u16 length = packet->length + sizeof(*ip);
	union last_word source = { .word = outer.source };

	source.half[1] |= varied;
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tos = packet->tos;
	ip->tot_len = bpf_htons(length);
	ip->id = 0; /* RFC 6864: unused where fragmenting is forbidden */
	ip->frag_off = bpf_htons(IP_DONT_FRAGMENT);
	ip->ttl = OUTER_TTL;
	ip->protocol = protocol_of_inner(packet);
	ip->check = outer_checksum(outer.header_sum, packet, length, varied);
	ip->saddr = source.word;
	ip->daddr = *(const __be32 *)&destination->address[12];
}

static __always_inline void
write_outer_ipv6(struct ipv6hdr *ip, const struct packet *packet,
		 const struct l4lb_destination *destination, union outer outer,
		 __be16 varied, __u32 flow)
{
	const __u32 *from = (const __u32 *)destination->source_address;
	const __u32 *to = (const __u32 *)destination->address;
	union last_word source = { .word = outer.source };

	source.half[1] |= varied;
	*(__be32 *)ip = bpf_htonl(6U << 28 | packet->tos << 20 | flow >> 12);
	ip->payload_len = bpf_htons(packet->length);
	ip->nexthdr = protocol_of_inner(packet);
	ip->hop_limit = OUTER_TTL;
	for (int i = 0; i < 3; i++)
		ip->saddr.s6_addr32[i] = from[i];
	ip->saddr.s6_addr32[3] = source.word;
	for (int i = 0; i < 4; i++)
		ip->daddr.s6_addr32[i] = to[i];
}

static __always_inline enum l4lb_verdict
encapsulate(struct xdp_md *ctx, const struct l4lb_device *device,
	    const struct packet *packet,
	    const struct l4lb_destination *destination, __u32 flow,
	    __u64 *sent_length)
{
	const __be16 varied = bpf_htons(flow >> 16) & destination->spread;
	const union mac to = read_mac(destination->mac);
	const union mac from = read_mac(device->mac);
	union outer outer;
	void *ip;

	outer.word = *(const volatile __u64 *)&destination->source_address[12];
	if (packet->length > outer.largest_inner)
		return tell_sender(ctx, packet, outer.largest_inner);

	/* The sum of a header is never 0. */
	if (outer.header_sum) {
		const __u32 grown = sizeof(struct iphdr);

		if (bpf_xdp_adjust_head(ctx, -(int)grown))
			return L4LB_NO_ROOM;
		ip = write_link(ctx, packet->tags, grown, to.bytes, from.bytes,
				bpf_htons(ETH_P_IP));
		if (!ip)
			return L4LB_NO_ROOM;
		write_outer_ipv4(ip, packet, destination, outer, varied);
		*sent_length = packet->frame_length + grown;
	} else {
		const __u32 grown = sizeof(struct ipv6hdr);

		if (bpf_xdp_adjust_head(ctx, -(int)grown))
			return L4LB_NO_ROOM;
		ip = write_link(ctx, packet->tags, grown, to.bytes, from.bytes,
				bpf_htons(ETH_P_IPV6));
		if (!ip)
			return L4LB_NO_ROOM;
		write_outer_ipv6(ip, packet, destination, outer, varied, flow);
		*sent_length = packet->frame_length + grown;
	}
	return L4LB_BALANCED;
}

#endif
