/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The platform of a process on this machine: see platform.h. The process puts each frame
 * into its memory with room in front of it, and fills the tables before the first frame.
 *
 * Under AddressSanitizer, an access outside the frame's own bytes is an error, as it is
 * in the kernel.
 */
#ifndef PLATFORM_NATIVE_H
#define PLATFORM_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Replaces the kernel's context, whose addresses have 32 bits and mean nothing here. */
#define xdp_md xdp_md_of_bpf
#include <linux/bpf.h>
#undef xdp_md
#include <linux/types.h>

#include "native_map.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif

struct xdp_md {
	void *data;
	void *data_end;
	void *room; /* where the memory in front of the frame begins */
	__u32 length; /* of the whole frame; bytes beyond data_end are elsewhere */
};

#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define OPEN(from, bytes) __asan_unpoison_memory_region(from, bytes)
#define CLOSE(from, bytes) __asan_poison_memory_region(from, bytes)
#else
#define OPEN(from, bytes) ((void)0)
#define CLOSE(from, bytes) ((void)0)
#endif

#define frame_start(ctx) ((ctx)->data)
#define frame_end(ctx) ((ctx)->data_end)
#define frame_length(ctx) ((ctx)->length)

/* The kernel never cuts a frame below an Ethernet header. */
#define LEAST_FRAME 14

static __always_inline bool grow_head(struct xdp_md *ctx, __u32 bytes)
{
	if (ctx->data - ctx->room < bytes)
		return false;
	ctx->data -= bytes;
	ctx->length += bytes;
	OPEN(ctx->data, bytes);
	return true;
}

static __always_inline bool cut_head(struct xdp_md *ctx, __u32 bytes)
{
	if (ctx->data_end - ctx->data < bytes + LEAST_FRAME)
		return false;
	CLOSE(ctx->data, bytes);
	ctx->data += bytes;
	ctx->length -= bytes;
	return true;
}

/* Cuts the last buffers first. The process keeps those, and sees the new `length`. */
static __always_inline bool cut_tail(struct xdp_md *ctx, __u32 bytes)
{
	const __u32 here = ctx->data_end - ctx->data;
	const __u32 elsewhere = ctx->length - here;

	if (ctx->length < bytes + LEAST_FRAME)
		return false;
	ctx->length -= bytes;
	if (bytes > elsewhere) {
		ctx->data_end -= bytes - elsewhere;
		CLOSE(ctx->data_end, bytes - elsewhere);
	}
	return true;
}

#define INGRESS 1 /* the loopback device, as in a test run of the kernel */
#define ingress(ctx) INGRESS

/* The process has no routes, so everything passes to the host. */
static __always_inline bool find_route(const struct xdp_md *ctx,
				       const struct bpf_fib_lookup *route)
{
	(void)ctx;
	(void)route;
	return false;
}

/* The process provides these. */
__u64 coarse_nanoseconds(void);
__u64 ticks(void);
__u32 random_word(void);

static __always_inline __u64 sum_words(const void *bytes, __u32 length)
{
	__u64 sum = 0;
	__u32 word;

	for (__u32 at = 0; at < length; at += sizeof(word)) {
		memcpy(&word, bytes + at, sizeof(word));
		sum += word;
	}
	return sum;
}

#define PROGRAM __attribute__((visibility("default")))
#define LICENSE _Static_assert(1, "no kernel asks for one")

/* With L4LB_PROVE the process ends if something that the verifier is told is not true. */
#ifdef L4LB_PROVE
void proved_wrong(const char *what, const char *file, int line)
	__attribute__((noreturn));

#define never(condition) \
	((condition) ? (proved_wrong(#condition, __FILE__, __LINE__), 1) : 0)
#define within(value, mask)                                                  \
	(((value) & ~(mask)) ? (proved_wrong(#value " is not within " #mask, \
					     __FILE__, __LINE__),            \
				(value)) :                                   \
			       (value))
#else
#define never(condition) __builtin_expect(!!(condition), 0)
#define within(value, mask) ((value) & (mask))
#endif

#endif
