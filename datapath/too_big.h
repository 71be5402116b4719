/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Drops a packet that is too big for the way to its destination: with a tunnel, together
 * with its outer header. The host build also tells the sender what would fit: ICMP "fragmentation needed" (RFC 1191) or ICMPv6 "packet too
 * big" (RFC 8201). The frame itself becomes the message.
 *
 * A SmartNIC cannot limit the rate, and cannot sum up that many bytes.
 */
#ifndef TOO_BIG_H
#define TOO_BIG_H

#include "clock.h"
#include "limit.h"
#include "link.h"
#include "quote.h"
#include "sender.h"
#include "sums.h"

#ifdef L4LB_HOST

#define ICMP_FRAGMENTATION_NEEDED 4
#define ICMPV6_PACKET_TOO_BIG 2
#define TELL_TTL 64
#define TELL_TOS 0xc0 /* RFC 1812: internetwork control */

/*
 * How many bytes of the packet are quoted: as many as one call of sum_words() can sum up,
 * or two calls. RFC 1812 allows 548 bytes, RFC 4443 allows 1,232.
 */
#define SUMMED_AT_ONCE 512
#define QUOTED_IN_ICMP SUMMED_AT_ONCE
#define QUOTED_IN_ICMPV6 (2 * SUMMED_AT_ONCE)

/* A sender that does not forbid fragmentation does not expect an answer. */
static __always_inline bool wants_to_know(struct xdp_md *ctx, bool is_ipv6,
					  __u8 tags)
{
	const void *end = frame_end(ctx);
	const struct ethhdr *eth = frame_start(ctx);
	const void *ip = behind_link((void *)eth, tags);
	const struct iphdr *ipv4 = ip;
	const struct ipv6hdr *ipv6 = ip;

	if (ip + (is_ipv6 ? QUOTED_IN_ICMPV6 : QUOTED_IN_ICMP) > end ||
	    is_from_group(eth))
		return false;
	if (is_ipv6)
		return is_one_ipv6_host(ipv6->saddr.s6_addr32);
	return ipv4->frag_off & bpf_htons(IP_DONT_FRAGMENT) &&
	       is_one_ipv4_host(ipv4->saddr);
}

static __always_inline void write_told_ipv4(struct iphdr *ip,
					    const struct iphdr *quoted)
{
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tos = TELL_TOS;
	ip->tot_len =
		bpf_htons(sizeof(*ip) + sizeof(struct icmp) + QUOTED_IN_ICMP);
	ip->id = 0;
	ip->frag_off = bpf_htons(IP_DONT_FRAGMENT);
	ip->ttl = TELL_TTL;
	ip->protocol = IPPROTO_ICMP;
	ip->check = 0;
	ip->saddr = quoted->daddr;
	ip->daddr = quoted->saddr;
	ip->check = ~fold_sum(sum_words(ip, sizeof(*ip)));
}

/* Returns the sum of the pseudo header: RFC 8200, section 8.1. */
static __always_inline __u64 write_told_ipv6(struct ipv6hdr *ip,
					     const struct ipv6hdr *quoted)
{
	const __be16 length = bpf_htons(sizeof(struct icmp) + QUOTED_IN_ICMPV6);

	*(__be32 *)ip = bpf_htonl(6U << 28 | TELL_TOS << 20);
	ip->payload_len = length;
	ip->nexthdr = IPPROTO_ICMPV6;
	ip->hop_limit = TELL_TTL;
	ip->saddr = quoted->daddr;
	ip->daddr = quoted->saddr;
	return sum_words(&ip->saddr, 2 * sizeof(ip->saddr)) + length +
	       bpf_htons(IPPROTO_ICMPV6);
}

static __always_inline enum l4lb_verdict tell(struct xdp_md *ctx,
					      const bool is_ipv6, __u8 tags,
					      __u32 frame_length, __u32 mtu)
{
	const __u32 header = is_ipv6 ? sizeof(struct ipv6hdr) :
				       sizeof(struct iphdr);
	const __u32 grown = header + sizeof(struct icmp);
	const __u32 quoted = is_ipv6 ? QUOTED_IN_ICMPV6 : QUOTED_IN_ICMP;
	const __u32 excess = frame_length - sizeof(struct ethhdr) -
			     tags * sizeof(struct vlan_tag) - quoted;
	const __be16 type = bpf_htons(is_ipv6 ? ETH_P_IPV6 : ETH_P_IP);
	const struct ethhdr *old;
	struct icmp *icmp;
	__u64 sum = 0;
	void *ip;

	if (!wants_to_know(ctx, is_ipv6, tags) ||
	    !may(L4LB_LIMIT_ANSWERS, L4LB_MOST_ANSWERS, this_second()))
		return L4LB_TOO_BIG;
	if (!grow_head(ctx, grown))
		return L4LB_TOO_BIG;
	/* The old header is still there, but will be overwritten next. */
	old = frame_start(ctx) + grown;
	if (never((void *)(old + 1) > frame_end(ctx)))
		return L4LB_TOO_BIG;
	if (!write_link(ctx, tags, grown, read_mac(old->h_source),
			read_mac_before(old->h_dest, type), &ip) ||
	    never(ip + grown + quoted > frame_end(ctx)))
		return L4LB_TOO_BIG;

	if (is_ipv6)
		sum = write_told_ipv6(ip, ip + grown);
	else
		write_told_ipv4(ip, ip + grown);
	icmp = ip + header;
	icmp->type = is_ipv6 ? ICMPV6_PACKET_TOO_BIG : ICMP_UNREACHABLE;
	icmp->code = is_ipv6 ? 0 : ICMP_FRAGMENTATION_NEEDED;
	icmp->checksum = 0;
	icmp->rest = bpf_htonl(mtu);
	sum += sum_words(icmp, sizeof(*icmp));
#pragma unroll
	for (__u32 at = 0; at < quoted; at += SUMMED_AT_ONCE)
		sum += sum_words((void *)(icmp + 1) + at, SUMMED_AT_ONCE);
	icmp->checksum = ~fold_sum(sum);

	return cut_tail(ctx, excess) ? L4LB_TOO_BIG_TOLD : L4LB_TOO_BIG;
}

/* Takes numbers, not the packet: a caller that passes the packet cannot keep it in registers. */
static __noinline int tell_of(struct xdp_md *ctx, __u32 version, __u32 tags,
			      __u32 frame_length, __u32 mtu)
{
	return version == 6 ? tell(ctx, true, tags, frame_length, mtu) :
			      tell(ctx, false, tags, frame_length, mtu);
}

/* Sends nothing about a later fragment or about a packet that is an error itself. */
static __always_inline enum l4lb_verdict
tell_sender(struct xdp_md *ctx, const struct packet *packet, __u32 mtu)
{
	const __u32 quoted = packet->version == 6 ? QUOTED_IN_ICMPV6 :
						    QUOTED_IN_ICMP;

	if (packet->is_error || packet->is_later || packet->length < quoted)
		return L4LB_TOO_BIG;
	return tell_of(ctx, packet->version, packet->tags, packet->frame_length,
		       mtu);
}

#else

#define tell_sender(ctx, packet, mtu) L4LB_TOO_BIG

#endif
#endif
