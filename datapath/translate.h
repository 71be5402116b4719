/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Puts another address and port into one end of a packet, for nat: a client's packet gets
 * its destination's, and an answer gets the service's back (answers.h). Each checksum is
 * carried over the change (RFC 1624): if it was right it stays right, and if it was wrong
 * it stays wrong by as much. It keeps no state.
 *
 * An ICMP error is about a packet of the other direction. Its quote has the same end on
 * the other side, and changes too: its address and port, the checksums in it, and the
 * checksum of the ICMP message around it. The error's own address changes only where it
 * is the one that changes in the quote: a router keeps its address.
 *
 * A fragment has no ports, so it can only get another address. The checksum of TCP or UDP
 * is in the first fragment.
 */
#ifndef TRANSLATE_H
#define TRANSLATE_H

#include "link.h"
#include "parse.h"
#include "quote.h"
#include "sums.h"

#ifdef L4LB_HOST

/*
 * Where the parts of a packet lie, and what is to be done with it: in one word, because the
 * packet itself stays in registers.
 */
union layout {
	__u64 word;
	struct {
		__u32 header_lengths; /* as in struct packet */
		__u16 id; /* of the destination that full-nat sends it to; 0: it may be an answer */
		/* Of an ICMP error that of the packet it quotes; 0: the IPv4 header's. */
		__u8 protocol;
		__u8 flags;
	};
};

#define LAYOUT_PORTS 1 /* it has ports, or its quote has */
#define LAYOUT_SUM 2 /* and the checksum of TCP or UDP */
#define LAYOUT_SHORT 4 /* a first fragment that ends before that checksum */
#define LAYOUT_ERROR 8 /* an ICMP error */
#define LAYOUT_IPV6 16
#define LAYOUT_TAG 32 /* as often as there are VLAN tags */

/* More than six extension headers take, and two of them stay within what the verifier knows. */
#define MOST_HEADERS 0x3fff

#define TCP_SUM_AT 16
#define UDP_SUM_AT 6

/*
 * Returns where something lies behind a header. Without the asm, clang adds up all lengths
 * anew for each access, and the verifier does not know the bounds of such a sum.
 */
static __always_inline void *behind(void *header, __u32 length)
{
	void *at = header + within(length, MOST_HEADERS);

	asm("" : "+r"(at));
	return at;
}

static __always_inline bool is_ipv6_in(union layout layout)
{
	return layout.flags & LAYOUT_IPV6;
}

static __always_inline __u8 tags_in(union layout layout)
{
	return layout.flags / LAYOUT_TAG;
}

static __always_inline void *find_header(struct xdp_md *ctx,
					 union layout layout)
{
	void *ip = behind_link(frame_start(ctx), tags_in(layout));

	asm("" : "+r"(ip));
	return ip;
}

static __always_inline bool is_ipv4_mapped(const __be32 *address)
{
	return !address[0] && !address[1] && address[2] == bpf_htonl(0xffff);
}

static __always_inline __u32 header_length(__u32 lengths)
{
	return lengths & 0xffff;
}

static __always_inline __u32 quoted_header_length(__u32 lengths)
{
	return lengths >> 16;
}

static __always_inline __u32 end_of_sum(__u8 protocol)
{
	return sizeof(__u16) +
	       (protocol == IPPROTO_TCP ? TCP_SUM_AT : UDP_SUM_AT);
}

static __always_inline __u8 flags_of(const struct packet *packet)
{
	__u32 needed = header_length(packet->header_length) +
		       end_of_sum(packet->protocol);
	__u8 flags = packet->tags * LAYOUT_TAG +
		     (packet->version == 6 ? LAYOUT_IPV6 : 0) +
		     (packet->is_fragment ? 0 : LAYOUT_PORTS);

	if (packet->is_error) {
		flags |= LAYOUT_ERROR;
		needed += sizeof(struct icmp) +
			  quoted_header_length(packet->header_length);
	} else if (!packet->is_fragment) {
		/* The parser has seen that its whole header is there. */
		return flags | LAYOUT_SUM;
	}
	if (packet->is_later)
		return flags;
	if (packet->length >= needed)
		return flags | LAYOUT_SUM;
	return packet->is_error ? flags : LAYOUT_SHORT;
}

