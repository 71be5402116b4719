/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Step 1 for ICMP errors: a router reports that it could not forward a packet, and
 * quotes the beginning of that packet. Our destinations send from the service's
 * address, so the error comes here. It must go to the destination that has the
 * connection.
 *
 * The quoted packet went in the other direction: its source is our service, its
 * destination the client. With the two swapped, all later steps find the same slot
 * as for the client's packets.
 */
#ifndef QUOTE_H
#define QUOTE_H

#include "parse.h"
#include "platform/platform.h"

#define ICMP_UNREACHABLE 3
#define ICMP_ECHO_REQUEST 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER_PROBLEM 12
#define ICMPV6_FIRST_ERROR 1 /* 1 to 4: unreachable, big, time, parameter */
#define ICMPV6_LAST_ERROR 4
#define ICMPV6_ECHO_REQUEST 128

struct icmp {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 rest;
};

/* RFC 792: at least this many bytes follow the quoted header. */
#define QUOTED_BYTES 8

static __always_inline bool is_icmp_error(const struct packet *packet,
					  __u8 type)
{
	if (packet->version == 6)
		return type >= ICMPV6_FIRST_ERROR && type <= ICMPV6_LAST_ERROR;
	return type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED ||
	       type == ICMP_PARAMETER_PROBLEM;
}

static __always_inline bool is_icmp(const struct packet *packet)
{
	return packet->protocol ==
	       (packet->version == 6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

static __always_inline bool same_address(const struct address *one,
					 const struct address *other)
{
	return one->word[0] == other->word[0] &&
	       one->word[1] == other->word[1] &&
	       one->word[2] == other->word[2] && one->word[3] == other->word[3];
}

/* Returns the ICMP header, or NULL unless the whole packet is here. */
static __always_inline struct icmp *parse_icmp(const struct cursor *cursor,
					       const struct packet *packet)
{
	struct icmp *icmp = cursor->at;

	if (!is_icmp(packet) || packet->is_fragment ||
	    packet->length > room(packet) ||
	    packet->length < packet->header_length + sizeof(*icmp) ||
	    (void *)(icmp + 1) > cursor->end)
		return NULL;
	return icmp;
}

/*
 * The cursor stands at the ICMP header. A quoted packet that cannot be parsed is no
 * reason to drop the error: the host may know better.
 */
static __always_inline enum l4lb_verdict parse_quote(struct cursor *cursor,
						     struct packet *packet)
{
	struct packet quoted = { .frame_length = packet->frame_length };
	const struct icmp *icmp = parse_icmp(cursor, packet);
	enum l4lb_verdict verdict;
	__u32 quoted_length;

	if (!icmp || !is_icmp_error(packet, icmp->type))
		return L4LB_NOT_TCP_OR_UDP;
	cursor->at += sizeof(*icmp);
	if (packet->version == 6)
		verdict = parse_ipv6(cursor, &quoted);
	else
		verdict = parse_ipv4(cursor, &quoted);
	if (verdict != L4LB_NO_OBJECTION ||
	    (quoted.protocol != IPPROTO_TCP && quoted.protocol != IPPROTO_UDP))
		return L4LB_NOT_TCP_OR_UDP;
	if (!same_address(&quoted.source, &packet->address))
		return L4LB_NOT_TCP_OR_UDP;

	quoted_length = packet->length - packet->header_length - sizeof(*icmp);
	if (!quoted.is_fragment) {
		const struct ports *ports = cursor->at;

		if (quoted_length < quoted.header_length + QUOTED_BYTES ||
		    cursor->at + QUOTED_BYTES > cursor->end)
			return L4LB_NOT_TCP_OR_UDP;
		((struct ports *)&packet->ports)->source = ports->destination;
		((struct ports *)&packet->ports)->destination = ports->source;
	} else if (quoted_length < quoted.header_length) {
		return L4LB_NOT_TCP_OR_UDP;
	}
	packet->source = quoted.address;
	packet->address = quoted.source;
	packet->protocol = quoted.protocol;
	packet->is_fragment = quoted.is_fragment;
	packet->is_later = quoted.is_later;
	packet->header_length |= quoted.header_length << 16;
	packet->is_error = true;
	return L4LB_NO_OBJECTION;
}

#endif
