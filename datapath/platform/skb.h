/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The platform of a program at a device's way out, which gets what the host itself sends as
 * the kernel keeps it: see platform.h. The headers of a frame can be read and written like
 * those of one that comes in.
 */
#ifndef PLATFORM_SKB_H
#define PLATFORM_SKB_H

#include "bpf.h"

#define xdp_md __sk_buff

#undef PROGRAM
#define PROGRAM SEC("tc")
#undef frame_length
#define frame_length(ctx) ((ctx)->len)

/*
 * Makes room for an outer IP header behind the Ethernet header, and tells the kernel which
 * one it will be: it may still have to compute checksums and cut the frame into segments.
 */
#undef grow_head
#define grow_head(ctx, bytes)                                        \
	(!bpf_skb_adjust_room(ctx, bytes, BPF_ADJ_ROOM_MAC,          \
			      (bytes) == sizeof(struct iphdr) ?      \
				      BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 : \
				      BPF_F_ADJ_ROOM_ENCAP_L3_IPV6))

/* What does not exist here. */
#undef cut_head
#undef cut_tail
#undef redirect
#undef ingress
#undef find_route

#endif
