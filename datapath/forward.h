/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Step 5, forward: how the packet reaches its destination. The service chooses one way
 * for all its destinations, and each entry has it, because the program reads the entry
 * anyway.
 *
 * - A tunnel: encapsulate.h adds an outer header. It works across routers, and the
 *   destination needs a tunnel device or l4lb_decap.o.
 * - The link: the frame gets other MAC addresses, and nothing else in it changes. It
 *   costs less than a tunnel and nothing of the MTU, and IPv4, IPv6, tags and fragments
 *   are all alike. The destination has the service's address on its loopback device, and
 *   has to be on the same link: a router would send the packet back to us.
 * - A destination on this host, which a service of any way may have among others: the
 *   packet passes to the kernel as it is, and programs/l4lb_steer.c hands it to the server
 *   (host build).
 * - NAT: as by the link, and translate.h puts the destination's address and port in place
 *   of the service's. The destination needs nothing but a route for its answers that leads
 *   through us. Only the host build can do it.
 * - Full NAT: full_nat.h puts a source of ours into the packet, too. It goes a way of its
 *   own, because a connection may have another destination than its slot.
 */
#ifndef FORWARD_H
#define FORWARD_H

#include "encapsulate.h"
#include "link.h"
#include "parse.h"
#include "translate.h"

#ifdef L4LB_HOST
#define is_local(destination) ((destination)->forward == L4LB_LOCAL)
#define is_nat(destination) ((destination)->forward == L4LB_NAT)
#else
#define is_local(destination) false
#define is_nat(destination) false
#endif

static __always_inline enum l4lb_verdict
forward(struct xdp_md *ctx, const struct l4lb_device *device,
	const struct packet *packet, const struct l4lb_destination *destination,
	__u32 flow, __be32 names, __u64 *sent_length)
{
	/* One comparison for a tunnel. */
	if (destination->forward != L4LB_TUNNEL) {
		*sent_length = packet->frame_length;
		if (destination->forward == L4LB_LINK)
			return readdress(ctx, device, destination);
		if (is_local(destination))
			return L4LB_LOCAL_SERVER;
		if (is_nat(destination))
			return translate(ctx, packet, destination) ?:
				       readdress(ctx, device, destination);
	}
	return encapsulate(ctx, device, packet, destination, flow, names,
			   sent_length);
}

#endif
