/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Step 1, parse: turns a frame into a struct packet, or returns the reason as a verdict.
 *
 * A cursor walks the headers. Each parser checks that its header is there,
 * advances, and returns L4LB_NO_OBJECTION. A verdict that drops is not final:
 * refuse() in service.h first checks whether the packet was meant for us at all.
 *
 *   Ethernet, up to two VLAN tags -> IPv4 | IPv6, extension headers -> TCP | UDP
 */
#ifndef PARSE_H
#define PARSE_H

#include <bpf/bpf_endian.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "l4lb.h"
#include "platform/platform.h"

#define IP_DONT_FRAGMENT 0x4000
#define IP_MORE_FRAGMENTS 0x2000
#define IP_FRAGMENT_OFFSET 0x1fff

#define MACS_LENGTH (2 * ETH_ALEN)
#define MOST_VLAN_TAGS 2
#define MOST_EXTENSION_HEADERS 6
/* Large enough for all of them; lengths are multiples of 4. */
#define EXTENSIONS_MASK 0x3ffc

struct cursor {
	struct xdp_md *ctx;
	void *at;
	void *end;
};

/* 16 bytes; IPv4 as ::ffff:a.b.c.d. */
struct address {
	__be32 word[4];
} __attribute__((aligned(8)));

/* What the later steps need to know about a packet. Wire fields are as they lie in memory. */
struct packet {
	__u32 frame_length; /* as received, without FCS */
	struct address source;
	struct address address;
	__be32 ports; /* the source port and the destination port */
	__u32 length; /* of the IP packet, in host order */
	__u32 first_word; /* of an outer IPv4 header, before its own length is added */
	/* Of IP and extension headers; of an ICMP error, above 16 bits, those in its quote. */
	__u32 header_length;
	__u8 tags; /* VLAN tags in front of it */
	__u8 version; /* 4 or 6: of the packet on the wire, which becomes the inner packet */
	__u8 protocol; /* 0: unknown */
	bool is_fragment; /* no fragment has ports here, not even the first one */
	bool is_later; /* a fragment other than the first */
	bool is_error; /* an ICMP error: source, address and ports are those of the packet it quotes */
	bool is_plain; /* found by parse_plain() */
};

struct ports {
	__be16 source;
	__be16 destination;
};

struct vlan_tag {
	__be16 control;
	__be16 type; /* EtherType of what follows */
};

/* The beginning of the IPv6 extension headers that the parser skips: RFC 8200. */
struct extension {
	__u8 next;
	__u8 length;
	__be16 fragment; /* in a routing header (43): type and segments left */
	__be32 rest;
};

#define FRAGMENT_OFFSET 0xfff8
#define FRAGMENT_MORE 0x0001

static __always_inline __be16 destination_port(const struct packet *packet)
{
	const __be32 ports = packet->ports;

	return ((const struct ports *)&ports)->destination;
}

/* Returns how many bytes of IP packet the frame can hold. */
static __always_inline __u32 room(const struct packet *packet)
{
	return packet->frame_length - sizeof(struct ethhdr) -
	       packet->tags * sizeof(struct vlan_tag);
}

/* Tells whether a frame is for a MAC address. Its whole Ethernet header must be there. */
static __always_inline bool is_mac(const void *mac, const void *frame)
{
	__u64 differing = *(const __u64 *)frame ^ read_word(mac);

	/*
	 * The shift removes the two bytes behind the MAC. Without the asm, clang turns
	 * it into a mask, which takes one instruction more.
	 */
	differing = __cpu_to_le64(differing) << 16;
	asm("" : "+r"(differing));
	return !differing;
}

static __always_inline bool is_for(const struct l4lb_device *device,
				   const void *frame)
{
	return is_mac(device->mac, frame);
}

/* Returns version, header length, TOS and length as one word, in host order. */
static __always_inline __u32 outer_first_word(__u8 tos, __u16 length)
{
	return 0x45 << 24 | tos << 16 | length;
}

/* Returns the TOS, or the traffic class of IPv6. */
static __always_inline __u8 tos_of(const struct packet *packet)
{
	return packet->first_word >> 16;
}

/* Returns the EtherType behind the Ethernet header and tags, or 0 if one is cut short. */
static __always_inline __be16 parse_link(struct cursor *cursor,
					 struct packet *packet)
{
	const struct ethhdr *eth = cursor->at;
	const struct vlan_tag *tag;
	__be16 type;

	if ((void *)(eth + 1) > cursor->end)
		return 0;
	type = eth->h_proto;
	cursor->at += sizeof(*eth);
#pragma unroll
	for (int i = 0; i < MOST_VLAN_TAGS; i++) {
		if (type != bpf_htons(ETH_P_8021Q) &&
		    type != bpf_htons(ETH_P_8021AD))
			break;
		tag = cursor->at;
		if ((void *)(tag + 1) > cursor->end)
			return 0;
		type = tag->type;
		packet->tags++;
		cursor->at += sizeof(*tag);
	}
	return type;
}

