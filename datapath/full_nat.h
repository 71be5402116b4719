/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Full-nat: a packet gets its destination's address and port in place of the service's, and
 * an address and port of ours in place of the client's. So its destination needs nothing
 * but a way back to that address, and does not see the client. ports.h keeps who has which
 * port, and what a destination sends to it becomes an answer to the client: answers.h.
 *
 * A connection keeps the destination that it began with, wherever its slot has moved since,
 * for as long as that is one of the service's and not forgotten.
 *
 * All this is off the path of other packets, in functions that l4lb_2 calls when it has let
 * the packet go: the deepest calls of any_packet() leave no room for it on the stack.
 */
#ifndef FULL_NAT_H
#define FULL_NAT_H

#include "clock.h"
#include "counters.h"
#include "forward.h"
#include "leave.h"
#include "ports.h"

#ifdef L4LB_HOST

/* Reads what a segment tells; a packet that is none, or an ICMP error, tells nothing. */
static __always_inline struct said
read_said(struct xdp_md *ctx, union layout layout, const struct ends *ends)
{
	struct said said = {};
	const struct tcphdr *tcp;
	const __u8 *bytes;

	if (ends->from.protocol != IPPROTO_TCP || layout.flags & LAYOUT_ERROR)
		return said;
	tcp = behind(find_header(ctx, layout),
		     header_length(layout.header_lengths));
	bytes = (const __u8 *)tcp;
	if (never((void *)(tcp + 1) > frame_end(ctx)))
		return said; /* the parser has seen all of it */
	said.sequence = bpf_ntohl(tcp->seq);
	said.acknowledges = bpf_ntohl(tcp->ack_seq);
	said.flags = bytes[TCP_FLAG_BYTE];
	return said;
}

/* Returns the entry of a connection's destination, if the service still has it. */
static __always_inline const struct l4lb_destination *
still_there(const struct l4lb_port *port, __u16 service)
{
	const __u32 id = port->destination;
	const struct l4lb_destination *found = lookup(&destinations, &id);

	return found && keeps_connections(found, service) &&
			       found->forward == L4LB_FULL_NAT ?
		       found :
		       NULL;
}

/*
 * Tells whether a packet that may begin a connection goes to another destination than the
 * one on record. Anyone can forge a RST or a FIN of the client, and a SYN after it: so it
 * does not while the connection may still be alive. If it is not, the destination on
 * record takes a new one, too, and note_answer() sees that.
 */
static __always_inline bool
begins_anew(const struct l4lb_destination *destination, union claim claim)
{
	const __u16 ends = L4LB_CLAIM_CLIENT_FIN | L4LB_CLAIM_SERVER_FIN;
	const __u16 state = claim.fields.state;

	return !destination || (state & ends) == ends ||
	       (!(state & L4LB_CLAIM_ESTABLISHED) && !destination->weight);
}

/*
 * Finds the port of a client's packet, or takes one, and the entry of its destination: of
 * the slot's, unless the connection has another one.
 */
static __always_inline enum l4lb_verdict
assign_port(struct xdp_md *ctx, union layout layout, const struct ends *ends,
	    const struct place *place,
	    const struct l4lb_destination **destination, __u32 *id,
	    __u32 *number)
{
	const __u32 now = this_second() >> L4LB_SEEN_SHIFT;
	const struct said said = read_said(ctx, layout, ends);
	const bool is_error = layout.flags & LAYOUT_ERROR;
	const bool may_begin =
		!is_error &&
		(ends->from.protocol == IPPROTO_UDP || is_syn(&said));
	const struct found found = find_port(ends, place);
	const struct l4lb_destination *own;
	union claim claim;

	if (!found.port) {
		if (!may_begin)
			return L4LB_NO_CONNECTION;
		return take_port(ends, place, *id, now, number) ?
			       L4LB_NO_OBJECTION :
			       L4LB_NO_PORT;
	}
	*number = found.number;
	claim = read_claim(found.claim);
	if (claim.fields.signature != place->signature)
		return L4LB_NO_PORT; /* another connection has just taken it */
	own = still_there(found.port, (*destination)->service);
	if (may_begin && begins_anew(own, claim)) {
		found.port->destination = *id;
		note(found.claim, claim.fields.signature,
		     L4LB_CLAIM_READY | (claim.fields.state & L4LB_CLAIM_TCP),
		     ~0, now);
		return L4LB_NO_OBJECTION;
	}
	if (!own)
		return L4LB_NO_CONNECTION;
	if (!is_error)
		note_client(found.port, found.claim, claim, &said, now);
	*destination = own;
	*id = found.port->destination;
	return L4LB_NO_OBJECTION;
}

