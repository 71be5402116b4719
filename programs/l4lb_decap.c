// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * l4lb_decap, the decapsulation program: removes the outer header at a destination, so
 * that it needs no tunnel devices.
 *
 *   frame -> is it IP in IP for this host? -> remove the outer header -> XDP_PASS
 *                                         \-> of a hot slot, and of no connection here?
 *                                             send it on to the sibling named -> XDP_TX
 *
 * XDP cannot ask which addresses the host has, so l4lb-load writes them into a map. If
 * you load the program by hand, it knows no addresses, and removes the outer header of
 * every IP in IP packet. Without a prefix for names it sends nothing on.
 */
#define L4LB_HOST
#include "datapath/counters.h"
#include "datapath/link.h"
#include "datapath/parse.h"
#include "datapath/platform/platform.h"
#include "datapath/sums.h"
#include "decap.h"
#include "names.h"
#include "sockets.h"

MAP(host, BPF_MAP_TYPE_ARRAY, 1, sizeof(__u32), sizeof(struct decap_host));
MAP(addresses, BPF_MAP_TYPE_HASH, DECAP_ADDRESSES, sizeof(struct address),
    sizeof(__u32));
MAP(verdicts, COUNTER_MAP, L4LB_VERDICT_ENTRIES, sizeof(__u32),
    sizeof(struct l4lb_counter));

static __always_inline bool is_this_host(const struct decap_host *filled,
					 const struct address *address)
{
	return !filled->abi || find(&addresses, address);
}

/* Returns the inner IP version for the outer header's protocol: 4, 6, or 0 for others. */
static __always_inline __u8 version_inside(__u8 protocol)
{
	if (protocol == IPPROTO_IPIP)
		return 4;
	return protocol == IPPROTO_IPV6 ? 6 : 0;
}

/*
 * Parses the outer header and leaves the cursor behind it. The stack handles extension
 * headers: it walks them, and decapsulates what is behind them if it can.
 */
static __always_inline enum decap_verdict
parse_outer(struct cursor *cursor, const struct decap_host *filled,
	    struct packet *outer)
{
	const __be16 type = parse_link(cursor, outer);
	enum l4lb_verdict verdict = L4LB_NOT_IP;

	if (type == bpf_htons(ETH_P_IP))
		verdict = parse_ipv4(cursor, outer);
	else if (type == bpf_htons(ETH_P_IPV6))
		verdict = parse_ipv6_header(cursor, outer);
	if (verdict != L4LB_NO_OBJECTION || !version_inside(outer->protocol))
		return DECAP_NOT_IPIP;
	if (!is_this_host(filled, &outer->address))
		return DECAP_NOT_THIS_HOST;
	/* The stack puts fragments together, and decapsulates them if it can. */
	if (outer->is_fragment)
		return DECAP_NOT_IPIP;
	if (outer->length > room(outer) || outer->length < outer->header_length)
		return DECAP_MALFORMED;
	return DECAP_NO_OBJECTION;
}

/* Checks that the inner packet is complete and has the version that the outer states. */
static __always_inline enum decap_verdict
parse_inner(struct cursor *cursor, const struct packet *outer,
	    struct packet *inner)
{
	enum l4lb_verdict verdict;

	if (version_inside(outer->protocol) == 6)
		verdict = parse_ipv6_header(cursor, inner);
	else
		verdict = parse_ipv4(cursor, inner);
	if (verdict != L4LB_NO_OBJECTION ||
	    inner->length < inner->header_length ||
	    inner->length > outer->length - outer->header_length)
		return DECAP_MALFORMED;
	return DECAP_NO_OBJECTION;
}

#define ECN 3
#define ECN_NOT_CAPABLE 0
#define ECN_CAPABLE_1 1
#define ECN_CAPABLE_0 2
#define ECN_CONGESTION 3

/* RFC 6040, figure 4: keeps the marks that routers on the path have set. */
static __always_inline __u8 join_ecn(const struct packet *outer,
				     const struct packet *inner)
{
	const __u8 said = tos_of(outer) & ECN, had = tos_of(inner) & ECN;

	if (said == ECN_CONGESTION ||
	    (said == ECN_CAPABLE_1 && had == ECN_CAPABLE_0))
		return (tos_of(inner) & ~ECN) | said;
	return tos_of(inner);
}

static __always_inline enum decap_verdict write_tos(void *at,
						    const struct cursor *cursor,
						    const struct packet *inner,
						    __u8 tos)
{
	struct ipv6hdr *ipv6 = at;
	struct iphdr *ipv4 = at;

	if (never(at + sizeof(*ipv4) > cursor->end))
		return DECAP_MALFORMED; /* parse_inner() has checked it */
	if (inner->version == 6) {
		ipv6->priority = tos >> 4;
		ipv6->flow_lbl[0] = (ipv6->flow_lbl[0] & 0xf) | tos << 4;
		return DECAP_NO_OBJECTION;
	}
	/* In the checksum, TOS shares a word with version and header length. */
	ipv4->check = update_checksum(
		ipv4->check, bpf_htons(0x4000 | ipv4->ihl << 8 | tos_of(inner)),
		bpf_htons(0x4000 | ipv4->ihl << 8 | tos));
	ipv4->tos = tos;
	return DECAP_NO_OBJECTION;
}

