/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Two hashes, in every build, in src/wire/hash.ts, and in the vectors of
 * test/unit/wire/hash.test.ts: that of a flow, and that of a way into a service.
 *
 * mix() finds the slot of a packet, and must spread whatever sources come. Each
 * round multiplies, which carries a word's entropy upwards, and folds the upper half
 * down again; the last one needs no fold, for the slot is chosen by the upper bits,
 * which depend on every bit of the input. Three multiplications of 32 bits: a SmartNIC
 * has nothing wider, and jhash takes twice as long.
 *
 * hash_of_way() finds the cell of a service, which all else waits for. It need not
 * be good, for the tools look for a seed that suits the few ways that there are:
 * two multiplications side by side, whose upper bits are used.
 *
 * The words are wire fields as they lie in memory, read little-endian, so that
 * the common machines swap nothing and all machines agree.
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

/* A product's upper bits are its best. This is for where the lower ones are used. */
static __always_inline __u32 even_out(__u32 mixed)
{
	return mixed ^ mixed >> 16;
}

static __always_inline __u32 hash(__u32 seed, __u32 first, __u32 second)
{
	return even_out(mix(seed, first, second));
}

/* Below 2^bits. The halves of the seed change places for the second factor. */
static __always_inline __u32 hash_of_way(__u32 seed, __u32 address, __u32 way,
					 __u32 bits)
{
	const __u32 swapped = seed << 16 | seed >> 16;

	return (__le32_to_cpu(address) * seed + __le32_to_cpu(way) * swapped) >>
	       (32 - bits);
}

/* An address as one word: IPv4 as it is, IPv6 mixed. */
static __always_inline __u32 fold(__u32 seed, const __be32 *address,
				  __u8 version)
{
	if (version != 6)
		return address[3];
	return hash(hash(seed, address[0], address[1]), address[2], address[3]);
}

#endif
