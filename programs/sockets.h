/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose connection is it? A destination knows its connections, because it has their
 * sockets. This decides whether a packet of a hot slot is for this host.
 */
#ifndef DECAP_SOCKETS_H
#define DECAP_SOCKETS_H

#include "datapath/parse.h"
#include "datapath/platform/sockets.h"
#include "datapath/quote.h"

/* A segment may come again, or ahead of others, within a window without scaling. */
#define WINDOW (1 << 16)

enum claim {
	CLAIM_NONE, /* this host has no use for it */
	CLAIM_NO_CONNECTION, /* it may begin one here, or is not of one */
	CLAIM_SOCKET, /* this host has its connection */
};

/*
 * Two hosts may have had connections of the same addresses and ports, one after the other.
 * So a socket that is half-open or in TIME_WAIT has to fit, and so does a listener.
 */
static __always_inline bool fits(const struct socket_seen *socket,
				 const struct tcphdr *tcp)
{
	switch (socket->state) {
	case SOCKET_NONE:
		return false;
	case SOCKET_LISTENS:
		return socket->has_cookie;
	case SOCKET_REQUEST:
		return !tcp || !tcp->ack ||
		       bpf_ntohl(tcp->ack_seq) - 1 == socket->sequence;
	case SOCKET_TIME_WAIT:
		return !tcp ||
		       bpf_ntohl(tcp->seq) - socket->sequence + WINDOW <=
			       2 * WINDOW;
	case SOCKET_OPEN:
		break;
	}
	return true;
}

static __always_inline bool has_socket(struct xdp_md *ctx,
				       const struct packet *packet, void *ip,
				       struct tcphdr *tcp)
{
	struct socket_seen seen = { .state = SOCKET_NONE };
	struct bpf_sock_tuple tuple = {};

	if (packet->version == 4) {
		tuple.ipv4.saddr = packet->source.word[3];
		tuple.ipv4.daddr = packet->address.word[3];
		*(__be32 *)&tuple.ipv4.sport = packet->ports;
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, &packet->source,
				 sizeof(packet->source));
		__builtin_memcpy(tuple.ipv6.daddr, &packet->address,
				 sizeof(packet->address));
		*(__be32 *)&tuple.ipv6.sport = packet->ports;
	}
	find_socket(ctx, &tuple, packet->version, ip, tcp, &seen);
	return fits(&seen, tcp);
}

/* Where an inner packet lies: it was parsed before, and its whole length is in the frame. */
struct place {
	__u32 offset; /* of its IP header in the frame */
	__u32 frame_length;
	__u8 version;
};

/*
 * Tells whether a segment is a SYN, which begins a connection here. The cursor stands
 * behind the IP header. It finds most of them, and quicker than claim_of().
 */
static __always_inline bool is_plain_syn(const struct cursor *cursor,
					 const struct packet *packet)
{
	const struct tcphdr *tcp = cursor->at;

	return packet->protocol == IPPROTO_TCP && !packet->is_fragment &&
	       (const void *)(tcp + 1) <= cursor->end && tcp->syn && !tcp->ack;
}

/*
 * Compiled apart, and not static, so that the verifier looks at it once, and not once for
 * each way in which outer headers can be parsed. Therefore it parses the inner headers
 * again.
 */
__noinline int claim_of(struct xdp_md *ctx, const struct place *place)
{
	struct packet packet = {};
	struct cursor cursor = { .ctx = ctx, .end = frame_end(ctx) };
	enum l4lb_verdict verdict;
	struct tcphdr *tcp;
	void *ip;

	if (never(!place))
		return CLAIM_NO_CONNECTION;
	packet.frame_length = place->frame_length;
	ip = frame_start(ctx) + within(place->offset, 0xff);
	cursor.at = ip;
	if (place->version == 6)
		verdict = parse_ipv6(&cursor, &packet);
	else
		verdict = parse_ipv4(&cursor, &packet);
	if (verdict != L4LB_NO_OBJECTION || packet.is_fragment)
		return CLAIM_NO_CONNECTION;
	if (packet.protocol == IPPROTO_TCP) {
		tcp = cursor.at;
		if (parse_ports(&cursor, &packet) != L4LB_NO_OBJECTION ||
		    never((void *)(tcp + 1) > cursor.end))
			return CLAIM_NO_CONNECTION;
		if (tcp->syn && !tcp->ack)
			return CLAIM_NO_CONNECTION;
		return has_socket(ctx, &packet, ip, tcp) ? CLAIM_SOCKET :
							   CLAIM_NONE;
	}
	/* A router reports an error about a packet of a connection. */
	if (parse_quote(&cursor, &packet) != L4LB_NO_OBJECTION ||
	    packet.protocol != IPPROTO_TCP || packet.is_fragment)
		return CLAIM_NO_CONNECTION;
	return has_socket(ctx, &packet, ip, NULL) ? CLAIM_SOCKET : CLAIM_NONE;
}

#endif
