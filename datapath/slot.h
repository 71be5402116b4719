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
#include "maps.h"
#include "names.h"
#include "parse.h"
#include "service.h"

/* Returns the hash that chooses the slot and everything else that is fixed for a flow. */
static __always_inline __u32 hash_of_flow(const struct l4lb_device *device,
					  const struct packet *packet,
					  union target target)
{
	const __be32 ports =
		target.flags & L4LB_CELL_HASH_SOURCE ? 0 : packet->ports;
	const __u32 source =
		fold(device->slot_seed, packet->source.word, packet->version);

	return mix(device->slot_seed, source, ports);
}

/* Returns the slot in the upper 16 bits. A hot slot is then negative, which is free to test. */
static __always_inline __s64 read_slot(const struct l4lb_quad *quad, __u32 slot)
{
	return read_word(quad) << (~slot % L4LB_QUAD * 16);
}

static __always_inline const struct l4lb_destination *
find_destination(const struct xdp_md *ctx, const struct l4lb_device *device,
		 const struct packet *packet, union target target, __u32 flow,
		 __u32 *id, __be32 *names)
{
	/* 64 bits wide, because a service with one slot shifts all 32 out. */
	const __u32 slot = target.first_slot + ((__u64)flow >> target.shift);
	const __u32 key = slot / L4LB_QUAD;
	const struct l4lb_quad *quad;
	__s64 found;

	quad = lookup(&slots, &key);
	if (!quad)
		return NULL;
	found = read_slot(quad, slot);
	*id = (__u64)found >> 48;
	*names = 0;
	if (found < 0) {
		*id &= ~L4LB_HOT;
		if (destinations_decide(target))
			*names = name_previous(packet, target, slot, id);
		else
			*id = follow(ctx, device, packet, target, slot, *id);
	}
	if (!*id)
		return NULL;
	return lookup(&destinations, id);
}

#endif
