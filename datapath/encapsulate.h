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

/* The first word of an IPv4 header: version, its own length, TOS, length of all. */
static __always_inline __be32 first_word(__u8 tos, __u16 length)
{
	return bpf_htonl(0x45 << 24 | tos << 16 | length);
}

/*
 * header_sum holds the other fields, folded, as for an IPv4 packet inside. The
 * terms make at most 0x1000223fe, the first fold 0x20001, the second 0x10000, and
 * the third leaves no carry. It takes a packet of nearly 64 KB to need that one; one
 * fold alone is wrong for about 2 headers in 100,000.
 */
static __always_inline __u16 outer_checksum(__be16 header_sum,
					    const struct packet *packet,
					    __be32 first, __be16 varied)
{
	__u64 sum = header_sum;

	sum += first - first_word(0, 0);
	sum += varied;
	sum += bpf_htons(protocol_of_inner(packet) - IPPROTO_IPIP);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void
write_outer_ipv4(struct iphdr *ip, const struct packet *packet,
		 const struct l4lb_destination *destination, union outer outer,
		 __be16 varied)
{
	const __be32 first =
		first_word(packet->tos, packet->length + sizeof(*ip));
	const union last_word bits = { .half = { 0, varied } };

	*(__be32 *)ip = first;
	ip->id = 0; /* RFC 6864: unused where fragmenting is forbidden */
	ip->frag_off = bpf_htons(IP_DONT_FRAGMENT);
	ip->ttl = OUTER_TTL;
	ip->protocol = protocol_of_inner(packet);
	ip->check = outer_checksum(outer.header_sum, packet, first, varied);
	ip->saddr = outer.source | bits.word;
	ip->daddr = *(const __be32 *)&destination->address[12];
}

static __always_inline void
write_outer_ipv6(struct ipv6hdr *ip, const struct packet *packet,
		 const struct l4lb_destination *destination, union outer outer,
		 __be16 varied, __u32 flow)
{
	const __u32 *from = (const __u32 *)destination->source_address;
	const __u32 *to = (const __u32 *)destination->address;
	const union last_word bits = { .half = { 0, varied } };

	*(__be32 *)ip = bpf_htonl(6U << 28 | packet->tos << 20 | flow >> 12);
	ip->payload_len = bpf_htons(packet->length);
	ip->nexthdr = protocol_of_inner(packet);
	ip->hop_limit = OUTER_TTL;
	for (int i = 0; i < 3; i++)
		ip->saddr.s6_addr32[i] = from[i];
	ip->saddr.s6_addr32[3] = outer.source | bits.word;
	for (int i = 0; i < 4; i++)
		ip->daddr.s6_addr32[i] = to[i];
}

/* Read anew where they are needed, which takes no longer than to keep them. */
static __always_inline void *grow(struct xdp_md *ctx,
				  const struct l4lb_device *device,
				  const struct packet *packet,
				  const struct l4lb_destination *destination,
				  __u32 grown, __be16 type)
{
	if (bpf_xdp_adjust_head(ctx, -(int)grown))
		return NULL;
	return write_link(ctx, packet->tags, grown, read_mac(destination->mac),
			  read_mac(device->mac), type);
}

static __always_inline union outer
read_outer(const struct l4lb_destination *destination)
{
	const union outer outer = {
		.word = read_word(&destination->source_address[12]),
	};

	return outer;
}

static __always_inline enum l4lb_verdict
encapsulate(struct xdp_md *ctx, const struct l4lb_device *device,
	    const struct packet *packet,
	    const struct l4lb_destination *destination, __u32 flow,
	    __u64 *sent_length)
{
	union outer outer = read_outer(destination);
	__be16 varied;
	void *ip;

	if (packet->length > outer.largest_inner)
		return tell_sender(ctx, packet, outer.largest_inner);

	/* The sum of a header is never 0. */
	if (outer.header_sum) {
		ip = grow(ctx, device, packet, destination,
			  sizeof(struct iphdr), bpf_htons(ETH_P_IP));
		if (!ip)
			return L4LB_NO_ROOM;
		outer = read_outer(destination);
		varied = bpf_htons(flow >> 16) & destination->spread;
		write_outer_ipv4(ip, packet, destination, outer, varied);
		*sent_length = packet->frame_length + sizeof(struct iphdr);
	} else {
		ip = grow(ctx, device, packet, destination,
			  sizeof(struct ipv6hdr), bpf_htons(ETH_P_IPV6));
		if (!ip)
			return L4LB_NO_ROOM;
		outer = read_outer(destination);
		varied = bpf_htons(flow >> 16) & destination->spread;
		write_outer_ipv6(ip, packet, destination, outer, varied, flow);
		*sent_length = packet->frame_length + sizeof(struct ipv6hdr);
	}
	return L4LB_BALANCED;
}

#endif