static __always_inline void set_ipv4_address(struct address *address,
					     __be32 word)
{
	address->word[0] = 0;
	address->word[1] = 0;
	address->word[2] = bpf_htonl(0xffff);
	address->word[3] = word;
}

static __always_inline void set_ipv6_address(struct address *address,
					     const struct in6_addr *in6)
{
	for (int i = 0; i < 4; i++)
		address->word[i] = in6->s6_addr32[i];
}

static __always_inline enum l4lb_verdict parse_ipv4(struct cursor *cursor,
						    struct packet *packet)
{
	const struct iphdr *ip = cursor->at;

	packet->version = 4;
	if ((void *)(ip + 1) > cursor->end)
		return L4LB_MALFORMED;
	packet->header_length = ip->ihl * 4;
	if (ip->version != 4 || packet->header_length < sizeof(*ip))
		return L4LB_MALFORMED;

	set_ipv4_address(&packet->source, ip->saddr);
	set_ipv4_address(&packet->address, ip->daddr);
	packet->length = bpf_ntohs(ip->tot_len);
	packet->first_word = outer_first_word(ip->tos, packet->length);
	packet->protocol = ip->protocol;
	packet->is_fragment = ip->frag_off &
			      bpf_htons(IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET);
	packet->is_later = ip->frag_off & bpf_htons(IP_FRAGMENT_OFFSET);
	cursor->at += packet->header_length;
	return L4LB_NO_OBJECTION;
}

static __always_inline bool is_extension_header(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
	       protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_AH ||
	       protocol == IPPROTO_DSTOPTS;
}

/* What is behind the extension headers of a packet. */
struct extensions {
	__u32 length;
	__u8 protocol; /* the one behind them; 0: unknown */
	__u8 verdict;
	bool is_fragment;
	bool is_later;
};

/* Walks from the first extension header to behind the last one. */
static __always_inline struct extensions
walk_extensions(const void *first, const void *end, __u8 protocol)
{
	struct extensions found = { .verdict = L4LB_NO_OBJECTION };
	const struct extension *extension;
	__u32 at = 0, length;

#pragma unroll
	for (int i = 0; i < MOST_EXTENSION_HEADERS; i++) {
		if (!is_extension_header(protocol))
			break;
		extension = first + at;
		if ((void *)(extension + 1) > end) {
			found.verdict = L4LB_MALFORMED;
			return found;
		}
		length = (extension->length + 1) * 8;
		if (protocol == IPPROTO_AH)
			length = (extension->length + 2) * 4;
		/* The packet has further hops, so its address is not its last. */
		if (protocol == IPPROTO_ROUTING &&
		    extension->fragment & bpf_htons(0xff)) {
			found.verdict = L4LB_EXTENSION_HEADERS;
			return found;
		}
		if (protocol == IPPROTO_FRAGMENT) {
			length = sizeof(*extension);
			/* A single fragment is a whole packet: RFC 6946. */
			found.is_fragment =
				extension->fragment &
				bpf_htons(FRAGMENT_OFFSET | FRAGMENT_MORE);
			found.is_later = extension->fragment &
					 bpf_htons(FRAGMENT_OFFSET);
		}
		protocol = extension->next;
		at = within(at + length, EXTENSIONS_MASK);
		if (found.is_fragment)
			break;
	}
	if (is_extension_header(protocol)) {
		found.verdict = L4LB_EXTENSION_HEADERS;
		return found;
	}
	found.protocol = protocol;
	found.length = at;
	return found;
}

#ifdef NO_CALLS
#define extensions_behind(cursor, protocol) \
	walk_extensions((cursor)->at, (cursor)->end, protocol)
#else
union extensions_word {
	struct extensions found;
	__u64 word;
};

/*
 * The verifier looks at this once, and takes nothing of what it returns for known. Else it
 * would follow the rest of the program anew for each of many ways through the headers, of
 * a packet and of the one that it quotes: that was half of the work of loading.
 */
__noinline __u64 walk_apart(struct xdp_md *ctx, __u32 first, __u32 protocol)
{
	union extensions_word walked = {
		.found =
			walk_extensions(frame_start(ctx) + within(first, 0xfff),
					frame_end(ctx), protocol),
	};

	return walked.word;
}

static __always_inline struct extensions
extensions_behind(const struct cursor *cursor, __u8 protocol)
{
	union extensions_word walked = {
		.word = walk_apart(cursor->ctx,
				   cursor->at - frame_start(cursor->ctx),
				   protocol),
	};

	walked.found.length = within(walked.found.length, EXTENSIONS_MASK);
	return walked.found;
}
#endif

/*
 * Leaves the cursor behind the last extension header. Sets the protocol to the one
 * behind them, or to 0 if it is unknown.
 */
