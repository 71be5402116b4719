/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Decides which senders get an answer. RFC 1122, sections 3.2.1.3 and 3.2.2, and
 * RFC 4443, section 2.4: a source that is not a single host gets none. The broadcast
 * address of a network looks like any other address here, because the tables have no
 * netmask. The answer to it is one frame for one frame, to the MAC address that the
 * frame came from.
 */
#ifndef SENDER_H
#define SENDER_H

#include <bpf/bpf_endian.h>
#include <linux/if_ether.h>

#include "platform/platform.h"

/* Excludes "this network" 0/8, loopback 127/8, groups, and 240/4 with broadcast. */
static __always_inline bool is_one_ipv4_host(__be32 address)
{
	const __u8 first = bpf_ntohl(address) >> 24;

	return first != 0 && first != 127 && first < 224;
}

/* Excludes ::, ::1 and groups. */
static __always_inline bool is_one_ipv6_host(const __be32 *word)
{
	if ((word[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000))
		return false;
	return word[0] | word[1] | word[2] | (word[3] & ~bpf_htonl(1));
}

/* Tells whether an answer would go to a whole group. */
static __always_inline bool is_from_group(const struct ethhdr *eth)
{
	return eth->h_source[0] & 1;
}

#endif
