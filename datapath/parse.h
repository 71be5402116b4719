/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Step 1, parse: a frame becomes a struct packet, or is told why not.
 *
 * A cursor walks the headers. Each parser checks that its header is there,
 * advances, and returns L4LB_BALANCED, which stands for "no objection so far".
 * A verdict that drops is not final: refuse() in service.h first looks whether
 * the packet was meant for us at all.
 */
#ifndef PARSE_H
#define PARSE_H

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "l4lb.h"

#define IP_MORE_FRAGMENTS 0x2000
#define IP_FRAGMENT_OFFSET 0x1fff

struct cursor {
	void *at;
	void *end;
};

/* What the later steps need of a packet. Wire fields as they lie in memory. */
struct packet {
	__u32 frame_length; /* as received, without FCS */
	__be32 source;
	__be32 address;
	__be32 ports; /* the source port and the destination port */
	__u16 length; /* of the IP packet, in host order */
	__u8 protocol;
	__u8 tos;
	__u8 tcp_flags;
};

/* Of the byte at offset 13 of a TCP header. */
#define TCP_FLAG_BYTE 13
#define TCP_SYN 0x02
#define TCP_ACK 0x10

struct ports {
	__be16 source;
	__be16 destination;
};

static __always_inline __be16 destination_port(const struct packet *packet)
{
	return ((const struct ports *)&packet->ports)->destination;
}

static __always_inline enum l4lb_verdict parse_ethernet(struct cursor *cursor)
{
	const struct ethhdr *eth = cursor->at;

	if ((void *)(eth + 1) > cursor->end)
		return L4LB_NOT_IP;
	if (eth->h_proto != bpf_htons(ETH_P_IP))
		return L4LB_NOT_IP;
	cursor->at += sizeof(*eth);
	return L4LB_BALANCED;
}

/*
 * Padding may stand behind the IP packet, so its own length counts and the
 * frame's is only the limit.
 */
static __always_inline enum l4lb_verdict parse_ipv4(struct cursor *cursor,
						    struct packet *packet)
{
	const struct iphdr *ip = cursor->at;
	__u32 header_length, least;

	if ((void *)(ip + 1) > cursor->end)
		return L4LB_MALFORMED;
	header_length = ip->ihl * 4;
	if (ip->version != 4 || header_length < sizeof(*ip))
		return L4LB_MALFORMED;

	packet->source = ip->saddr;
	packet->address = ip->daddr;
	packet->length = bpf_ntohs(ip->tot_len);
	packet->tos = ip->tos;
	packet->protocol = ip->protocol;

	if (ip->protocol == IPPROTO_TCP)
		least = header_length + sizeof(struct tcphdr);
	else if (ip->protocol == IPPROTO_UDP)
		least = header_length + sizeof(struct udphdr);
	else
		return L4LB_NOT_TCP_OR_UDP;

	if (packet->length > cursor->end - cursor->at)
		return L4LB_MALFORMED;
	if (ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET))
		return packet->length > header_length ? L4LB_FRAGMENT :
							L4LB_MALFORMED;
	if (packet->length < least)
		return L4LB_MALFORMED;
	cursor->at += header_length;
	return L4LB_BALANCED;
}

/* TCP and UDP both begin with their ports; parse_ipv4 saw that all is there. */
static __always_inline enum l4lb_verdict parse_ports(struct cursor *cursor,
						     struct packet *packet)
{
	const __u8 *header = cursor->at;

	/* Never true; the verifier cannot know. */
	if ((void *)(header + sizeof(struct udphdr)) > cursor->end)
		return L4LB_MALFORMED;
	packet->ports = *(const __be32 *)header;
	if (packet->protocol != IPPROTO_TCP)
		return L4LB_BALANCED;
	if ((void *)(header + sizeof(struct tcphdr)) > cursor->end)
		return L4LB_MALFORMED;
	packet->tcp_flags = header[TCP_FLAG_BYTE];
	return L4LB_BALANCED;
}

static __always_inline enum l4lb_verdict parse(const struct xdp_md *ctx,
					       struct packet *packet)
{
	struct cursor cursor = {
		.at = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};
	enum l4lb_verdict verdict;

	packet->frame_length = cursor.end - cursor.at;
	verdict = parse_ethernet(&cursor);
	if (verdict)
		return verdict;
	verdict = parse_ipv4(&cursor, packet);
	if (verdict)
		return verdict;
	return parse_ports(&cursor, packet);
}

#endif
