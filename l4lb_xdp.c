// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * l4lb: the path of a packet.
 *
 *   frame -> parse -> service -> slot -> destination -> forward -> count -> XDP_TX
 *
 * Each step is one header in datapath/. A step that ends the path returns a
 * verdict, under which the packet is counted. A packet that is not ours passes to
 * the host's stack unchanged. datapath/l4lb.h explains the maps and verdicts.
 *
 * Plain IPv4, which is nearly all traffic, is compiled apart from everything else.
 *
 * This file is compiled three times: without options for every mode, including a
 * SmartNIC's; with L4LB_HOST for the host alone; and with L4LB_HOST and L4LB_FRAGS
 * for jumbo frames on the host.
 */
#include "datapath/l4lb.h"
#include "datapath/maps.h"

/*
 * A SmartNIC has no room for a call. On the host the function is not static, so that the
 * verifier looks at it once, and takes nothing of what it returns for known.
 */
#ifdef L4LB_HOST
#define SLOW_PATH __noinline
#else
#define SLOW_PATH static __always_inline
#define NO_CALLS
#endif

#include "datapath/parse.h"
#include "datapath/quote.h"
#include "datapath/service.h"
#include "datapath/echo.h"
#include "datapath/slot.h"
#include "datapath/too_big.h"
#include "datapath/forward.h"
#include "datapath/leave.h"
#include "datapath/full_nat.h"
#include "datapath/answers.h"

/*
 * Sends a packet to its destination and returns its verdict, or the layout of a packet that
 * goes on elsewhere: see any_packet(). The action is another one if the packet leaves by
 * another device.
 */
static __always_inline __u64 balance(struct xdp_md *ctx,
				     const struct l4lb_device *device,
				     const struct packet *packet,
				     union target target, int *action)
{
	const struct l4lb_destination *destination;
	enum l4lb_verdict verdict;
	__u64 sent_length;
	__u32 flow, id;
	__be32 names;

	flow = hash_of_flow(device, packet, target);
	destination = find_destination(ctx, device, packet, target, flow, &id,
				       &names);
	if (!destination)
		return L4LB_EMPTY_SLOT;

	if (packet->length > destination->largest_packet)
		return tell_sender(ctx, packet, destination->largest_packet);
	if (is_full_nat(destination))
		return layout_of(packet, id);
	if (!find_exit(destination, action))
		return L4LB_EXIT_GONE;
	verdict = forward(ctx, device, packet, destination, flow, names,
			  &sent_length);
	if (verdict != L4LB_NO_OBJECTION && verdict != L4LB_LOCAL_SERVER)
		return verdict;
	if (verdict == L4LB_NO_OBJECTION)
		sent_length = leave(ctx, packet, destination, sent_length);
	if (!sent_length)
		return L4LB_NO_ROOM;

	count(&counters, id, sent_length);
	return verdict; /* L4LB_BALANCED is no objection */
}

/* Counts the packet and returns its action. balance() counts balanced packets itself. */
static __always_inline int finish(enum l4lb_verdict verdict,
				  const struct packet *packet, int action)
{
	if (verdict == L4LB_BALANCED)
		return action;
	count(&verdicts, verdict, packet->frame_length);
	if (verdict >= L4LB_FIRST_ANSWER)
		return XDP_TX;
	return verdict < L4LB_FIRST_DROP ? XDP_PASS : XDP_DROP;
}

static __always_inline void begin(struct xdp_md *ctx, struct cursor *cursor,
				  struct packet *packet)
{
	cursor->ctx = ctx;
	cursor->at = frame_start(ctx);
	cursor->end = frame_end(ctx);
	packet->frame_length = frame_length(ctx);
}

/*
 * Handles IPv6, VLAN tags, fragments, ICMP, and whatever else a network sends. Returns its
 * action; or the layout of a packet that goes on elsewhere, because there is no room for it
 * on the stack here: by full-nat, or, if no service wants it, perhaps as an answer.
 */
SLOW_PATH __u64 any_packet(struct xdp_md *ctx)
{
	const struct l4lb_device *device = this_device();
	struct packet packet = {};
	enum l4lb_verdict verdict;
	struct cursor cursor;
	union target target;
	int action = XDP_TX;
	__u64 next;

	if (never(!device))
		return XDP_PASS; /* the map has its one entry */
	begin(ctx, &cursor, &packet);
	verdict = parse(&cursor, &packet);
	if (verdict == L4LB_NOT_TCP_OR_UDP)
		verdict = answer_echo(ctx, device, &packet, &cursor);
	if (verdict == L4LB_NOT_TCP_OR_UDP)
		verdict = parse_quote(&cursor, &packet);
	if (verdict == L4LB_NO_OBJECTION)
		verdict = find_service(device, &packet, &target);
	if (verdict == L4LB_NOT_OURS && has_answers(device))
		return layout_of(&packet, 0);
	if (verdict == L4LB_NO_OBJECTION)
		verdict = check_mac(ctx, device);
	if (verdict == L4LB_NO_OBJECTION) {
		next = balance(ctx, device, &packet, target, &action);
		if (is_layout(next))
			return next;
		verdict = next;
	}
	return finish(refuse(ctx, device, &packet, verdict), &packet, action);
}

/* The name tells tools the ABI version before they read anything. */
PROGRAM
int l4lb_2(struct xdp_md *ctx)
{
	const struct l4lb_device *device = this_device();
	struct packet packet = {};
	enum l4lb_verdict verdict;
	struct cursor cursor;
	union target target;
	int action = XDP_TX;
	__u64 next;

	if (never(!device))
		return XDP_PASS;
	begin(ctx, &cursor, &packet);
	if (!parse_plain(device, &cursor, &packet)) {
		next = any_packet(ctx);
		return is_layout(next) ? go_on(ctx, next) : next;
	}
	verdict = find_service(device, &packet, &target);
	if (verdict == L4LB_NO_OBJECTION) {
		next = balance(ctx, device, &packet, target, &action);
		if (is_layout(next))
			return go_on(ctx, next);
		verdict = next;
	} else if (verdict == L4LB_NOT_OURS && has_answers(device)) {
		return go_on(ctx, layout_of(&packet, 0));
	}
	return finish(verdict, &packet, action);
}

LICENSE;
