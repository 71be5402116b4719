/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Steps 3 and 4, slot and destination: the hash of a packet's source address
 * and ports chooses one of its service's slots, and the slot holds the id of
 * the destination.
 */
#ifndef SLOT_H
#define SLOT_H

#include "flows.h"
#include "hash.h"
#include "parse.h"

/* Chooses the slot, and whatever else must be the same for all of a flow. */
static __always_inline __u32 hash_of_flow(const struct l4lb_device *device,
					  const struct packet *packet,
					  union target target)
{
	const __be32 ports =
		target.flags & L4LB_CELL_HASH_SOURCE ? 0 : packet->ports;
	const __u32 source =
		fold(device->slot_seed, packet->source.word, packet->version);

	return hash(device->slot_seed, source, ports);
}

/* The id of its destination, with L4LB_HOT. */
static __always_inline __u16 read_slot(const struct l4lb_quad *quad, __u32 slot)
{
	return read_word(quad) >> slot % L4LB_QUAD * 16;
}

static __always_inline const struct l4lb_destination *
find_destination(const struct xdp_md *ctx, const struct l4lb_device *device,
		 const struct packet *packet, union target target, __u32 flow,
		 __u32 *id)
{
	const __u32 mask = (1U << target.log2_slots) - 1;
	const __u32 slot = target.first_slot + (flow & mask);
	const __u32 key = slot / L4LB_QUAD;
	const struct l4lb_quad *quad;
	__u16 found;

	quad = bpf_map_lookup_elem(&slots, &key);
	if (!quad)
		return NULL;
	found = read_slot(quad, slot);
	*id = found & ~L4LB_HOT;
	if (found & L4LB_HOT)
		*id = follow(ctx, device, packet, target, slot, *id);
	if (!*id)
		return NULL;
	return bpf_map_lookup_elem(&destinations, id);
}

#endif
