/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one hash, of two words under a seed. It finds the cell of a service and
 * the slot of a packet, in every build, in src/hash.ts, and in the vectors of
 * test/unit/hash.test.ts.
 *
 * Each round multiplies, which carries a word's entropy upwards, and folds the
 * upper half down again; the low bits, which are all that is used, so depend on
 * every bit of the input. Three multiplications of 32 bits: a SmartNIC has
 * nothing wider, and jhash takes twice as long.
 *
 * The words are wire fields as they lie in memory, read little-endian, so that
 * the common machines swap nothing and all machines agree.
 */
#ifndef HASH_H
#define HASH_H

#include <asm/byteorder.h>
#include <bpf/bpf_helpers.h>
#include <linux/types.h>

static __always_inline __u32 hash(__u32 seed, __u32 first, __u32 second)
{
	__u32 h = seed;

	h = (h ^ __le32_to_cpu(first)) * 0x9e3779b1;
	h ^= h >> 15;
	h = (h ^ __le32_to_cpu(second)) * 0x85ebca77;
	h ^= h >> 13;
	h *= 0xc2b2ae3d;
	h ^= h >> 16;
	return h;
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
