/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The destinations decide: whom a packet of a hot slot names.
 *
 * A slot that moves from A to B is hot. Connections that began before are on A, and each
 * destination knows its own: it has their sockets. So packets go to B, and their outer
 * source names A: behind a prefix that the operator has set aside, it holds A's number,
 * the last bits of its address. B takes a SYN and what it has a socket for, and sends the
 * rest on to A (programs/l4lb_decap.c). If the slot had moved to A from another
 * destination while it was hot, that one is named second, and A may send on to it.
 *
 * So the balancer writes nothing, keeps no state that a flood could fill, and a packet is
 * as long as in a cold slot. A destination without our program decapsulates such a packet
 * as any other.
 *
 * - Only TCP has sockets to ask for. Fragments have no ports to find them by, and UDP has
 *   no connections: both go to the current destination, or stay on the previous one if
 *   the service says so.
 * - An ICMP error about a TCP connection is named, because its packet is.
 */
#ifndef NAMES_H
#define NAMES_H

#include "maps.h"
#include "parse.h"
#include "service.h"

/* Returns what the outer source of a packet in this slot holds behind its prefix. */
static __always_inline __be32 read_names(__u32 slot)
{
	const __u32 key = slot / L4LB_PAIR;
	const struct l4lb_names *pair = lookup(&names, &key);

	if (never(!pair))
		return 0; /* there is one for each pair */
	return read_word(pair) >> (slot % L4LB_PAIR * 32);
}

static __always_inline __u32 previous_of(__u32 slot, __u32 current)
{
	const struct l4lb_memory *memory = lookup(&memories, &slot);

	if (never(!memory))
		return current; /* there is one for each slot */
	return memory->previous;
}

/* Returns what the outer source of this packet holds behind its prefix, 0 for no names. */
static __always_inline __be32 name_previous(const struct packet *packet,
					    union target target, __u32 slot,
					    __u32 *id)
{
	if (packet->protocol == IPPROTO_TCP && !packet->is_fragment)
		return read_names(slot);
	if (target.flags & L4LB_CELL_UDP_STAYS)
		*id = previous_of(slot, *id);
	return 0;
}

#endif
