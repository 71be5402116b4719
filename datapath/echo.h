/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The host build answers ICMP echo requests to a service's address itself: the
 * destinations share the address, and none of them sees the request. The frame is
 * turned around and goes back to its sender, if that can be a single host: see
 * sender.h.
 *
 * Each CPU answers a limited number in a second, and drops the rest.
 */
#ifndef ECHO_H
#define ECHO_H

#include "clock.h"
#include "limit.h"
#include "link.h"
#include "quote.h"
#include "sender.h"
#include "service.h"
#include "sums.h"

#ifdef L4LB_HOST

#define ICMP_ECHO_REPLY 0
#define ICMPV6_ECHO_REPLY 129
#define ECHO_TTL 64

static __always_inline bool is_echo_request(const struct packet *packet,
					    const struct icmp *icmp)
{
	const bool is_ipv6 = packet->version == 6;

	return icmp->type ==
		       (is_ipv6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO_REQUEST) &&
	       !icmp->code &&
	       packet->header_length == (is_ipv6 ? sizeof(struct ipv6hdr) :
						   sizeof(struct iphdr));
}

static __always_inline void turn_link(struct ethhdr *eth)
{
	__u16 mac[ETH_ALEN / 2];

	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
}

/* In the checksum, the TTL shares a word with the protocol. */
static __always_inline void turn_ipv4(struct iphdr *ip)
{
	const __be16 before = bpf_htons(ip->ttl << 8 | ip->protocol);
	const __be16 after = bpf_htons(ECHO_TTL << 8 | ip->protocol);
	const __be32 source = ip->saddr;

	ip->check = update_checksum(ip->check, before, after);
	ip->ttl = ECHO_TTL;
	ip->saddr = ip->daddr;
	ip->daddr = source;
}

static __always_inline void turn_ipv6(struct ipv6hdr *ip)
{
	const struct in6_addr source = ip->saddr;

	ip->hop_limit = ECHO_TTL;
	ip->saddr = ip->daddr;
	ip->daddr = source;
}

/*
 * If all words of an ICMPv4 reply are 0, its sum is 0 and only 0xffff is right as its
 * checksum. update_checksum() cannot tell that case from a sum of 0xffff, for which 0
 * and 0xffff are both right. So 0 is never sent. In ICMPv6 the pseudo header is never 0.
 */
static __always_inline void turn_icmp(struct icmp *icmp, __u8 reply)
{
	const __u16 sum = update_checksum(icmp->checksum,
					  bpf_htons(icmp->type << 8),
					  bpf_htons(reply << 8));

	icmp->checksum = sum ?: 0xffff;
	icmp->type = reply;
}

/* A packet whose source is its own destination address is forged. */
static __always_inline bool is_answerable(const struct packet *packet,
					  const struct ethhdr *eth)
{
	const __be32 *source = packet->source.word;

	if (is_from_group(eth) ||
	    same_address(&packet->source, &packet->address))
		return false;
	return packet->version == 6 ? is_one_ipv6_host(source) :
				      is_one_ipv4_host(source[3]);
}

/* The cursor stands at the ICMP header. */
static __always_inline enum l4lb_verdict
answer_echo(struct xdp_md *ctx, const struct l4lb_device *device,
	    const struct packet *packet, const struct cursor *cursor)
{
	struct icmp *icmp = parse_icmp(cursor, packet);
	enum l4lb_verdict verdict;
	struct ethhdr *eth;
	void *ip;

	if (!icmp || !is_echo_request(packet, icmp) ||
	    device->flags & L4LB_DEVICE_NO_ECHO)
		return L4LB_NOT_TCP_OR_UDP;
	eth = frame_start(ctx);
	ip = behind_link(eth, packet->tags);
	if (never((void *)(eth + 1) > cursor->end ||
		  ip + sizeof(struct iphdr) > cursor->end))
		return L4LB_NOT_TCP_OR_UDP;
	if (!is_answerable(packet, eth))
		return L4LB_NOT_TCP_OR_UDP;
	if (!has_ways(device, packet, IPPROTO_TCP) &&
	    !has_ways(device, packet, IPPROTO_UDP))
		return L4LB_NOT_TCP_OR_UDP;
	verdict = check_mac(ctx, device);
	if (verdict != L4LB_NO_OBJECTION)
		return verdict;
	if (!may(L4LB_LIMIT_ECHOES, L4LB_MOST_ECHOES, this_second()))
		return L4LB_ECHO_LIMITED;

	if (packet->version != 6) {
		turn_ipv4(ip);
		turn_icmp(icmp, ICMP_ECHO_REPLY);
	} else {
		if (never(ip + sizeof(struct ipv6hdr) > cursor->end))
			return L4LB_NOT_TCP_OR_UDP;
		turn_ipv6(ip);
		turn_icmp(icmp, ICMPV6_ECHO_REPLY);
	}
	turn_link(eth);
	return L4LB_ECHO_ANSWERED;
}

#else

/* A SmartNIC has no room for this; the host may answer. */
#define answer_echo(ctx, device, packet, cursor) L4LB_NOT_TCP_OR_UDP

#endif
#endif
