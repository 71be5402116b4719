/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way back: what a destination sends to a client, and ICMP errors about what the
 * client sent. By nat they come back through us and get the service's address and port as
 * their source. By link they have these already, and come through us only where we are the
 * router of the destinations.
 *
 * Such packets are found when no service wants them: those of full-nat by the port of ours
 * that they are sent to, and the others by where they come from. For these the table
 * `answers` has the address, port and protocol of each destination by nat, and of each
 * service by link. The destinations of that have the same address, so the MAC address that
 * the frame comes from tells them apart. A frame from any other is nobody's answer.
 *
 * Then they pass to the host, which routes them. Where the tools say so, XDP sends them
 * itself by the kernel's routes, if it can: the kernel has all that it needs for it,
 * nothing has to be said to anyone, and the device is one that the tools know. Everything
 * else passes.
 */
#ifndef ANSWERS_H
#define ANSWERS_H

#include "full_nat.h"
#include "leave.h"
#include "maps.h"
#include "parse.h"
#include "service.h"
#include "translate.h"

#ifdef L4LB_HOST

/* From <sys/socket.h>, which cannot be included for BPF. */
#define AF_INET 2
#define AF_INET6 10

static __always_inline bool has_answers(const struct l4lb_device *device)
{
	return device->flags & (L4LB_DEVICE_ANSWERS | L4LB_DEVICE_POOLS);
}

/* Finds what a packet is an answer for by where it comes from; changes the port of `ends`. */
static __always_inline const struct l4lb_answer *
find_answer(struct ends *ends, union layout layout)
{
	const struct l4lb_answer *answer;

	if (ends->from.port) {
		answer = find(&answers, &ends->from);
		if (answer)
			return answer;
		ends->from.port = 0;
	}
	answer = find(&answers, &ends->from);
	if (answer && answer->flags & L4LB_ANSWER_FRAGMENTS &&
	    layout.flags & LAYOUT_PORTS)
		return NULL;
	return answer;
}

/* Takes one hop from an IP header whose bytes are there. */
static __always_inline void take_hop(void *header, const bool is_ipv6)
{
	struct ipv6hdr *ipv6 = header;
	struct iphdr *ip = header;

	if (is_ipv6) {
		ipv6->hop_limit--;
		return;
	}
	/* The TTL is the upper byte of a word of the header. */
	ip->check = carry_checksum(ip->check, changed(bpf_htons(1 << 8), 0));
	ip->ttl--;
}

/*
 * Asks the kernel where a packet goes; false if it has to see the packet itself, also
 * because its hops are used up.
 */
static __always_inline bool ask_route(struct xdp_md *ctx, void *header,
				      const bool is_ipv6,
				      struct bpf_fib_lookup *route)
{
	const struct ipv6hdr *ipv6 = header;
	const struct iphdr *ip = header;

	route->ifindex = ingress(ctx);
	if (is_ipv6) {
		if (ipv6->hop_limit <= 1)
			return false;
		route->family = AF_INET6;
		route->l4_protocol = ipv6->nexthdr;
		route->tot_len = bpf_ntohs(ipv6->payload_len) + sizeof(*ipv6);
		route->flowinfo = *(const __be32 *)ipv6 & bpf_htonl(0xfffffff);
		__builtin_memcpy(route->ipv6_src, &ipv6->saddr,
				 sizeof(route->ipv6_src));
		__builtin_memcpy(route->ipv6_dst, &ipv6->daddr,
				 sizeof(route->ipv6_dst));
	} else {
		if (ip->ttl <= 1)
			return false;
		route->family = AF_INET;
		route->l4_protocol = ip->protocol;
		route->tot_len = bpf_ntohs(ip->tot_len);
		route->tos = ip->tos;
		route->ipv4_src = ip->saddr;
		route->ipv4_dst = ip->daddr;
	}
	return find_route(ctx, route);
}

