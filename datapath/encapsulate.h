/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Forwards through a tunnel: the frame grows at its head by an outer header, IPv4 or
 * IPv6 like the destination's address (RFC 2003, 2473, 4213), and gets the MACs
 * for the path to the destination.
 *
 * The destination's entry holds everything that does not depend on the packet. DSCP
 * and ECN are copied from the packet (RFC 6040). The outer TTL or hop limit starts
 * anew, and the inner packet stays unchanged: for it, the path to the destination
 * is one link.
 *
 * A destination's NIC spreads packets over its queues by the outer addresses, and
 * would put all of ours into one queue. So the tools may let the last bits of the
 * source vary by flow. In IPv6 the flow label varies too, for routers (RFC 6438). If the
 * packet names previous destinations, the source does that instead: see names.h.
 */
#ifndef ENCAPSULATE_H
#define ENCAPSULATE_H

#include "hash.h"
#include "link.h"
#include "parse.h"

#define OUTER_TTL 64
#define FLOW_LABEL 0xfffff

/* What an entry holds about the outer header, read as one word: see l4lb.h. */
union outer {
	__u64 word;
	struct {
		__be32 source; /* its last 4 bytes */
		__u16 header_sum;
		__u16 largest_packet;
	};
};

static __always_inline __u8 protocol_of_inner(const struct packet *packet)
{
	return packet->version == 6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
}

/*
 * header_sum is the folded sum of the other fields, for an inner IPv4 packet. The sum
 * stays below 2^31, so no carry is lost. The sum plus itself with its halves swapped
 * has both halves and their carry in its upper half. A single fold would be wrong for
 * about 2 headers in 100,000.
 */
static __always_inline __u16 outer_checksum(__u16 header_sum,
					    const struct packet *packet,
					    __u32 first_word, __u32 added)
{
	const __u32 sum = first_word + header_sum + added +
			  (protocol_of_inner(packet) - IPPROTO_IPIP);

	return ~(sum + (sum << 16) + (sum >> 16)) >> 16;
}

/*
 * What a source in place of the entry's own adds to the sum of the header: the new one's
 * words, and the old one's with all bits turned, which takes them off.
 */
static __always_inline __u32 sum_of_other_source(__be32 own, __be32 other)
{
	const __u64 sum = (__u64)bpf_ntohl(~own) + bpf_ntohl(other);

	return (sum & 0xffff) + (sum >> 16);
}

/* RFC 6864: the id is unused where fragmentation is forbidden, so it is 0. */
static __always_inline void
write_outer_ipv4(struct iphdr *ip, const struct l4lb_device *device,
		 const struct packet *packet,
		 const struct l4lb_destination *destination, union outer outer,
		 __u16 varied, __be32 names)
{
	const __u32 first_word = packet->first_word + sizeof(*ip);
	__be32 source = outer.source | bpf_htonl(varied);
	__be32 *word = (__be32 *)ip;
	__u32 added = varied;

	if (names) {
		source = device->names[L4LB_NAMES_IPV4] | names;
		added = sum_of_other_source(outer.source, source);
	}
	word[0] = bpf_htonl(first_word);
	word[1] = bpf_htonl(IP_DONT_FRAGMENT);
	word[2] = bpf_htonl(
		OUTER_TTL << 24 | protocol_of_inner(packet) << 16 |
		outer_checksum(outer.header_sum, packet, first_word, added));
	word[3] = source;
	word[4] = *(const __be32 *)&destination->address[12];
}

static __always_inline void
write_outer_ipv6(struct ipv6hdr *ip, const struct l4lb_device *device,
		 const struct packet *packet,
		 const struct l4lb_destination *destination, union outer outer,
		 __u16 varied, __u32 flow, __be32 names)
{
	const __be32 *own = (const __be32 *)destination->source_address;
	const __u64 *address = (const __u64 *)destination->address;
	__be32 *word = (__be32 *)ip;

	*(__u64 *)&word[2] = *(const __u64 *)own;
	word[4] = own[2];
	word[5] = outer.source | bpf_htonl(varied);
	if (names) {
		*(__u64 *)&word[2] = *(const __u64 *)device->names;
		word[4] = device->names[2];
		word[5] = device->names[3] | names;
	}
	word[0] = bpf_htonl(6U << 28 | tos_of(packet) << 20 |
			    (even_out(flow) & FLOW_LABEL));
	word[1] = bpf_htonl(packet->length << 16 |
			    protocol_of_inner(packet) << 8 | OUTER_TTL);
	*(__u64 *)&word[6] = address[0];
	*(__u64 *)&word[8] = address[1];
}

static __always_inline union outer
read_outer(const struct l4lb_destination *destination)
{
	const union outer outer = {
		.word = read_word(&destination->source_address[12]),
	};

	return outer;
}

/* Grows the frame by `grown` bytes; `type` is the EtherType of the header that gets the room. */
static __always_inline bool grow(struct xdp_md *ctx,
				 const struct packet *packet,
				 const struct l4lb_destination *destination,
				 __u32 grown, const struct l4lb_device *device,
				 __be16 type, void **header)
{
	union mac from;

	if (!grow_head(ctx, grown))
		return false;
	from = read_mac(device->mac); /* with the type of IPv4 behind it */
	if (type != bpf_htons(ETH_P_IP))
		from.behind = type;
	return write_link(ctx, packet->tags, grown, read_mac(destination->mac),
			  from, header);
}

/*
 * Reads the entry's fields where it needs them, which takes no longer than keeping
 * them while the frame grows.
 */
static __always_inline enum l4lb_verdict
encapsulate(struct xdp_md *ctx, const struct l4lb_device *device,
	    const struct packet *packet,
	    const struct l4lb_destination *destination, __u32 flow, __u32 names,
	    __u64 *sent_length)
{
	__u32 grown;
	void *ip;

	/* The sum of an IPv4 header is never 0, so 0 stands for IPv6. */
	if (destination->header_sum) {
		grown = sizeof(struct iphdr);
		if (!grow(ctx, packet, destination, grown, device,
			  bpf_htons(ETH_P_IP), &ip))
			return L4LB_NO_ROOM;
		write_outer_ipv4(ip, device, packet, destination,
				 read_outer(destination),
				 even_out(flow) & destination->spread, names);
	} else {
		grown = sizeof(struct ipv6hdr);
		if (!grow(ctx, packet, destination, grown, device,
			  bpf_htons(ETH_P_IPV6), &ip))
			return L4LB_NO_ROOM;
		write_outer_ipv6(ip, device, packet, destination,
				 read_outer(destination),
				 even_out(flow) & destination->spread, flow,
				 names);
	}
	*sent_length = packet->frame_length + grown;
	return L4LB_NO_OBJECTION;
}

#endif