/* Sends a client's packet from a port of ours. Its MAC addresses come last. */
static __always_inline enum l4lb_verdict
send_from_port(struct xdp_md *ctx, const struct l4lb_device *device,
	       union layout layout, __u32 *id, __u64 *length, int *action)
{
	const struct l4lb_destination *destination = lookup(&destinations, id);
	enum l4lb_verdict verdict;
	struct ends ends = {};
	const __u8 *source;
	struct place place;
	__u32 number;

	if (never(!destination))
		return L4LB_EMPTY_SLOT;
	verdict = find_obstacle(layout, (const __be32 *)destination->address,
				L4LB_FIRST_PORT);
	if (verdict != L4LB_NO_OBJECTION)
		return verdict;
	if (never(!read_ends(ctx, layout, &ends)))
		return L4LB_MALFORMED;
	place = place_of(&ends, destination);
	source = destination->source_address;
	verdict = assign_port(ctx, layout, &ends, &place, &destination, id,
			      &number);
	if (verdict != L4LB_NO_OBJECTION)
		return verdict;
	if (!find_exit(destination, action))
		return L4LB_EXIT_GONE;
	/* A connection's own destination may be of the service's other family. */
	if (is_ipv6_in(layout) ==
		    is_ipv4_mapped((const __be32 *)destination->address) ||
	    is_ipv6_in(layout) == is_ipv4_mapped((const __be32 *)source))
		return L4LB_OTHER_FAMILY;
	__builtin_memcpy(ends.from.address, source, sizeof(ends.from.address));
	*(__be32 *)&ends.from.address[12] |= bpf_htonl(place.block);
	ends.from.port = bpf_htons(L4LB_FIRST_PORT | number % L4LB_BLOCK_PORTS);
	__builtin_memcpy(&ends.to, destination->address, sizeof(ends.to));
	if (destination->port)
		ends.port = destination->port;
	verdict = write_ends(ctx, layout, &ends, false) ?:
			  readdress(ctx, device, destination);
	if (verdict != L4LB_NO_OBJECTION || !destination->exit)
		return verdict;
	*length = leave_by(ctx, tags_in(layout), destination->exit, *length);
	return *length ? L4LB_BALANCED : L4LB_NO_ROOM;
}

/*
 * Counts the packet and returns its action. It is not static, so that the verifier looks at
 * it once, and not again for each of the many ways by which the parser reaches a packet.
 */
__noinline int full_nat(struct xdp_md *ctx, __u64 word)
{
	const struct l4lb_device *device = this_device();
	const union layout layout = { .word = word };
	__u64 length = frame_length(ctx);
	const __u64 came_with = length;
	enum l4lb_verdict verdict;
	int action = XDP_TX;
	__u32 id = layout.id;

	if (never(!device))
		return XDP_PASS;
	verdict = send_from_port(ctx, device, layout, &id, &length, &action);
	if (verdict == L4LB_BALANCED) {
		count(&counters, id, length);
		return action;
	}
	count(&verdicts, verdict, came_with);
	return verdict < L4LB_FIRST_DROP ? XDP_PASS : XDP_DROP;
}