/* Cuts the outer header out: moves the Ethernet header and tags behind it. */
static __always_inline enum decap_verdict take_off(struct xdp_md *ctx,
						   const struct packet *outer,
						   const struct packet *inner)
{
	void *frame = frame_start(ctx);
	struct vlan_tag tags[MOST_VLAN_TAGS];
	struct ethhdr eth;

	if (never(frame + sizeof(eth) + sizeof(tags) > frame_end(ctx)))
		return DECAP_NO_ROOM; /* two IP headers follow */
	__builtin_memcpy(&eth, frame, sizeof(eth));
	__builtin_memcpy(tags, frame + MACS_LENGTH, sizeof(tags));
	if (!cut_head(ctx, outer->header_length))
		return DECAP_NO_ROOM;
	frame = frame_start(ctx);
	if (never(frame + sizeof(eth) + sizeof(tags) > frame_end(ctx)))
		return DECAP_NO_ROOM; /* one IP header follows */
	__builtin_memcpy(frame, &eth, MACS_LENGTH);
	if (outer->tags > 0)
		__builtin_memcpy(frame + MACS_LENGTH, &tags[0],
				 sizeof(tags[0]));
	if (outer->tags > 1)
		__builtin_memcpy(frame + MACS_LENGTH + sizeof(tags[0]),
				 &tags[1], sizeof(tags[1]));
	frame = behind_link(frame, outer->tags) - sizeof(eth.h_proto);
	if (never(frame + sizeof(eth.h_proto) > frame_end(ctx)))
		return DECAP_NO_ROOM;
	*(__be16 *)frame =
		bpf_htons(inner->version == 6 ? ETH_P_IPV6 : ETH_P_IP);
	return DECAP_DECAPSULATED;
}

/*
 * Decides about a packet of a hot slot. Returns DECAP_SENT_ON or a drop if that ends it,
 * else the verdict that it gets when the outer header is removed.
 */
static __always_inline enum decap_verdict
decide(struct xdp_md *ctx, const struct decap_names *names,
       const struct packet *outer, const struct packet *inner,
       const struct cursor *cursor)
{
	struct named named = read_named(names, outer);
	const struct decap_sibling *sibling;
	const struct place place = {
		.offset = outer->frame_length - room(outer) +
			  outer->header_length,
		.frame_length = outer->frame_length,
		.version = inner->version,
	};
	enum claim claim;

	/* Without a single name it is as cold. */
	if (!named.first && !named.second)
		return DECAP_DECAPSULATED;
	if (named.first && is_plain_syn(cursor, inner))
		return DECAP_TAKEN_HOT;
	claim = claim_of(ctx, &place);
	if (!named.first) {
		/* Sent on for the last time: this host answers, if only by RST. */
		if (claim != CLAIM_SOCKET)
			return DECAP_DECAPSULATED;
		count_found(find_sibling(named.second, outer));
		return DECAP_TAKEN_HOT;
	}
	if (claim == CLAIM_NO_CONNECTION)
		return DECAP_TAKEN_HOT;
	sibling = take_first(names, outer, &named);
	if (claim == CLAIM_SOCKET) {
		count_named(sibling);
		return DECAP_TAKEN_HOT;
	}
	if (!sibling)
		return DECAP_NOBODY_NAMED;
	return send_on(ctx, outer, sibling, source_after(names, outer, &named));
}

static __always_inline enum decap_verdict decapsulate(struct xdp_md *ctx,
						      __u32 *frame_length)
{
	struct cursor cursor = {
		.ctx = ctx,
		.at = frame_start(ctx),
		.end = frame_end(ctx),
	};
	enum decap_verdict verdict, taken = DECAP_DECAPSULATED;
	struct packet outer = {}, inner = {};
	const struct decap_names *names;
	const struct decap_host *filled;
	const __u32 only = 0;
	void *inner_header;
	__u8 tos;

	outer.frame_length = frame_length(ctx);
	*frame_length = outer.frame_length;
	filled = lookup(&host, &only);
	if (never(!filled))
		return DECAP_NOT_IPIP;
	verdict = parse_outer(&cursor, filled, &outer);
	if (verdict != DECAP_NO_OBJECTION)
		return verdict;
	inner_header = cursor.at;
	verdict = parse_inner(&cursor, &outer, &inner);
	if (verdict != DECAP_NO_OBJECTION)
		return verdict;

	names = names_for(filled, &outer);
	if (names) {
		taken = decide(ctx, names, &outer, &inner, &cursor);
		if (taken >= L4LB_FIRST_DROP)
			return taken;
	}

	tos = join_ecn(&outer, &inner);
	if (tos != tos_of(&inner)) {
		if ((tos_of(&inner) & ECN) == ECN_NOT_CAPABLE)
			return DECAP_ECN;
		verdict = write_tos(inner_header, &cursor, &inner, tos);
		if (verdict != DECAP_NO_OBJECTION)
			return verdict;
	}
	return take_off(ctx, &outer, &inner) ?: taken;
}

PROGRAM
int l4lb_decap_1(struct xdp_md *ctx)
{
	__u32 frame_length;
	const enum decap_verdict verdict = decapsulate(ctx, &frame_length);

	count(&verdicts, verdict, frame_length);
	if (verdict == DECAP_SENT_ON)
		return XDP_TX;
	return verdict < L4LB_FIRST_DROP ? XDP_PASS : XDP_DROP;
}

LICENSE;
