/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way back of nat: what a destination sends to a client, and ICMP errors about what
 * the client sent, come back through us and get the service's address and port as their
 * source. Such packets are found when no service wants them, by where they come from: the
 * table `answers` has the address, port and protocol of each destination.
 *
 * Then they pass to the host, which routes them. Where the tools say so, XDP sends them
 * itself by the kernel's routes, if it can: the kernel has all that it needs for it,
 * nothing has to be said to anyone, and the device is one that the tools know. Everything
 * else passes.
 */
#ifndef ANSWERS_H
#define ANSWERS_H

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
	return device->flags & L4LB_DEVICE_ANSWERS;
}

/* Writes one end's address into a key; all bytes of the header are there. */
static __always_inline void read_end(struct l4lb_answer_key *key,
				     const void *header, const bool is_ipv6,
				     const bool is_source)
{
	struct address *address = (struct address *)key->address;
	const struct ipv6hdr *ipv6 = header;
	const struct iphdr *ip = header;

	if (is_ipv6)
		set_ipv6_address(address,
				 is_source ? &ipv6->saddr : &ipv6->daddr);
	else
		set_ipv4_address(address, is_source ? ip->saddr : ip->daddr);
}

/*
 * Reads where a packet comes from, or where the packet went to that an ICMP error quotes.
 * False only if that is not there, and all of it has been read.
 */
static __always_inline bool read_key(struct xdp_md *ctx, union layout layout,
				     const bool is_ipv6,
				     struct l4lb_answer_key *key)
{
	const __u32 least = is_ipv6 ? sizeof(struct ipv6hdr) :
				      sizeof(struct iphdr);
	const void *end = frame_end(ctx);
	void *ip = find_header(ctx, layout);
	const __be32 *ports;
	__be32 both;

	if (layout.flags & LAYOUT_ERROR) {
		ip = behind(ip, header_length(layout.header_lengths) +
					sizeof(struct icmp));
		if (never(ip + least > end))
			return false;
		read_end(key, ip, is_ipv6, false);
		ports = behind(ip, quoted_header_length(layout.header_lengths));
	} else {
		if (never(ip + least > end))
			return false;
		read_end(key, ip, is_ipv6, true);
		key->protocol = protocol_in(ip, layout, is_ipv6);
		ports = behind(ip, header_length(layout.header_lengths));
	}
	if (!(layout.flags & LAYOUT_PORTS))
		return true;
	if (never((void *)(ports + 1) > end))
		return false;
	both = *ports;
	key->port = layout.flags & LAYOUT_ERROR ?
			    ((const struct ports *)&both)->destination :
			    ((const struct ports *)&both)->source;
	return true;
}

