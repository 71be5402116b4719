/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ethernet header and VLAN tags, as they are written in front of a new header. */
#ifndef LINK_H
#define LINK_H

#include "parse.h"

/* A MAC in the tables, read as one word so that it is never half of another. */
union mac {
	__u64 word;
	__u8 bytes[ETH_ALEN];
};

static __always_inline union mac read_mac(const void *where)
{
	const union mac mac = { .word = *(const volatile __u64 *)where };

	return mac;
}

/* Both ends are aligned to 2 bytes at least. */
static __always_inline void write_mac(void *to, const void *from)
{
	*(__u32 *)to = *(const __u32 *)from;
	*(__u16 *)(to + 4) = *(const __u16 *)(from + 4);
}

/* Where the IP header is. The caller checks that it is all there. */
static __always_inline void *behind_link(const struct xdp_md *ctx, __u8 tags)
{
	return (void *)(long)ctx->data + sizeof(struct ethhdr) +
	       (tags & 3) * sizeof(struct vlan_tag);
}

/*
 * The frame has just grown at its head by the length of a header: the tags go to
 * the front, and the new header gets the room behind them. Returns where that is.
 */
static __always_inline void *write_link(struct xdp_md *ctx, __u8 tags,
					__u32 grown, const void *to,
					const void *from, __be16 type)
{
	void *frame = (void *)(long)ctx->data;
	const void *end = (void *)(long)ctx->data_end;
	__u32 *tag = frame + MACS_LENGTH;
	const __u32 *old_tag = frame + grown + MACS_LENGTH;
	void *header;

	/* Never true, and the same below: the verifier wants to see it. */
	if (frame + sizeof(struct ethhdr) + grown > end)
		return NULL;
	write_mac(frame, to);
	write_mac(frame + ETH_ALEN, from);
	if (tags) {
		if ((void *)(old_tag + MOST_VLAN_TAGS) > end)
			return NULL;
		tag[0] = old_tag[0];
		if (tags > 1)
			tag[1] = old_tag[1];
	}
	header = behind_link(ctx, tags);
	if (header + grown > end)
		return NULL;
	*(__be16 *)(header - sizeof(type)) = type;
	return header;
}

#endif
