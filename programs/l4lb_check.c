// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * l4lb_check: puts the packets of health checks on the way that the balancer's packets
 * take, so that a check passes only if that way works.
 *
 * It gets what the host sends by the balancer's device. The kernel sends checks to the
 * address of their service and to a MAC address that nobody has. The source port of a packet
 * says which destination it is for, and the packet leaves as XDP would send it: with the
 * outer header and the MAC addresses of that destination's entry, by its exit. Answers need
 * no program: the destination sends them to the host's own address.
 *
 * Whatever is to this MAC address and cannot be sent so is dropped. No packet of a check ever
 * takes another way, on which it might pass by mistake.
 */
#define L4LB_HOST
#define L4LB_SKB
#include <linux/pkt_cls.h>

#include "check.h"
#include "datapath/encapsulate.h"
#include "datapath/hash.h"
#include "datapath/l4lb.h"
#include "datapath/link.h"
#include "datapath/parse.h"

/* The balancer's own, with which the program is loaded. */
MAP(device, BPF_MAP_TYPE_ARRAY, 1, sizeof(__u32), sizeof(struct l4lb_device));
MAP(destinations, BPF_MAP_TYPE_ARRAY, L4LB_DESTINATIONS + 1, sizeof(__u32),
    sizeof(struct l4lb_destination));
MAP(exits, BPF_MAP_TYPE_ARRAY, L4LB_EXITS + 1, sizeof(__u32),
    sizeof(struct l4lb_exit));

MAP(checks, BPF_MAP_TYPE_ARRAY, L4LB_CHECKS, sizeof(__u32),
    sizeof(struct l4lb_check));

static __always_inline bool is_of_check(const struct ethhdr *eth)
{
	const __be16 *lower = (const __be16 *)&eth->h_dest[4];

	return *(const __be32 *)eth->h_dest ==
		       bpf_htonl(L4LB_CHECK_MAC_UPPER) &&
	       *lower == bpf_htons(L4LB_CHECK_MAC_LOWER);
}

static __always_inline bool is_same(const void *one, const void *other)
{
	const __u64 *words = one, *others = other;

	return words[0] == others[0] && words[1] == others[1];
}

/* NULL if the port is of no check, or the id has become another destination's. */
static __always_inline const struct l4lb_destination *
find_checked(const struct packet *packet)
{
	const __be32 ports = packet->ports;
	const __be16 port = ((const struct ports *)&ports)->source;
	const __u32 number = (bpf_ntohs(port) & (L4LB_CHECK_PORTS - 1)) /
			     L4LB_PORTS_OF_CHECK;
	const struct l4lb_check *check = lookup(&checks, &number);
	const struct l4lb_destination *destination;

	if (!check || !check->destination)
		return NULL;
	destination = lookup(&destinations, &check->destination);
	if (!destination || !destination->service ||
	    !is_same(destination->address, check->address))
		return NULL;
	return destination;
}

/*
 * A frame that the kernel has yet to cut into segments is longer than they will be. It makes
 * these shorter by the outer header.
 */
static __always_inline bool is_too_big(const struct __sk_buff *ctx,
				       const struct packet *packet,
				       const struct l4lb_destination *to)
{
	return !ctx->gso_size && packet->length > to->largest_packet;
}

/* Makes the frame what XDP would send; the hash is that of a service by source and ports. */
static __always_inline bool readdress_check(struct __sk_buff *ctx,
					    const struct l4lb_device *settings,
					    const struct packet *packet,
					    const struct l4lb_destination *to)
{
	const __u32 source =
		fold(settings->slot_seed, packet->source.word, packet->version);
	const __u32 flow = mix(settings->slot_seed, source, packet->ports);
	__u64 length;

	if (to->forward == L4LB_TUNNEL)
		return encapsulate(ctx, settings, packet, to, flow, 0,
				   &length) == L4LB_NO_OBJECTION;
	if (to->forward == L4LB_LINK)
		return readdress(ctx, settings, to) == L4LB_NO_OBJECTION;
	return false; /* by nat and on this host it is the destination's own address */
}

/* Sends the frame by another device, with its MAC address as the source. */
static __always_inline int leave_by(struct __sk_buff *ctx, __u32 number)
{
	const struct l4lb_exit *way_out = lookup(&exits, &number);
	void *frame = frame_start(ctx);
	union mac from;

	if (!way_out || !way_out->ifindex ||
	    frame + sizeof(struct ethhdr) > frame_end(ctx))
		return TC_ACT_SHOT;
	from = read_mac(way_out->mac);
	write_ethernet(frame, read_mac(frame),
		       read_mac_before(way_out->mac,
				       *(__be16 *)(frame + MACS_LENGTH)));
	if (from.behind && bpf_skb_vlan_push(ctx, bpf_htons(ETH_P_8021Q),
					     bpf_ntohs(from.behind)))
		return TC_ACT_SHOT;
	return bpf_redirect(way_out->ifindex, 0);
}

/* The number in the name is the version of check.h. */
PROGRAM
int l4lb_check_1(struct __sk_buff *ctx)
{
	struct cursor cursor = { ctx, frame_start(ctx), frame_end(ctx) };
	const struct ethhdr *eth = frame_start(ctx);
	struct packet packet = { .frame_length = frame_length(ctx) };
	const struct l4lb_destination *to;
	const struct l4lb_device *settings;
	const __u32 only = 0;

	/* Other filters may look at what is not ours. */
	if ((void *)(eth + 1) > frame_end(ctx) || !is_of_check(eth))
		return TC_ACT_UNSPEC;
	settings = lookup(&device, &only);
	if (!settings || parse(&cursor, &packet) != L4LB_NO_OBJECTION ||
	    packet.tags || packet.is_fragment)
		return TC_ACT_SHOT;
	to = find_checked(&packet);
	if (!to || is_too_big(ctx, &packet, to) ||
	    !readdress_check(ctx, settings, &packet, to))
		return TC_ACT_SHOT;
	return to->exit ? leave_by(ctx, to->exit) : TC_ACT_OK;
}

LICENSE;
