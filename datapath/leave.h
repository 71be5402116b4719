/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Some destinations are not reached by the device that packets come in on, but by another
 * one: their exit. The frame gets the MAC address of the exit as its source, and the
 * VLAN tag of the exit in place of the tags that it came with, which mean nothing there.
 *
 * The tools find the exit when they fill the tables. To ask the kernel for each packet
 * takes five times as long as everything else here. A SmartNIC cannot send by another
 * device.
 */
#ifndef LEAVE_H
#define LEAVE_H

#include "link.h"
#include "maps.h"
#include "parse.h"

#ifdef L4LB_HOST

/* Replaces all tags by that of the exit, if it has one. */
static __always_inline bool retag(struct xdp_md *ctx, __u32 tags, union mac to,
				  union mac from, __be16 type)
{
	const __be16 tag = from.behind;
	const __u32 had = tags * sizeof(struct vlan_tag);
	const __u32 has = tag ? sizeof(struct vlan_tag) : 0;
	void *frame;

	if (had > has && !cut_head(ctx, had - has))
		return false;
	if (had < has && !grow_head(ctx, has - had))
		return false;
	frame = frame_start(ctx);
	if (never(frame + sizeof(struct ethhdr) + sizeof(struct vlan_tag) >
		  frame_end(ctx)))
		return false;
	from.behind = tag ? bpf_htons(ETH_P_8021Q) : type;
	write_ethernet(frame, to, from);
	if (!tag)
		return true;
	*(__be16 *)(frame + sizeof(struct ethhdr)) = tag;
	*(__be16 *)(frame + sizeof(struct ethhdr) + sizeof(tag)) = type;
	return true;
}

/* Returns how long the frame becomes, or 0 if it cannot leave; `tags` is how many it has. */
static __noinline __u64 leave_by(struct xdp_md *ctx, __u32 tags, __u32 number,
				 __u64 length)
{
	const struct l4lb_exit *way_out = lookup(&exits, &number);
	void *frame = frame_start(ctx);
	const __be16 *type;
	union mac from;

	if (never(!way_out))
		return 0; /* an entry has only numbers that there are */
	from = read_mac(way_out->mac);
	type = behind_link(frame, tags) - sizeof(*type);
	if (never((void *)(type + 1) > frame_end(ctx) ||
		  frame + sizeof(struct ethhdr) > frame_end(ctx)))
		return 0; /* all of it has been read, or written */
	length += (from.behind ? sizeof(struct vlan_tag) : 0) -
		  tags * sizeof(struct vlan_tag);
	if (tags || from.behind)
		return retag(ctx, tags, read_mac(frame), from, *type) ? length :
									0;
	from.behind = *type;
	*(__u64 *)(frame + ETH_ALEN) = from.word;
	return length;
}

/*
 * Changes the action if the destination has an exit; false if that device is gone. The
 * kernel keeps the device in mind until the program ends, so this can come before the
 * frame changes.
 */
static __always_inline bool
find_exit(const struct l4lb_destination *destination, int *action)
{
	if (!destination->exit)
		return true;
	*action = redirect(&exit_devices, destination->exit);
	return *action == XDP_REDIRECT;
}

/* Gives a frame that is ready but for its exit what it needs there, and returns its length. */
static __always_inline __u64 leave(struct xdp_md *ctx,
				   const struct packet *packet,
				   const struct l4lb_destination *destination,
				   __u64 length)
{
	return destination->exit ?
		       leave_by(ctx, packet->tags, destination->exit, length) :
		       length;
}

#else

static __always_inline bool
find_exit(const struct l4lb_destination *destination, int *action)
{
	(void)destination;
	(void)action;
	return true;
}

#define leave(ctx, packet, destination, length) (length)

#endif
#endif