/* A plain packet's is a constant: what is not kept for it needs no register. */
static __always_inline __u64 layout_of(const struct packet *packet, __u16 id)
{
	const union layout plain = {
		.header_lengths = sizeof(struct iphdr),
		.id = id,
		.flags = LAYOUT_PORTS | LAYOUT_SUM,
	};
	const union layout layout = {
		.header_lengths = packet->header_length,
		.id = id,
		.protocol = packet->protocol,
		.flags = flags_of(packet),
	};

	return packet->is_plain ? plain.word : layout.word;
}

/*
 * The parser reaches a packet by so many paths that the verifier would follow each of them
 * through everything behind it. It forgets what it knows of bytes that are written one by
 * one, and read as a word.
 */
static __always_inline __u64 forget(__u64 layout)
{
	const union layout known = { .word = layout };
	volatile union layout forgotten;

	forgotten.header_lengths = known.header_lengths;
	forgotten.id = known.id;
	forgotten.protocol = known.protocol;
	forgotten.flags = known.flags;
	return forgotten.word;
}

/* Folds a sum of words once, so that several of them fit into 32 bits. */
static __always_inline __u32 fold_once(__u64 sum)
{
	return (sum & 0xffff) + (sum >> 16);
}

/*
 * Carries a checksum over a change of what it covers: a sum of the new words and of the
 * complements of the old ones. The result is never 0xffff, because 0xffff, which changes
 * nothing, keeps the sum from being 0. The sum plus itself with its halves swapped has its
 * fold in the upper half.
 */
static __always_inline __u16 carry_checksum(__u16 checksum, __u32 change)
{
	const __u32 sum = (__u16)~checksum + change + 0xffff;

	return ~(sum + (sum << 16) + (sum >> 16)) >> 16;
}

/* Returns the change of one word under a checksum. */
static __always_inline __u32 changed(__u16 before, __u16 after)
{
	return (__u16)~before + after;
}

static __always_inline __u64 write_word(__be32 *field, __be32 to)
{
	const __u64 change = (__u64)(__u32) ~*field + to;

	*field = to;
	return change;
}

static __always_inline __u32 write_ipv6_address(__be32 *field, const __be32 *to)
{
	return fold_once(
		write_word(&field[0], to[0]) + write_word(&field[1], to[1]) +
		write_word(&field[2], to[2]) + write_word(&field[3], to[3]));
}

/*
 * Writes the address of one end into an IP header whose bytes are there. Returns the
 * change for a pseudo header; `within_header` is that of the whole header's own bytes.
 */
static __always_inline __u32 write_address(void *header, const bool is_ipv6,
					   const bool is_source,
					   const __be32 *to,
					   __u32 *within_header)
{
	struct ipv6hdr *ipv6 = header;
	struct iphdr *ip = header;
	__u32 change;
	__u16 before;

	if (is_ipv6) {
		change = write_ipv6_address(is_source ? ipv6->saddr.s6_addr32 :
							ipv6->daddr.s6_addr32,
					    to);
		*within_header = change;
		return change;
	}
	change = fold_once(
		write_word(is_source ? &ip->saddr : &ip->daddr, to[3]));
	before = ip->check;
	ip->check = carry_checksum(before, change);
	*within_header = change + changed(before, ip->check);
	return change;
}

/*
 * Carries the checksum of TCP or UDP. In UDP 0 says that there is none, and a sum of 0 is
 * written as 0xffff. Returns the change of the checksum's own word.
 */
static __always_inline __u32 carry_transport(__u16 *checksum, const bool is_udp,
					     __u32 change)
{
	const __u16 before = *checksum;
	__u16 after;

	if (is_udp && !before)
		return 0;
	after = carry_checksum(before, change);
	if (is_udp && !after)
		after = 0xffff;
	*checksum = after;
	return changed(before, after);
}

/*
 * Writes the port of one end, and carries the checksum over that and over the change of
 * the address. False if they lie in later buffers of the frame. `within` is the change of
 * the header's own bytes.
 */
