/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The seam to what runs the programs: the kernel, or a process of this machine that has
 * frames and tables in its memory (L4LB_NATIVE). All else below datapath/ is the same
 * source for both. Each side defines:
 *
 *   struct xdp_md                  a frame on its way through a program
 *   frame_start(ctx), frame_end(ctx)
 *                                  the bytes that can be read and written
 *   frame_length(ctx)              with those in further buffers
 *   grow_head(ctx, bytes), cut_head(ctx, bytes), cut_tail(ctx, bytes)
 *                                  whether that could be done; what was known of the
 *                                  frame's bytes is void afterwards
 *   MAP(name, kind, entries, key_size, value_size)
 *                                  defines a table; kinds are BPF's
 *   lookup(&map, &key)             a value of an array, NULL: there is none
 *   find(&map, &key)               the same of a hash
 *   coarse_nanoseconds()           of CLOCK_MONOTONIC, some milliseconds behind
 *   sum_words(bytes, length)       one's complement sum, not yet folded to 16 bits; length
 *                                  is a multiple of 4, at most 512
 *   PROGRAM                        marks the function that gets the frames
 *   LICENSE                        once in each program
 *
 * and how it takes what is there for the verifier alone:
 *
 *   never(condition)               is never true, which the verifier cannot know
 *   within(value, mask)            the value, none of whose bits are outside the mask
 */
#ifndef PLATFORM_H
#define PLATFORM_H

#ifdef L4LB_NATIVE
#include "native.h"
#else
#include "bpf.h"
#endif

#endif
