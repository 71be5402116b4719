/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Two hashes: one of a flow, one of a way into a service. They are the same in every
 * build and in src/wire/hash.ts; test/unit/wire/hash.test.ts has vectors for them.
 *
 * mix() finds the slot of a packet, and must spread any set of sources evenly. Each
 * round multiplies, which carries a word's entropy upwards, and folds the upper half
 * down again. The last round needs no fold, because the upper bits choose the slot,
 * and they depend on every bit of the input. It takes three multiplications of 32
 * bits: a SmartNIC has nothing wider, and jhash takes twice as long.
 *
 * hash_of_way() finds the cell of a service, and everything else waits for it. It
 * does not have to be good, because the tools look for a seed that suits the few ways
 * in use. It takes the upper bits of two multiplications that run side by side.
 *
 * The words are wire fields as they lie in memory, read as little-endian, so that
 * common machines swap nothing and all machines agree.
 */
#ifndef HASH_H
#define HASH_H

#include <asm/byteorder.h>

#include "platform/platform.h"

static __always_inline __u32 mix(__u32 seed, __u32 first, __u32 second)
{
	__u32 h = seed;

	h = (h ^ __le32_to_cpu(first)) * 0x9e3779b1;
	h ^= h >> 15;
	h = (h ^ __le32_to_cpu(second)) * 0x85ebca77;
	h ^= h >> 13;
	return h * 0xc2b2ae3d;
}

/* Makes the lower bits usable: those of a product are worse than its upper bits. */
static __always_inline __u32 even_out(__u32 mixed)
{
	return mixed ^ mixed >> 16;
}

static __always_inline __u32 hash(__u32 seed, __u32 first, __u32 second)
{
	return even_out(mix(seed, first, second));
}

/* Returns a number below 2^bits. The second factor is the seed with its halves swapped. */
static __always_inline __u32 hash_of_way(__u32 seed, __u32 address, __u32 way,
					 __u32 bits)
{
	const __u32 swapped = seed << 16 | seed >> 16;

	return (__le32_to_cpu(address) * seed + __le32_to_cpu(way) * swapped) >>
	       (32 - bits);
}

/* Returns an address as one word: IPv4 as it is, IPv6 hashed. */
static __always_inline __u32 fold(__u32 seed, const __be32 *address,
				  __u8 version)
{
	if (version != 6)
		return address[3];
	return hash(hash(seed, address[0], address[1]), address[2], address[3]);
}

#endif