/* Writes the MAC addresses that the kernel has for the way. */
static __always_inline void write_macs(struct ethhdr *eth,
				       const struct bpf_fib_lookup *route)
{
	__builtin_memcpy(eth->h_dest, route->dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, route->smac, ETH_ALEN);
}

/*
 * Sends a packet without tags, options and extension headers by the kernel's routes. Returns
 * XDP_PASS with the packet as it was if the kernel has to do that itself.
 */
static __always_inline int send_by_route(struct xdp_md *ctx, const bool is_ipv6)
{
	const __u32 least = is_ipv6 ? sizeof(struct ipv6hdr) :
				      sizeof(struct iphdr);
	struct ethhdr *eth = frame_start(ctx);
	const union layout layout = {}; /* no tags */
	void *ip = find_header(ctx, layout);
	struct bpf_fib_lookup route = {};
	const struct l4lb_exit *way_out;
	const __u32 *number;
	int action = XDP_TX;

	if (never((void *)(eth + 1) > frame_end(ctx) ||
		  ip + least > frame_end(ctx)) ||
	    !ask_route(ctx, ip, is_ipv6, &route))
		return XDP_PASS;
	if (route.ifindex != ingress(ctx)) {
		number = find(&exit_numbers, &route.ifindex);
		if (!number)
			return XDP_PASS;
		way_out = lookup(&exits, number);
		if (!way_out || read_mac(way_out->mac).behind)
			return XDP_PASS; /* it is that of a VLAN on this device */
		action = redirect(&exit_devices, *number);
		if (action != XDP_REDIRECT)
			return XDP_PASS;
	}
	take_hop(ip, is_ipv6);
	write_macs(eth, &route);
	return action;
}

static __noinline int send_answer(struct xdp_md *ctx, bool is_ipv6)
{
	return is_ipv6 ? send_by_route(ctx, true) : send_by_route(ctx, false);
}

/*
 * An ICMP error is rare, and a packet with options is for the kernel to look at. So is one
 * with a tag: the device of its VLAN has routes, rules and settings that only the kernel
 * finds.
 */
static __always_inline bool may_be_sent(const struct l4lb_device *device,
					union layout layout)
{
	return device->flags & L4LB_DEVICE_XDP_ANSWERS &&
	       !(layout.flags & LAYOUT_ERROR) && !tags_in(layout) &&
	       layout.header_lengths == (is_ipv6_in(layout) ?
						 sizeof(struct ipv6hdr) :
						 sizeof(struct iphdr));
}

/*
 * Checks that a frame is for the device that it came in on. That is the program's own, or
 * an exit that shares the program.
 */
static __always_inline enum l4lb_verdict
check_either_mac(struct xdp_md *ctx, const struct l4lb_device *device)
{
	const __u32 ifindex = ingress(ctx);
	const struct ethhdr *eth = frame_start(ctx);
	const struct l4lb_exit *own;
	const __u32 *number;

	if (check_mac(ctx, device) == L4LB_NO_OBJECTION)
		return L4LB_NO_OBJECTION;
	number = find(&exit_numbers, &ifindex);
	if (!number)
		return L4LB_NOT_FOR_US;
	own = lookup(&exits, number);
	if (never(!own || (void *)(eth + 1) > frame_end(ctx)))
		return L4LB_NOT_FOR_US;
	return is_mac(own->mac, eth) ? L4LB_NO_OBJECTION : L4LB_NOT_FOR_US;
}

/* Finds the destination of a service by link that has sent a frame; overwrites `ends`. */
static __always_inline const struct l4lb_answer *
find_sender(struct xdp_md *ctx, struct ends *ends, __u16 service)
{
	const struct ethhdr *eth;
	union mac mac;

	/*
	 * Without the asm, clang takes the end that it has read before, as a number of 32
	 * bits, which the verifier knows nothing of.
	 */
	asm("" ::: "memory");
	eth = frame_start(ctx);
	if (never((void *)(eth + 1) > frame_end(ctx)))
		return NULL; /* all of it has been read */
	mac = read_mac_before(eth->h_source, service);
	ends->sender = (struct l4lb_sender_key){};
	__builtin_memcpy(&ends->sender, &mac, sizeof(mac));
	return find(&answers, &ends->sender);
}

