// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * l4lb_decap: the destination's end of the way, for a host without tunnel devices.
 *
 *   frame -> is it IP in IP for this host? -> take the outer header off -> XDP_PASS
 *
 * XDP cannot ask which addresses the host has, so l4lb-load writes them into a
 * map. Loaded by hand the program knows none, and then takes the outer header
 * off every packet of IP in IP that comes in.
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>

#define L4LB_HOST
#include "datapath/counters.h"
#include "datapath/decap.h"
#include "datapath/link.h"
#include "datapath/parse.h"
#include "datapath/sums.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct decap_host));
} host SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DECAP_ADDRESSES);
	__uint(key_size, 16);
	__uint(value_size, sizeof(__u32));
} addresses SEC(".maps");

struct {
	__uint(type, COUNTER_MAP);
	__uint(max_entries, L4LB_VERDICT_ENTRIES);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct l4lb_counter));
} verdicts SEC(".maps");

static __always_inline bool is_this_host(const struct address *address)
{
	const struct decap_host *filled;
	const __u32 only = 0;

	filled = bpf_map_lookup_elem(&host, &only);
	if (!filled || !filled->abi)
		return true;
	return bpf_map_lookup_elem(&addresses, address);
}

/* What is inside, by the protocol of the outer header: 4, 6, or 0. */
static __always_inline __u8 version_inside(__u8 protocol)
{
	if (protocol == IPPROTO_IPIP)
		return 4;
	return protocol == IPPROTO_IPV6 ? 6 : 0;
}

/*
 * The outer header, with the cursor left behind it. Extension headers are none of
 * ours: the stack walks them, and decapsulates what is behind them if it can.
 */
static __always_inline enum decap_verdict parse_outer(struct cursor *cursor,
						      struct packet *outer)
{
	const __be16 type = parse_link(cursor, outer);
	enum l4lb_verdict verdict = L4LB_NOT_IP;

	if (type == bpf_htons(ETH_P_IP))
		verdict = parse_ipv4(cursor, outer);
	else if (type == bpf_htons(ETH_P_IPV6))
		verdict = parse_ipv6_header(cursor, outer);
	if (verdict || !version_inside(outer->protocol))
		return DECAP_NOT_IPIP;
	if (!is_this_host(&outer->address))
		return DECAP_NOT_THIS_HOST;
	/* The stack puts fragments together, and decapsulates them if it can. */
	if (outer->is_fragment)
		return DECAP_NOT_IPIP;
	if (outer->length > room(outer) || outer->length < outer->header_length)
		return DECAP_MALFORMED;
	return DECAP_DECAPSULATED;
}

/* The inner packet must be all there, and be what the outer header says it is. */
static __always_inline enum decap_verdict
parse_inner(struct cursor *cursor, const struct packet *outer,
	    struct packet *inner)
{
	enum l4lb_verdict verdict;

	if (version_inside(outer->protocol) == 6)
		verdict = parse_ipv6_header(cursor, inner);
	else
		verdict = parse_ipv4(cursor, inner);
	if (verdict || inner->length < inner->header_length ||
	    inner->length > outer->length - outer->header_length)
		return DECAP_MALFORMED;
	return DECAP_DECAPSULATED;
}

#define ECN 3
#define ECN_NOT_CAPABLE 0
#define ECN_CAPABLE_1 1
#define ECN_CAPABLE_0 2
#define ECN_CONGESTION 3

/* RFC 6040, figure 4: what routers on the way have said is not to be lost. */
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

	if (at + sizeof(*ipv4) > cursor->end)
		return DECAP_MALFORMED; /* never: parse_inner() saw it */
	if (inner->version == 6) {
		ipv6->priority = tos >> 4;
		ipv6->flow_lbl[0] = (ipv6->flow_lbl[0] & 0xf) | tos << 4;
		return DECAP_DECAPSULATED;
	}
	/* TOS shares a word of the sum with version and header length. */
	ipv4->check = update_checksum(
		ipv4->check, bpf_htons(0x4000 | ipv4->ihl << 8 | tos_of(inner)),
		bpf_htons(0x4000 | ipv4->ihl << 8 | tos));
	ipv4->tos = tos;
	return DECAP_DECAPSULATED;
}

/* Moves the head of the frame, and Ethernet header and tags with it. */
static __always_inline enum decap_verdict take_off(struct xdp_md *ctx,
						   const struct packet *outer,
						   const struct packet *inner)
{
	void *frame = (void *)(long)ctx->data;
	struct vlan_tag tags[MOST_VLAN_TAGS];
	struct ethhdr eth;

	if (frame + sizeof(eth) + sizeof(tags) > (void *)(long)ctx->data_end)
		return DECAP_NO_ROOM; /* never: there are two headers more */
	__builtin_memcpy(&eth, frame, sizeof(eth));
	__builtin_memcpy(tags, frame + MACS_LENGTH, sizeof(tags));
	if (bpf_xdp_adjust_head(ctx, outer->header_length))
		return DECAP_NO_ROOM;
	frame = (void *)(long)ctx->data;
	if (frame + sizeof(eth) + sizeof(tags) > (void *)(long)ctx->data_end)
		return DECAP_NO_ROOM; /* never: there is one */
	__builtin_memcpy(frame, &eth, MACS_LENGTH);
	if (outer->tags > 0)
		__builtin_memcpy(frame + MACS_LENGTH, &tags[0],
				 sizeof(tags[0]));
	if (outer->tags > 1)
		__builtin_memcpy(frame + MACS_LENGTH + sizeof(tags[0]),
				 &tags[1], sizeof(tags[1]));
	frame = behind_link(frame, outer->tags) - sizeof(eth.h_proto);
	if (frame + sizeof(eth.h_proto) > (void *)(long)ctx->data_end)
		return DECAP_NO_ROOM; /* never */
	*(__be16 *)frame =
		bpf_htons(inner->version == 6 ? ETH_P_IPV6 : ETH_P_IP);
	return DECAP_DECAPSULATED;
}

static __always_inline enum decap_verdict decapsulate(struct xdp_md *ctx,
						      __u32 *frame_length)
{
	struct cursor cursor = {
		.at = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};
	struct packet outer = {}, inner = {};
	enum decap_verdict verdict;
	void *inner_header;
	__u8 tos;

	outer.frame_length = length_of_frame(ctx);
	*frame_length = outer.frame_length;
	verdict = parse_outer(&cursor, &outer);
	if (verdict)
		return verdict;
	inner_header = cursor.at;
	verdict = parse_inner(&cursor, &outer, &inner);
	if (verdict)
		return verdict;

	tos = join_ecn(&outer, &inner);
	if (tos != tos_of(&inner)) {
		if ((tos_of(&inner) & ECN) == ECN_NOT_CAPABLE)
			return DECAP_ECN;
		verdict = write_tos(inner_header, &cursor, &inner, tos);
		if (verdict)
			return verdict;
	}
	return take_off(ctx, &outer, &inner);
}

SEC(XDP_SECTION)
int l4lb_decap_1(struct xdp_md *ctx)
{
	__u32 frame_length;
	const enum decap_verdict verdict = decapsulate(ctx, &frame_length);

	count(&verdicts, verdict, frame_length);
	return verdict < L4LB_FIRST_DROP ? XDP_PASS : XDP_DROP;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