static __always_inline const struct l4lb_answer *
find_answer(struct xdp_md *ctx, union layout layout)
{
	struct l4lb_answer_key key = {
		.protocol = layout.protocol,
		.version = layout.version,
	};
	const struct l4lb_answer *answer;

	if (!(layout.version == 6 ? read_key(ctx, layout, true, &key) :
				    read_key(ctx, layout, false, &key)))
		return NULL;
	if (key.port) {
		answer = find(&answers, &key);
		if (answer)
			return answer;
		key.port = 0;
	}
	answer = find(&answers, &key);
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

/* Writes the MAC addresses of a frame that stays on its device. */
static __always_inline void write_macs(struct ethhdr *eth,
				       const struct bpf_fib_lookup *route)
{
	__builtin_memcpy(eth->h_dest, route->dmac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, route->smac, ETH_ALEN);
}

/*
 * Sends a packet without options and extension headers by the kernel's routes. Returns
 * XDP_PASS with the packet as it was if the kernel has to do that itself.
 */
static __always_inline int send_by_route(struct xdp_md *ctx, __u32 tags,
					 const bool is_ipv6)
{
	const __u32 least = is_ipv6 ? sizeof(struct ipv6hdr) :
				      sizeof(struct iphdr);
	struct ethhdr *eth = frame_start(ctx);
	union layout layout = { .tags = tags };
	void *ip = find_header(ctx, layout);
	struct bpf_fib_lookup route = {};
	const struct l4lb_exit *way_out;
	const __u32 *number;
	__u64 sent_length;
	int action;

	if (never((void *)(eth + 1) > frame_end(ctx) ||
		  ip + least > frame_end(ctx)) ||
	    !ask_route(ctx, ip, is_ipv6, &route))
		return XDP_PASS;
	if (route.ifindex == ingress(ctx)) {
		if (tags)
			return XDP_PASS; /* it leaves by another VLAN */
		take_hop(ip, is_ipv6);
		write_macs(eth, &route);
		return XDP_TX;
	}
	number = find(&exit_numbers, &route.ifindex);
	if (!number)
		return XDP_PASS;
	way_out = lookup(&exits, number);
	if (!way_out || read_mac(way_out->mac).behind)
		return XDP_PASS; /* it is that of a VLAN on this device */
	action = redirect(&exit_devices, *number);
	if (action != XDP_REDIRECT)
		return XDP_PASS;
	take_hop(ip, is_ipv6);
	write_macs(eth, &route);
	return leave_by(ctx, tags, *number, &sent_length) ? action : XDP_DROP;
}

static __noinline int send_answer(struct xdp_md *ctx, __u32 version, __u32 tags)
{
	return version == 6 ? send_by_route(ctx, tags, true) :
			      send_by_route(ctx, tags, false);
}

/* An ICMP error is rare, and a packet with options is for the kernel to look at. */
static __always_inline bool may_be_sent(const struct l4lb_device *device,
					union layout layout)
{
	return device->flags & L4LB_DEVICE_XDP_ANSWERS &&
	       !(layout.flags & LAYOUT_ERROR) &&
	       layout.header_lengths == (layout.version == 6 ?
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

/*
 * Turns a packet back if it is an answer; otherwise it stays as it is. What cannot be
 * turned back is nobody's packet.
 */
static __always_inline enum l4lb_verdict
turn_back(struct xdp_md *ctx, const struct l4lb_device *device,
	  union layout layout, int *action)
{
	const struct l4lb_answer *answer = find_answer(ctx, layout);
	enum l4lb_verdict verdict;

	if (!answer)
		return L4LB_NOT_OURS;
	verdict = check_either_mac(ctx, device);
	if (verdict != L4LB_NO_OBJECTION)
		return verdict;
	verdict = translate_back(ctx, layout, answer);
	if (verdict == L4LB_MALFORMED) {
		*action = XDP_DROP; /* a part of it has been changed */
		return verdict;
	}
	if (verdict != L4LB_NO_OBJECTION)
		return L4LB_NOT_OURS;
	if (!may_be_sent(device, layout))
		return L4LB_ANSWER_PASSED;
	*action = send_answer(ctx, layout.version, layout.tags);
	if (*action == XDP_PASS)
		return L4LB_ANSWER_PASSED;
	return *action == XDP_DROP ? L4LB_NO_ROOM : L4LB_ANSWER_SENT;
}

/* Counts the packet and returns its action. */
static __noinline int look_for_answer(struct xdp_md *ctx, __u64 layout)
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

/* Looks for an answer in a packet that no service wants. */
static __always_inline int pass_or_turn_back(struct xdp_md *ctx, __u64 layout)
{
	return look_for_answer(ctx, layout);
}

/* Tells an action from a layout, which has a version in its upper half. */
static __always_inline bool is_action(__u64 layout)
{
	return layout <= XDP_REDIRECT;
}

#else

#define has_answers(device) false
#define layout_of(packet) XDP_PASS
#define forget(layout) XDP_PASS
#define is_action(layout) true
#define pass_or_turn_back(ctx, layout) XDP_PASS

#endif
#endif
