/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The seam between the programs and what runs them: the kernel, or a process on this
 * machine that has frames and tables in its memory (L4LB_NATIVE). Everything else in
 * datapath/ is the same source for both. A program that the kernel gives what the host
 * sends (L4LB_SKB) has a part of this. Each platform defines:
 *
 *   struct xdp_md                  a frame on its way through a program
 *   frame_start(ctx), frame_end(ctx)
 *                                  the bytes that can be read and written
 *   frame_length(ctx)              the frame's bytes, including those in later buffers
 *   grow_head(ctx, bytes), cut_head(ctx, bytes), cut_tail(ctx, bytes)
 *                                  return whether they succeeded; afterwards all
 *                                  pointers into the frame are void
 *   MAP(name, kind, entries, key_size, value_size)
 *                                  defines a table; kinds are BPF's
 *   map_ref                        the type of &map
 *   lookup(&map, &key)             returns a value of an array, or NULL
 *   find(&map, &key)               returns a value of a hash, or NULL
 *   ingress(ctx)                   the number of the device that the frame came in on
 *   find_route(ctx, &route)        fills a struct bpf_fib_lookup; false if the host has to
 *                                  send the packet itself
 *   coarse_nanoseconds()           CLOCK_MONOTONIC, some milliseconds behind; it costs
 *                                  less than the exact one. seconds_now() rounds it down
 *   ticks()                        a count that goes on every few milliseconds, and costs
 *                                  nothing to read
 *   random_word()                  32 bits that nobody can predict
 *   sum_words(bytes, length)       one's complement sum, not yet folded to 16 bits; length
 *                                  is a multiple of 4, at most 512
 *   PROGRAM                        marks the function that gets the frames
 *   LICENSE                        stands once in each program
 *
 * Two more only help the verifier; each platform decides what to do with them:
 *
 *   never(condition)               a condition that is never true, which the verifier
 *                                  cannot know
 *   within(value, mask)            the value, which never has bits outside the mask
 */
#ifndef PLATFORM_H
#define PLATFORM_H

#ifdef L4LB_NATIVE
#include "native.h"
#elif defined(L4LB_SKB)
#include "skb.h"
#else
#include "bpf.h"
#endif

static __always_inline __u32 seconds_now(void)
{
	return coarse_nanoseconds() / 1000000000;
}

#endif