/* Returns the number of the port that an address and port of a pool have, or NO_NUMBER. */
static __always_inline __u32 number_of(const struct address *address,
				       __u8 version, __be16 port)
{
	const struct l4lb_pools *found;
	const __u32 last = bpf_ntohl(address->word[3]);
	const __u32 only = 0;
	__u32 place;

	if (!(port & bpf_htons(L4LB_FIRST_PORT)))
		return NO_NUMBER;
	found = lookup(&pools, &only);
	if (never(!found))
		return NO_NUMBER;
#pragma clang loop unroll(disable)
	for (place = 0; place < L4LB_MOST_POOLS; place++) {
		const struct l4lb_pool *pool = &found->pools[place];
		const __u32 differing = last ^ bpf_ntohl(pool->last);

		if (!pool->version)
			break;
		if (pool->version == version &&
		    !(differing >> (pool->host_bits & 31)) &&
		    (version != 6 || (address->word[0] == pool->upper[0] &&
				      address->word[1] == pool->upper[1] &&
				      address->word[2] == pool->upper[2])))
			return (pool->first_block + differing) *
				       L4LB_BLOCK_PORTS +
			       bpf_ntohs(port) % L4LB_BLOCK_PORTS;
	}
	return NO_NUMBER;
}

/* Tells whether a packet comes from where the connection of a port was sent to. */
static __always_inline bool is_from(const struct l4lb_destination *destination,
				    const struct l4lb_port *port,
				    const struct ends *ends)
{
	const struct address *address =
		(const struct address *)destination->address;

	return destination->forward == L4LB_FULL_NAT && destination->service &&
	       ends->from.protocol == port->protocol &&
	       ends->from.port == (destination->port ?: port->service_port) &&
	       same_address(address,
			    (const struct address *)ends->from.address);
}

/*
 * Turns a packet to one of our ports into an answer to the client that has it; NOT_OURS if
 * nobody has it, or if it is not from that client's destination. If the port gets another
 * connection meanwhile, the packet may be taken for one of that: it is dropped.
 */
static __always_inline enum l4lb_verdict
turn_back_to_client(struct xdp_md *ctx, union layout layout, __u32 number,
		    struct ends *ends)
{
	const __u32 now = this_second() >> L4LB_SEEN_SHIFT;
	const struct l4lb_destination *destination;
	union claim claim, after;
	enum l4lb_verdict verdict;
	struct l4lb_port *port;
	struct said said;
	__u64 *where;
	__u32 id;

	port = lookup(&ports, &number);
	where = claim_of(number);
	if (!port || !where)
		return L4LB_NOT_OURS;
	claim = read_claim(where);
	id = port->destination;
	destination = lookup(&destinations, &id);
	if (!(claim.fields.state & L4LB_CLAIM_READY) || !destination ||
	    !is_from(destination, port, ends))
		return L4LB_NOT_OURS;
	/* Nothing may be written if the other end cannot be. */
	if (is_ipv6_in(layout) == is_ipv4_mapped((const __be32 *)port->client))
		return L4LB_NOT_OURS;
	if (!(layout.flags & LAYOUT_ERROR)) {
		said = read_said(ctx, layout, ends);
		note_answer(port, where, claim, &said, now);
	}
	__builtin_memcpy(ends->from.address, port->address,
			 sizeof(ends->from.address));
	/* Port 0 stays what it is, as it does in an ICMP error. */
	ends->from.port = port->service_port ?: ends->from.port;
	__builtin_memcpy(&ends->to, port->client, sizeof(ends->to));
	ends->port = port->client_port ?: ends->port;
	after = read_claim(where);
	if (after.fields.signature != claim.fields.signature ||
	    !(after.fields.state & L4LB_CLAIM_READY))
		return L4LB_NO_CONNECTION;
	verdict = write_ends(ctx, layout, ends, true);
	if (verdict != L4LB_NO_OBJECTION)
		return verdict;
	count(&returned, id, frame_length(ctx));
	return L4LB_NO_OBJECTION;
}

#define is_full_nat(destination) ((destination)->forward == L4LB_FULL_NAT)

#else

#define is_full_nat(destination) false

#endif
#endif
