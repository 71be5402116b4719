/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The names in an outer source address, and the way on to a sibling: see decap.h. */
#ifndef DECAP_NAMES_H
#define DECAP_NAMES_H

#include "datapath/link.h"
#include "datapath/parse.h"
#include "datapath/platform/platform.h"
#include "datapath/sums.h"
#include "decap.h"

MAP(siblings, BPF_MAP_TYPE_HASH, DECAP_SIBLINGS,
    sizeof(struct decap_sibling_key), sizeof(struct decap_sibling));
MAP(pairs, BPF_MAP_TYPE_PERCPU_ARRAY, DECAP_SIBLINGS, sizeof(__u32),
    sizeof(struct decap_pair));

/* The numbers in the source of an outer header; 0 is nobody. */
struct named {
	__u32 first;
	__u32 second;
};

static __always_inline __u32 low_bits(__be32 word, __u32 bits)
{
	return bpf_ntohl(word) & ((1U << (bits & 31)) - 1);
}

/* Returns the names of the packet's family, if its source has the prefix, or NULL. */
static __always_inline const struct decap_names *
names_for(const struct decap_host *host, const struct packet *outer)
{
	const struct decap_names *names = &host->names[outer->version == 6];
	const __be32 *source = outer->source.word;

	if (!names->bits || (source[3] & names->mask) != names->prefix[3])
		return NULL;
	if (source[0] != names->prefix[0] || source[1] != names->prefix[1] ||
	    source[2] != names->prefix[2])
		return NULL;
	return names;
}

static __always_inline struct named read_named(const struct decap_names *names,
					       const struct packet *outer)
{
	const __be32 word = outer->source.word[3];
	const __u32 both = bpf_ntohl(word & ~names->mask);

	return (struct named){
		.first = low_bits(word, names->bits),
		.second = both >> (names->bits & 31),
	};
}

static __always_inline const struct decap_sibling *
find_sibling(__u32 number, const struct packet *outer)
{
	const struct decap_sibling_key key = {
		.number = number,
		.version = outer->version,
	};

	return number ? find(&siblings, &key) : NULL;
}

static __always_inline struct decap_pair *
pair_of(const struct decap_sibling *sibling)
{
	const __u32 number = sibling ? sibling->pair : 0;

	return number ? lookup(&pairs, &number) : NULL;
}

static __always_inline void count_found(const struct decap_sibling *sibling)
{
	struct decap_pair *pair = pair_of(sibling);

	if (!pair)
		return;
	pair->found++;
	pair->found_last = seconds_now();
}

static __always_inline void count_named(const struct decap_sibling *sibling)
{
	struct decap_pair *pair = pair_of(sibling);

	if (!pair)
		return;
	pair->named++;
	pair->named_last = seconds_now();
}

static __always_inline void count_sent(const struct decap_sibling *sibling,
				       __u64 bytes)
{
	struct decap_pair *pair = pair_of(sibling);

	if (!pair)
		return;
	pair->sent++;
	pair->sent_bytes += bytes;
	pair->sent_last = seconds_now();
}

/* The number of the address that the packet came to. */
static __always_inline __u32 own_number(const struct decap_names *names,
					const struct packet *outer)
{
	return low_bits(outer->address.word[3], names->bits);
}

/*
 * Returns the first that is named and is not this host, which may have several addresses,
 * and removes it and those before it. Returns NULL if it is unknown, or nobody is left.
 */
static __always_inline const struct decap_sibling *
take_first(const struct decap_names *names, const struct packet *outer,
	   struct named *named)
{
	const __u32 own = own_number(names, outer);
	const struct decap_sibling *sibling;
	__u32 number;

#pragma unroll
	for (int i = 0; i < 2; i++) {
		number = named->first;
		named->first = named->second;
		named->second = 0;
		if (!number)
			continue;
		if (number == own)
			continue;
		sibling = find_sibling(number, outer);
		if (!sibling || sibling->pair)
			return sibling;
	}
	return NULL;
}

/*
 * Returns the last word of the source with which a packet is sent on. Each step has fewer
 * names, so nothing goes in circles. With none left, the source says who sent it on.
 */
static __always_inline __be32 source_after(const struct decap_names *names,
					   const struct packet *outer,
					   const struct named *left)
{
	const __u32 numbers = left->first ? left->first :
					    own_number(names, outer)
						    << (names->bits & 31);

	return names->prefix[3] | bpf_htonl(numbers);
}

static __always_inline __u64 add_words(__u64 sum, const __be32 *before,
				       const __be32 *after)
{
	return sum + (__u32) ~*before + *after;
}

static __always_inline enum decap_verdict
send_on_ipv4(struct iphdr *ip, const struct decap_sibling *sibling,
	     __be32 source)
{
	/* TTL shares a word of the checksum with the protocol. */
	const __be16 before = bpf_htons(ip->ttl << 8 | ip->protocol);
	__u64 sum = (__u16)~ip->check;

	if (ip->ttl <= 1)
		return DECAP_HOPS_USED_UP;
	ip->ttl--;
	sum += (__u16)~before;
	sum += bpf_htons(ip->ttl << 8 | ip->protocol);
	sum = add_words(sum, &ip->saddr, &source);
	sum = add_words(sum, &ip->daddr, &sibling->address[3]);
	ip->saddr = source;
	ip->daddr = sibling->address[3];
	ip->check = ~fold_sum(sum);
	return DECAP_SENT_ON;
}

static __always_inline enum decap_verdict
send_on_ipv6(struct ipv6hdr *ip, const struct decap_sibling *sibling,
	     __be32 source)
{
	if (ip->hop_limit <= 1)
		return DECAP_HOPS_USED_UP;
	ip->hop_limit--;
	ip->saddr.s6_addr32[3] = source;
#pragma unroll
	for (int i = 0; i < 4; i++)
		ip->daddr.s6_addr32[i] = sibling->address[i];
	return DECAP_SENT_ON;
}

/* Changes the outer header so that the frame goes to a sibling. Its length stays. */
static __always_inline enum decap_verdict
send_on(struct xdp_md *ctx, const struct packet *outer,
	const struct decap_sibling *sibling, __be32 source)
{
	void *frame = frame_start(ctx), *header;
	struct ethhdr *eth = frame;
	enum decap_verdict verdict;

	if (never((void *)(eth + 1) > frame_end(ctx)))
		return DECAP_MALFORMED;
	header = behind_link(frame, outer->tags);
	if (outer->version == 6) {
		if (never(header + sizeof(struct ipv6hdr) > frame_end(ctx)))
			return DECAP_MALFORMED;
		verdict = send_on_ipv6(header, sibling, source);
	} else {
		if (never(header + sizeof(struct iphdr) > frame_end(ctx)))
			return DECAP_MALFORMED;
		verdict = send_on_ipv4(header, sibling, source);
	}
	if (verdict != DECAP_SENT_ON)
		return verdict;
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, sibling->mac, ETH_ALEN);
	count_sent(sibling, outer->frame_length);
	return DECAP_SENT_ON;
}

#endif
