/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads both ends of a packet again where the packet itself has been let go. Of an ICMP
 * error they are those of the packet that it quotes, turned round: the error goes to where
 * that one came from.
 */
#ifndef ENDS_H
#define ENDS_H

#include "translate.h"

#ifdef L4LB_HOST

struct ends {
	union { /* keys as `answers` has them */
		struct l4lb_answer_key from;
		struct l4lb_sender_key sender;
	};
	__be16 port;
	__be16 spare;
	struct address to;
};

static __always_inline __be32 ports_of(const struct ends *ends)
{
	return (__u32)ends->from.port | (__u32)ends->port << 16;
}

static __always_inline void read_addresses(struct ends *ends,
					   const void *header,
					   const bool is_ipv6,
					   const bool turned)
{
	struct address *from = (struct address *)ends->from.address;
	const struct ipv6hdr *ipv6 = header;
	const struct iphdr *ip = header;

	if (is_ipv6) {
		set_ipv6_address(from, turned ? &ipv6->daddr : &ipv6->saddr);
		set_ipv6_address(&ends->to,
				 turned ? &ipv6->saddr : &ipv6->daddr);
	} else {
		set_ipv4_address(from, turned ? ip->daddr : ip->saddr);
		set_ipv4_address(&ends->to, turned ? ip->saddr : ip->daddr);
	}
}

/* False only if the ends are not there, and all of it has been read. */
static __always_inline bool read_ends_of(struct xdp_md *ctx,
					 union layout layout,
					 const bool is_ipv6, struct ends *ends)
{
	const __u32 least = is_ipv6 ? sizeof(struct ipv6hdr) :
				      sizeof(struct iphdr);
	const bool turned = layout.flags & LAYOUT_ERROR;
	const void *end = frame_end(ctx);
	void *ip = find_header(ctx, layout);
	const struct ports *ports;

	ends->from.version = is_ipv6 ? 6 : 4;
	ends->from.protocol = layout.protocol;
	if (turned) {
		ip = behind(ip, header_length(layout.header_lengths) +
					sizeof(struct icmp));
		if (never(ip + least > end))
			return false;
		read_addresses(ends, ip, is_ipv6, true);
		ports = behind(ip, quoted_header_length(layout.header_lengths));
	} else {
		if (never(ip + least > end))
			return false;
		read_addresses(ends, ip, is_ipv6, false);
		ends->from.protocol = protocol_in(ip, layout, is_ipv6);
		ports = behind(ip, header_length(layout.header_lengths));
	}
	if (!(layout.flags & LAYOUT_PORTS))
		return true;
	if (never((void *)(ports + 1) > end))
		return false;
	ends->from.port = turned ? ports->destination : ports->source;
	ends->port = turned ? ports->source : ports->destination;
	return true;
}

/*
 * Writes both ends of a packet at once, which costs little more than one of them: each
 * checksum is carried once.
 */
static __always_inline enum l4lb_verdict
rewrite_ends_of(struct xdp_md *ctx, union layout layout, const bool is_ipv6,
		const struct ends *ends)
{
	const __u32 least = is_ipv6 ? sizeof(struct ipv6hdr) :
				      sizeof(struct iphdr);
	const __be32 *from = (const __be32 *)ends->from.address;
	const void *end = frame_end(ctx);
	struct iphdr *ip = find_header(ctx, layout);
	struct ipv6hdr *ipv6 = (void *)ip;
	struct ports *ports;
	__u16 *checksum;
	__u32 change;
	bool is_udp;

	if (never((void *)ip + least > end))
		return L4LB_MALFORMED; /* all of it has been read */
	is_udp = protocol_in(ip, layout, is_ipv6) == IPPROTO_UDP;
	ports = behind(ip, header_length(layout.header_lengths));
	checksum = (void *)ports + (is_udp ? UDP_SUM_AT : TCP_SUM_AT);
	/* One pointer, so that the verifier knows what has been checked. */
	asm("" : "+r"(checksum));
	if (never((void *)(ports + 1) > end || (void *)(checksum + 1) > end))
		return L4LB_MALFORMED;
	if (is_ipv6) {
		change = write_ipv6_address(ipv6->saddr.s6_addr32, from) +
			 write_ipv6_address(ipv6->daddr.s6_addr32,
					    ends->to.word);
	} else {
		change = fold_once(write_word(&ip->saddr, from[3]) +
				   write_word(&ip->daddr, ends->to.word[3]));
		ip->check = carry_checksum(ip->check, change);
	}
	change += changed(ports->source, ends->from.port) +
		  changed(ports->destination, ends->port);
	ports->source = ends->from.port;
	ports->destination = ends->port;
	carry_transport(checksum, is_udp, change);
	return L4LB_NO_OBJECTION;
}

static __always_inline enum l4lb_verdict
rewrite_ends(struct xdp_md *ctx, union layout layout, const struct ends *ends)
{
	return is_ipv6_in(layout) ? rewrite_ends_of(ctx, layout, true, ends) :
				    rewrite_ends_of(ctx, layout, false, ends);
}

/* The same as a function of its own: a call costs time, but leaves its caller more stack. */
static __noinline int rewrite_ends_apart(struct xdp_md *ctx, __u64 word,
					 const struct ends *ends)
{
	const union layout layout = { .word = word };

	return rewrite_ends(ctx, layout, ends);
}

/*
 * Gives a packet, which has ports, other ends; both addresses are of its family. An ICMP
 * error gets them where it has them.
 */
static __always_inline enum l4lb_verdict write_ends(struct xdp_md *ctx,
						    union layout layout,
						    const struct ends *ends,
						    const bool is_apart)
{
	if (layout.flags & LAYOUT_ERROR)
		return write_destination(ctx, layout, &ends->to, ends->port) ?:
			       write_source(ctx, layout, ends->from.address,
					    ends->from.port);
	return is_apart ? rewrite_ends_apart(ctx, layout.word, ends) :
			  rewrite_ends(ctx, layout, ends);
}

static __always_inline bool read_ends(struct xdp_md *ctx, union layout layout,
				      struct ends *ends)
{
	return is_ipv6_in(layout) ? read_ends_of(ctx, layout, true, ends) :
				    read_ends_of(ctx, layout, false, ends);
}

#endif
#endif