static __always_inline enum l4lb_verdict
skip_extension_headers(struct cursor *cursor, struct packet *packet)
{
	struct extensions found;

#ifndef NO_CALLS
	if (!is_extension_header(packet->protocol))
		return L4LB_NO_OBJECTION;
#endif
	found = extensions_behind(cursor, packet->protocol);
	packet->protocol = found.protocol;
	packet->is_fragment = found.is_fragment;
	packet->is_later = found.is_later;
	if (found.verdict != L4LB_NO_OBJECTION)
		return found.verdict;
	packet->header_length += found.length;
	cursor->at += found.length;
	return L4LB_NO_OBJECTION;
}

static __always_inline enum l4lb_verdict
parse_ipv6_header(struct cursor *cursor, struct packet *packet)
{
	const struct ipv6hdr *ip = cursor->at;

	packet->version = 6;
	if ((void *)(ip + 1) > cursor->end || ip->version != 6)
		return L4LB_MALFORMED;

	set_ipv6_address(&packet->source, &ip->saddr);
	set_ipv6_address(&packet->address, &ip->daddr);
	packet->length = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	packet->header_length = sizeof(*ip);
	packet->first_word = outer_first_word(
		ip->priority << 4 | ip->flow_lbl[0] >> 4, packet->length);
	packet->protocol = ip->nexthdr;
	cursor->at += sizeof(*ip);
	return L4LB_NO_OBJECTION;
}

static __always_inline enum l4lb_verdict parse_ipv6(struct cursor *cursor,
						    struct packet *packet)
{
	return parse_ipv6_header(cursor, packet) ?:
		       skip_extension_headers(cursor, packet);
}

/*
 * Reads the ports, if the whole TCP or UDP header is there. Padding may follow the IP
 * packet, so the packet's own length counts and the frame's is only the limit.
 */
static __always_inline enum l4lb_verdict parse_ports(struct cursor *cursor,
						     struct packet *packet)
{
	const bool is_tcp = packet->protocol == IPPROTO_TCP;
	const __u32 least = is_tcp ? sizeof(struct tcphdr) :
				     sizeof(struct udphdr);
	const __u8 *header = cursor->at;

	if (!is_tcp && packet->protocol != IPPROTO_UDP)
		return L4LB_NOT_TCP_OR_UDP;
	if (packet->length > room(packet))
		return L4LB_MALFORMED;
	if (packet->is_fragment)
		return packet->length > packet->header_length ?
			       L4LB_NO_OBJECTION :
			       L4LB_MALFORMED;
	if (packet->length < packet->header_length + least)
		return L4LB_MALFORMED;

	/* True only if the header lies in later buffers of the frame. */
	if ((void *)(header + sizeof(struct udphdr)) > cursor->end)
		return L4LB_MALFORMED;
	packet->ports = *(const __be32 *)header;
	if (is_tcp && (void *)(header + sizeof(struct tcphdr)) > cursor->end)
		return L4LB_MALFORMED;
	return L4LB_NO_OBJECTION;
}

/*
 * Parses unfragmented IPv4 without tags or options, to the device's MAC: nearly all
 * packets. Compiled apart from the rest, this path stays in registers. One check
 * covers all headers; a shorter frame (a UDP packet of a few bytes without padding)
 * takes the other path.
 */
static __always_inline bool parse_plain(const struct l4lb_device *device,
					const struct cursor *cursor,
					struct packet *packet)
{
	const void *frame = cursor->at;
	const struct iphdr *ip = frame + sizeof(struct ethhdr);
	const void *ports = ip + 1;
	/* EtherType, version and header length in one word. */
	const __be32 plain = bpf_htonl(ETH_P_IP << 16 | 0x4500);
	const __be32 mask = bpf_htonl(0xffffff00);

	if (ports + sizeof(struct tcphdr) > cursor->end)
		return false;
	if ((*(const __be32 *)(frame + MACS_LENGTH) & mask) != plain ||
	    ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET) ||
	    !is_for(device, frame))
		return false;

	packet->version = 4;
	packet->protocol = ip->protocol;
	packet->header_length = sizeof(*ip);
	packet->first_word = bpf_ntohl(*(const __be32 *)ip);
	packet->length = (__u16)packet->first_word;
	if (packet->protocol == IPPROTO_TCP) {
		if (packet->length < sizeof(*ip) + sizeof(struct tcphdr))
			return false;
	} else if (packet->protocol != IPPROTO_UDP ||
		   packet->length < sizeof(*ip) + sizeof(struct udphdr)) {
		return false;
	}
	if (packet->length > room(packet))
		return false;

	set_ipv4_address(&packet->source, ip->saddr);
	set_ipv4_address(&packet->address, ip->daddr);
	packet->ports = *(const __be32 *)ports;
	packet->is_plain = true;
	return true;
}

/* Leaves the cursor behind the IP headers. */
static __always_inline enum l4lb_verdict parse(struct cursor *cursor,
					       struct packet *packet)
{
	const __be16 type = parse_link(cursor, packet);

	if (type == bpf_htons(ETH_P_IP))
		return parse_ipv4(cursor, packet) ?:
						    parse_ports(cursor, packet);
	if (type == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(cursor, packet) ?:
						    parse_ports(cursor, packet);
	return L4LB_NOT_IP;
}

#endif