static __always_inline bool write_transport(void *header, const void *end,
					    union layout layout, __u8 protocol,
					    const bool is_source, __be16 port,
					    __u32 change, __u32 *within)
{
	struct ports *ports = header;
	__u32 of_port = 0;

	*within = 0;
	if (port) {
		if (header + sizeof(*ports) > end)
			return false;
		if (is_source) {
			of_port = changed(ports->source, port);
			ports->source = port;
		} else {
			of_port = changed(ports->destination, port);
			ports->destination = port;
		}
	}
	*within = of_port;
	if (!(layout.flags & LAYOUT_SUM))
		return true;
	if (protocol == IPPROTO_UDP) {
		if (header + UDP_SUM_AT + sizeof(__u16) > end)
			return false;
		*within += carry_transport(header + UDP_SUM_AT, true,
					   change + of_port);
	} else {
		if (header + TCP_SUM_AT + sizeof(__u16) > end)
			return false;
		*within += carry_transport(header + TCP_SUM_AT, false,
					   change + of_port);
	}
	return true;
}

/* Finds what keeps the packet from getting this address and port. */
static __always_inline enum l4lb_verdict
find_obstacle(union layout layout, const __be32 *to, __be16 port)
{
	if (is_ipv6_in(layout) == is_ipv4_mapped(to))
		return L4LB_OTHER_FAMILY;
	if (layout.flags & LAYOUT_SHORT ||
	    (port && !(layout.flags & LAYOUT_PORTS)))
		return L4LB_FRAGMENT;
	return L4LB_NO_OBJECTION;
}

static __always_inline __u8 protocol_in(const struct iphdr *ip,
					union layout layout, const bool is_ipv6)
{
	return is_ipv6 || layout.protocol ? layout.protocol : ip->protocol;
}

static __always_inline enum l4lb_verdict
rewrite(struct xdp_md *ctx, union layout layout, const __be32 *to, __be16 port,
	const bool is_ipv6, const bool is_source)
{
	const __u32 least = is_ipv6 ? sizeof(struct ipv6hdr) :
				      sizeof(struct iphdr);
	const void *end = frame_end(ctx);
	void *ip = find_header(ctx, layout);
	__u32 change, within;
	void *transport;

	if (never(ip + least > end))
		return L4LB_MALFORMED; /* all of it has been read */
	change = write_address(ip, is_ipv6, is_source, to, &within);
	transport = behind(ip, header_length(layout.header_lengths));
	if (!write_transport(transport, end, layout,
			     protocol_in(ip, layout, is_ipv6), is_source, port,
			     change, &within))
		return L4LB_MALFORMED;
	return L4LB_NO_OBJECTION;
}

