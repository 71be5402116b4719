/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The platform of the kernel, and of cards that take its programs: see platform.h. */
#ifndef PLATFORM_BPF_H
#define PLATFORM_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>

#define frame_start(ctx) ((void *)(long)(ctx)->data)
#define frame_end(ctx) ((void *)(long)(ctx)->data_end)

/*
 * A frame that one buffer cannot hold comes in several. Its headers are in the first
 * buffer, and only frame_length() looks at the others.
 */
#ifdef L4LB_FRAGS
#define PROGRAM SEC("xdp.frags")
#define frame_length(ctx) bpf_xdp_get_buff_len(ctx)
#else
#define PROGRAM SEC("xdp")
#define frame_length(ctx) (frame_end(ctx) - frame_start(ctx))
#endif

#define grow_head(ctx, bytes) (!bpf_xdp_adjust_head(ctx, -(int)(bytes)))
#define cut_head(ctx, bytes) (!bpf_xdp_adjust_head(ctx, bytes))
#define cut_tail(ctx, bytes) (!bpf_xdp_adjust_tail(ctx, -(int)(bytes)))

/* Declares sizes instead of types: an offloaded map cannot have type information. */
#define MAP(name, kind, entries, key, value)  \
	struct {                              \
		__uint(type, kind);           \
		__uint(max_entries, entries); \
		__uint(key_size, key);        \
		__uint(value_size, value);    \
	} name SEC(".maps")

typedef void *map_ref;

#define lookup(map, key) bpf_map_lookup_elem(map, key)
#define find(map, key) bpf_map_lookup_elem(map, key)

/* The action that sends the frame by a device of a map; XDP_DROP if the map has none. */
#define redirect(map, number) bpf_redirect_map(map, number, XDP_DROP)

/* The device that the frame came in on. */
#define ingress(ctx) ((ctx)->ingress_ifindex)
/* False if there is no route, no neighbour, or the packet would have to be fragmented. */
#define find_route(ctx, route) \
	(!bpf_fib_lookup(ctx, route, sizeof(*(route)), 0))

#define coarse_nanoseconds() bpf_ktime_get_coarse_ns()
#define ticks() bpf_jiffies64()
#define random_word() bpf_get_prandom_u32()

/* Only for the host: a card has no bpf_csum_diff(). */
static __always_inline __u64 sum_words(void *bytes, __u32 length)
{
	return (__u32)bpf_csum_diff(NULL, 0, bytes, length, 0);
}

#define LICENSE char license_name[] SEC("license") = "Dual BSD/GPL"

#define never(condition) (condition)
#define within(value, mask) ((value) & (mask))

#endif
