/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A connection's signature, and the set of its record.
 *
 * Whoever can choose addresses and ports must not be able to find connections that share
 * a record with somebody else's, or many that share a set. So both come from a hash with a
 * secret key, in which each pair of words is multiplied by numbers that only the key tells.
 * All 64 bits of the sum count: two connections that share a set have the same signature no
 * more often than any others.
 *
 * The program makes the key itself when it first needs one. Nobody else needs to know it:
 * balancers of a fleet need not agree on their records, and tools only copy them.
 */
#ifndef SIGNATURE_H
#define SIGNATURE_H

#include "maps.h"
#include "parse.h"
#include "service.h"

#ifdef L4LB_HOST

#define ODD_WORD 0x9e3779b97f4a7c15ULL

/* Returns 0 only if there is no map. */
static __always_inline __u64 read_secret(void)
{
	const __u32 key = 0;
	__u64 *found = lookup(&secret, &key);
	__u64 fresh, there;

	if (never(!found))
		return 0;
	there = read_word(found);
	if (!never(!there))
		return there;
	fresh = (__u64)random_word() << 32 | random_word() | 1;
	there = __sync_val_compare_and_swap(found, 0, fresh);
	return there ?: fresh;
}

/* Words are read as little-endian, as in hash.h. */
static __always_inline __u64 multiply(__u64 key, __u32 first, __u32 second)
{
	return (key + __le32_to_cpu(first)) *
	       ((key >> 32 | key << 32) + __le32_to_cpu(second));
}

static __always_inline __u64 sum_address(__u64 key, const __be32 *address,
					 __u8 version)
{
	if (version != 6)
		return multiply(key, 0, address[3]);
	return multiply(key, address[0], address[1]) +
	       multiply(key * ODD_WORD, address[2], address[3]);
}

/*
 * Returns a hash of both ends of a connection. All its bits are good but the lowest ones of
 * each half, which are good enough to choose a set.
 */
static __always_inline __u64 hash_of_ends(const __be32 *source,
					  const __be32 *destination,
					  __be32 ports, union way way)
{
	const __u64 key = read_secret();
	const __u64 sum =
		multiply(key, ports, way.word) +
		sum_address(key * 0xbf58476d1ce4e5b9ULL, source, way.version) +
		sum_address(key * 0x94d049bb133111ebULL, destination,
			    way.version);

	return (sum ^ sum >> 32) * ODD_WORD;
}

/* Returns the signature of a lasting record, and sets the number of the set that holds the record. */
static __always_inline __u32 sign(const struct l4lb_device *device,
				  const struct packet *packet, __u32 *set)
{
	const union way way = {
		.protocol = packet->protocol,
		.version = packet->version,
	};
	const __u64 sum = hash_of_ends(
		packet->source.word, packet->address.word, packet->ports, way);

	*set = sum & ((1U << device->log2_sets) - 1);
	return sum >> 32 | L4LB_FULL | L4LB_ESTABLISHED | L4LB_LASTING;
}

#endif
#endif