/*
 * Gives an answer of a nat destination the service's address, and its port if that has
 * one. By link it has them. Overwrites `ends`.
 */
static __always_inline enum l4lb_verdict
turn_back_to_service(struct xdp_md *ctx, union layout layout, struct ends *ends,
		     const struct l4lb_answer *answer)
{
	enum l4lb_verdict verdict = L4LB_NO_OBJECTION;

	if (answer->flags & L4LB_ANSWER_LINK) {
		answer = find_sender(ctx, ends, answer->destination);
		if (!answer)
			return L4LB_NOT_OURS;
	} else {
		verdict = write_source(ctx, layout, answer->address,
				       answer->port);
	}
	if (verdict == L4LB_NO_OBJECTION)
		count(&returned, answer->destination, frame_length(ctx));
	return verdict;
}

/*
 * Turns a packet back if it is an answer; otherwise it stays as it is. What cannot be
 * turned back is nobody's packet.
 */
static __always_inline enum l4lb_verdict
turn_back(struct xdp_md *ctx, const struct l4lb_device *device,
	  union layout layout, int *action)
{
	const struct l4lb_answer *answer = NULL;
	enum l4lb_verdict verdict;
	struct ends ends = {};
	__u32 number = NO_NUMBER;

	if (never(!read_ends(ctx, layout, &ends)))
		return L4LB_NOT_OURS;
	if (device->flags & L4LB_DEVICE_POOLS)
		number = number_of(&ends.to, ends.from.version, ends.port);
	if (number == NO_NUMBER && device->flags & L4LB_DEVICE_ANSWERS)
		answer = find_answer(&ends, layout);
	if (number == NO_NUMBER && !answer)
		return L4LB_NOT_OURS;
	verdict = check_either_mac(ctx, device);
	if (verdict != L4LB_NO_OBJECTION)
		return verdict;
	verdict = answer ? turn_back_to_service(ctx, layout, &ends, answer) :
			   turn_back_to_client(ctx, layout, number, &ends);
	if (verdict == L4LB_MALFORMED || verdict == L4LB_NO_CONNECTION) {
		*action = XDP_DROP; /* a part of it has been changed */
		return verdict;
	}
	if (verdict != L4LB_NO_OBJECTION)
		return L4LB_NOT_OURS;
	if (!may_be_sent(device, layout))
		return L4LB_ANSWER_PASSED;
	*action = send_answer(ctx, is_ipv6_in(layout));
	return *action == XDP_PASS ? L4LB_ANSWER_PASSED : L4LB_ANSWER_SENT;
}

/* Counts the packet and returns its action. It is not static for the reason of full_nat(). */
__noinline int look_for_answer(struct xdp_md *ctx, __u64 layout)
{
	const struct l4lb_device *device = this_device();
	const union layout where = { .word = layout };
	const __u64 length = frame_length(ctx);
	int action = XDP_PASS;

	if (never(!device))
		return XDP_PASS;
	count(&verdicts, turn_back(ctx, device, where, &action), length);
	return action;
}

/* Goes on with a packet of which only the layout is left. */
static __always_inline int go_on(struct xdp_md *ctx, __u64 word)
{
	const union layout layout = { .word = word };

	return layout.id ? full_nat(ctx, word) : look_for_answer(ctx, word);
}

/* Tells a layout from a verdict or an action: its upper half has flags, or a protocol. */
static __always_inline bool is_layout(__u64 next)
{
	return next >> 32;
}

#else

#define has_answers(device) false
#define layout_of(packet, id) XDP_PASS
#define is_layout(next) false
#define go_on(ctx, next) XDP_PASS

#endif
#endif
