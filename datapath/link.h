/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Writes the Ethernet header: in front of a new header, with VLAN tags, or in place. */
#ifndef LINK_H
#define LINK_H

#include "parse.h"
#include "platform/platform.h"

/* A MAC address as one word, together with the two bytes behind it. */
union mac {
	__u64 word;
	struct {
		__u8 bytes[ETH_ALEN];
		__be16 behind;
	};
};

static __always_inline union mac read_mac(const void *where)
{
	const union mac mac = { .word = read_word(where) };

	return mac;
}

/* Reads a MAC address and puts an EtherType behind it. */
static __always_inline union mac read_mac_before(const void *where, __be16 type)
{
	union mac mac = read_mac(where);

	mac.behind = type;
	return mac;
}

/* Writes an Ethernet header as two overlapping words; the EtherType is behind `from`. */
static __always_inline void write_ethernet(void *frame, union mac to,
					   union mac from)
{
	*(__u64 *)frame = to.word;
	*(__u64 *)(frame + ETH_ALEN) = from.word;
}

/* Returns the place of the IP header. The caller checks that all of it is there. */
static __always_inline void *behind_link(void *frame, __u8 tags)
{
	return frame + sizeof(struct ethhdr) +
	       within(tags, 3) * sizeof(struct vlan_tag);
}

/*
 * Fills the head of a frame that has just grown by the length of a header: the tags
 * move to the front, and the new header gets the room behind them.
 */
static __always_inline bool write_link(struct xdp_md *ctx, __u8 tags,
				       __u32 grown, union mac to,
				       union mac from, void **header)
{
	void *frame = frame_start(ctx);
	const void *end = frame_end(ctx);
	__u32 *tag = frame + MACS_LENGTH;
	const __u32 *old_tag = frame + grown + MACS_LENGTH;

	if (never(frame + sizeof(struct ethhdr) + grown > end))
		return false;
	write_ethernet(frame, to, from);
	*header = frame + sizeof(struct ethhdr);
	if (!tags)
		return true;

	if (never((void *)(old_tag + MOST_VLAN_TAGS) > end))
		return false;
	tag[0] = old_tag[0];
	if (tags > 1)
		tag[1] = old_tag[1];
	*header = behind_link(frame, tags);
	if (never(*header + grown > end))
		return false;
	*(__be16 *)(*header - sizeof(from.behind)) = from.behind;
	return true;
}

/* Writes the MAC addresses of the frame, and leaves the type behind them as it is. */
static __always_inline enum l4lb_verdict
readdress(struct xdp_md *ctx, const struct l4lb_device *device,
	  const struct l4lb_destination *destination)
{
	void *frame = frame_start(ctx);

	if (never(frame + sizeof(struct ethhdr) > frame_end(ctx)))
		return L4LB_NO_ROOM; /* all of it has been read */
	write_ethernet(frame, read_mac(destination->mac),
		       read_mac_before(device->mac,
				       *(__be16 *)(frame + MACS_LENGTH)));
	return L4LB_NO_OBJECTION;
}

#endif
