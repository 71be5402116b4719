/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whom an answer can be sent to. RFC 1122, sections 3.2.1.3 and 3.2.2, and RFC 4443,
 * section 2.4: a source that is not one host gets none. A broadcast address of some
 * network looks like any other from here, for the tables have no netmask. What is
 * answered to it is one frame for one frame, to the MAC that the frame came from.
 */
#ifndef SENDER_H
#define SENDER_H

#include <bpf/bpf_endian.h>
#include <linux/if_ether.h>

#include "platform/platform.h"

/* Neither "this network" 0/8, nor loopback 127/8, a group, or from 240/4, broadcast. */
static __always_inline bool is_one_ipv4_host(__be32 address)
{
	const __u8 first = bpf_ntohl(address) >> 24;

	return first != 0 && first != 127 && first < 224;
}

/* Neither ::, nor ::1, nor a group. */
static __always_inline bool is_one_ipv6_host(const __be32 *word)
{
	if ((word[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000))
		return false;
	return word[0] | word[1] | word[2] | (word[3] & ~bpf_htonl(1));
}

/* The frame would go back to all of a group. */
static __always_inline bool is_from_group(const struct ethhdr *eth)
{
	return eth->h_source[0] & 1;
}

#endif