static __always_inline bool same_ipv6(const struct in6_addr *one,
				      const struct in6_addr *other)
{
	const __be32 *a = one->s6_addr32, *b = other->s6_addr32;

	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

/* Tells whether one end of a packet has the same address as the other end of another one. */
static __always_inline bool faces(const void *header, const void *other,
				  const bool is_ipv6, const bool is_source)
{
	const struct ipv6hdr *ipv6 = header, *other_ipv6 = other;
	const struct iphdr *ip = header, *other_ip = other;

	if (!is_ipv6)
		return is_source ? ip->saddr == other_ip->daddr :
				   ip->daddr == other_ip->saddr;
	return is_source ? same_ipv6(&ipv6->saddr, &other_ipv6->daddr) :
			   same_ipv6(&ipv6->daddr, &other_ipv6->saddr);
}

static __always_inline enum l4lb_verdict
rewrite_error(struct xdp_md *ctx, union layout layout, const __be32 *to,
	      __be16 port, const bool is_ipv6, const bool is_source)
{
	const __u32 least = is_ipv6 ? sizeof(struct ipv6hdr) :
				      sizeof(struct iphdr);
	const void *end = frame_end(ctx);
	void *ip = find_header(ctx, layout);
	__u32 change, of_header, of_transport;
	void *quoted, *transport;
	struct icmp *icmp;
	bool is_its_own;

	if (never(ip + least > end))
		return L4LB_MALFORMED;
	icmp = behind(ip, header_length(layout.header_lengths));
	quoted = icmp + 1;
	if (never(quoted + least > end))
		return L4LB_MALFORMED;
	is_its_own = faces(ip, quoted, is_ipv6, is_source);
	change = write_address(quoted, is_ipv6, !is_source, to, &of_header);
	transport = behind(quoted, quoted_header_length(layout.header_lengths));
	if (!write_transport(transport, end, layout, layout.protocol,
			     !is_source, port, change, &of_transport))
		return L4LB_MALFORMED;
	change = of_header + of_transport;
	if (is_its_own) {
		const __u32 of_pseudo =
			write_address(ip, is_ipv6, is_source, to, &of_header);

		if (is_ipv6)
			change += of_pseudo;
	}
	icmp->checksum = carry_checksum(icmp->checksum, change);
	return L4LB_NO_OBJECTION;
}

/*
 * The four are functions of their own: an end that is known needs no decisions, and the
 * path of packets that are not translated stays short.
 */
static __noinline int rewrite_destination(struct xdp_md *ctx, const void *to,
					  __be16 port, __u64 layout)
{
	const union layout where = { .word = layout };
	const enum l4lb_verdict verdict = find_obstacle(where, to, port);

	if (verdict != L4LB_NO_OBJECTION)
		return verdict;
	return is_ipv6_in(where) ? rewrite(ctx, where, to, port, true, false) :
				   rewrite(ctx, where, to, port, false, false);
}

static __noinline int rewrite_source(struct xdp_md *ctx, const void *to,
				     __be16 port, __u64 layout)
{
	const union layout where = { .word = layout };
	const enum l4lb_verdict verdict = find_obstacle(where, to, port);

	if (verdict != L4LB_NO_OBJECTION)
		return verdict;
	return is_ipv6_in(where) ? rewrite(ctx, where, to, port, true, true) :
				   rewrite(ctx, where, to, port, false, true);
}

static __noinline int rewrite_destination_of_error(struct xdp_md *ctx,
						   const void *to, __be16 port,
						   __u64 layout)
{
	const union layout where = { .word = layout };
	const enum l4lb_verdict verdict = find_obstacle(where, to, port);

	if (verdict != L4LB_NO_OBJECTION)
		return verdict;
	return is_ipv6_in(where) ?
		       rewrite_error(ctx, where, to, port, true, false) :
		       rewrite_error(ctx, where, to, port, false, false);
}

static __noinline int rewrite_source_of_error(struct xdp_md *ctx,
					      const void *to, __be16 port,
					      __u64 layout)
{
	const union layout where = { .word = layout };
	const enum l4lb_verdict verdict = find_obstacle(where, to, port);

	if (verdict != L4LB_NO_OBJECTION)
		return verdict;
	return is_ipv6_in(where) ?
		       rewrite_error(ctx, where, to, port, true, true) :
		       rewrite_error(ctx, where, to, port, false, true);
}

/* Writes the address where a packet goes, and the port if it is not 0. */
static __always_inline enum l4lb_verdict write_destination(struct xdp_md *ctx,
							   union layout layout,
							   const void *to,
							   __be16 port)
{
	return layout.flags & LAYOUT_ERROR ?
		       rewrite_destination_of_error(ctx, to, port,
						    layout.word) :
		       rewrite_destination(ctx, to, port, layout.word);
}

/* Writes the address that a packet comes from, and the port if it is not 0. */
static __always_inline enum l4lb_verdict write_source(struct xdp_md *ctx,
						      union layout layout,
						      const void *to,
						      __be16 port)
{
	return layout.flags & LAYOUT_ERROR ?
		       rewrite_source_of_error(ctx, to, port, layout.word) :
		       rewrite_source(ctx, to, port, layout.word);
}

/* Gives a packet its destination's address, and its port if that has one. */
static __always_inline enum l4lb_verdict
translate(struct xdp_md *ctx, const struct packet *packet,
	  const struct l4lb_destination *destination)
{
	const __u64 word = layout_of(packet, 0);
	const union layout layout = {
		.word = packet->is_plain ? word : forget(word),
	};

	/* The packet knows whether it is an error: so one function is enough for a plain one. */
	return packet->is_error ?
		       rewrite_destination_of_error(ctx, destination->address,
						    destination->port,
						    layout.word) :
		       rewrite_destination(ctx, destination->address,
					   destination->port, layout.word);
}

#else

/* A SmartNIC has no room for this. */
#define translate(ctx, packet, destination) L4LB_NO_OBJECTION

#endif
#endif
