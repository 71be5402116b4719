// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * l4lb_decap: the destination's end of the way, for a host without ipip module.
 *
 *   frame -> is it IPIP for this host? -> take the outer header off -> XDP_PASS
 *
 * XDP cannot ask which addresses the host has, so l4lb-load writes them into a
 * map. Loaded by hand the program knows none, and then takes the outer header
 * off every IPIP packet that comes in.
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>

#define L4LB_HOST
#include "datapath/counters.h"
#include "datapath/decap.h"
#include "datapath/parse.h"

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

static __always_inline bool is_this_host(__be32 address)
{
	const __be32 key[4] = { 0, 0, bpf_htonl(0xffff), address };
	const struct decap_host *filled;
	const __u32 only = 0;

	filled = bpf_map_lookup_elem(&host, &only);
	if (!filled || !filled->abi)
		return true;
	return bpf_map_lookup_elem(&addresses, key);
}

/* The length of the outer header, or the verdict that ends the way here. */
static __always_inline enum decap_verdict check_outer(struct cursor *cursor,
						      __u32 *outer_length)
{
	const struct iphdr *outer, *inner;
	__u32 length;

	if (parse_ethernet(cursor))
		return DECAP_NOT_IPIP;
	outer = cursor->at;
	if ((void *)(outer + 1) > cursor->end ||
	    outer->protocol != IPPROTO_IPIP || outer->version != 4)
		return DECAP_NOT_IPIP;
	if (!is_this_host(outer->daddr))
		return DECAP_NOT_THIS_HOST;

	/* The stack puts fragments together, and decapsulates them if it can. */
	if (outer->frag_off & bpf_htons(IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET))
		return DECAP_NOT_IPIP;
	*outer_length = outer->ihl * 4;
	length = bpf_ntohs(outer->tot_len);
	if (*outer_length < sizeof(*outer) ||
	    length > cursor->end - cursor->at ||
	    length < *outer_length + sizeof(*inner))
		return DECAP_MALFORMED;
	inner = cursor->at + *outer_length;
	if ((void *)(inner + 1) > cursor->end || inner->version != 4 ||
	    inner->ihl * 4 < sizeof(*inner) ||
	    bpf_ntohs(inner->tot_len) > length - *outer_length)
		return DECAP_MALFORMED;
	return DECAP_DECAPSULATED;
}

/* Moves the head of the frame, and the Ethernet header with it. */
static __always_inline enum decap_verdict take_off(struct xdp_md *ctx,
						   __u32 outer_length)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct ethhdr copy;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return DECAP_NO_ROOM;
	copy = *eth;
	if (bpf_xdp_adjust_head(ctx, outer_length))
		return DECAP_NO_ROOM;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return DECAP_NO_ROOM;
	*eth = copy;
	return DECAP_DECAPSULATED;
}

SEC("xdp")
int l4lb_decap_1(struct xdp_md *ctx)
{
	struct cursor cursor = {
		.at = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};
	const __u32 frame_length = cursor.end - cursor.at;
	enum decap_verdict verdict;
	__u32 outer_length = 0;

	verdict = check_outer(&cursor, &outer_length);
	if (verdict == DECAP_DECAPSULATED)
		verdict = take_off(ctx, outer_length);
	count(&verdicts, verdict, frame_length);
	return verdict < L4LB_FIRST_DROP ? XDP_PASS : XDP_DROP;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
