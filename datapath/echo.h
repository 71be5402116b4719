/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP echo requests to a service's address are answered here, in the host build:
 * the address is the destinations', and none of them is asked. The frame is turned
 * around and goes back to who sent it.
 */
#ifndef ECHO_H
#define ECHO_H

#include "link.h"
#include "quote.h"
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

/* The TTL shares a word of the sum with the protocol. */
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

static __always_inline void turn_icmp(struct icmp *icmp, __u8 reply)
{
	icmp->checksum = update_checksum(icmp->checksum,
					 bpf_htons(icmp->type << 8),
					 bpf_htons(reply << 8));
	icmp->type = reply;
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
	if (!has_ways(device, packet, IPPROTO_TCP) &&
	    !has_ways(device, packet, IPPROTO_UDP))
		return L4LB_NOT_TCP_OR_UDP;
	verdict = check_mac(ctx, device);
	if (verdict)
		return verdict;

	/* Never true, and the same below: the verifier wants to see it. */
	eth = (void *)(long)ctx->data;
	ip = behind_link(eth, packet->tags);
	if ((void *)(eth + 1) > cursor->end ||
	    ip + sizeof(struct iphdr) > cursor->end)
		return L4LB_NOT_TCP_OR_UDP;
	if (packet->version != 6) {
		turn_ipv4(ip);
		turn_icmp(icmp, ICMP_ECHO_REPLY);
	} else {
		if (ip + sizeof(struct ipv6hdr) > cursor->end)
			return L4LB_NOT_TCP_OR_UDP;
		turn_ipv6(ip);
		turn_icmp(icmp, ICMPV6_ECHO_REPLY);
	}
	turn_link(eth);
	return L4LB_ECHO_ANSWERED;
}

#else

/* A SmartNIC has its hands full with what it can do alone; the host may answer. */
#define answer_echo(ctx, device, packet, cursor) L4LB_NOT_TCP_OR_UDP

#endif
#endif
