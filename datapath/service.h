/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Step 2, service: do we balance this address, port and protocol?
 *
 * The cells are an array, not a hash map. A lookup in an array is a load; in a
 * hash map it is a call, and takes twice as long as everything else. The tools
 * choose the seed so that no two ways into a service share a cell.
 */
#ifndef SERVICE_H
#define SERVICE_H

#include "hash.h"
#include "maps.h"
#include "parse.h"

#define PORT_SSH 22
#define PORT_DHCP_SERVER 67
#define PORT_DHCP_CLIENT 68
#define PORT_DHCPV6_CLIENT 546
#define PORT_DHCPV6_SERVER 547

/* A cell's target, read as one word so that it is never half old and half new. */
union target {
	__u64 word;
	struct {
		__u32 first_slot;
		__u16 service;
		__u8 shift;
		__u8 flags;
	};
};

/* Port, protocol and version, as they lie in a cell and go into the hash. */
union way {
	__u32 word;
	struct {
		__be16 port;
		__u8 protocol;
		__u8 version;
	};
};

/* The part of a cell that is compared as one word. */
union end_of_cell {
	__u64 word;
	struct {
		__be32 address; /* the last 4 bytes of it */
		__u32 way;
	};
};

/* Unless the version is 6, the last 4 bytes are the whole address. */
static __always_inline bool is_cell_of(const struct l4lb_cell *cell,
				       const struct address *address,
				       union way way)
{
	const union end_of_cell end = {
		.address = address->word[3],
		.way = way.word,
	};
	const __be32 *words = (const __be32 *)cell->address;

	if (*(const __u64 *)&words[3] != end.word)
		return false;
	return way.version != 6 ||
	       (words[0] == address->word[0] && words[1] == address->word[1] &&
		words[2] == address->word[2]);
}

static __always_inline union target read_cell(const struct l4lb_device *device,
					      const struct address *address,
					      union way way)
{
	const __u32 folded =
		fold(device->cell_seed, address->word, way.version);
	const __u32 key = hash_of_way(device->cell_seed, folded, way.word,
				      __builtin_ctz(L4LB_CELLS));
	const union target none = {};
	const struct l4lb_cell *cell;
	union target target;

	cell = lookup(&services, &key);
	if (!cell || !is_cell_of(cell, address, way))
		return none;
	target.word = read_word(&cell->first_slot);
	return target;
}

/* Finds the way in by an address and a port; port 0 stands for all ports. */
static __always_inline union target
way_by_port(const struct l4lb_device *device, const struct packet *packet,
	    __u8 protocol, __be16 port)
{
	const union way way = {
		.port = port,
		.protocol = protocol,
		.version = packet->version,
	};

	return read_cell(device, &packet->address, way);
}

/* Finds the way in by any address, of either version. */
static __always_inline union target way_by_any(const struct l4lb_device *device,
					       __u8 protocol)
{
	const union way way = { .protocol = protocol };
	const struct address any = {};

	return read_cell(device, &any, way);
}

/* Finds packets that a service on all ports leaves to the host. */
static __always_inline enum l4lb_verdict
kept_for_host(const struct l4lb_device *device, const struct packet *packet,
	      union target target)
{
	const struct ports *ports = (const struct ports *)&packet->ports;
	const bool is_ipv6 = packet->version == 6;

	if (packet->protocol == IPPROTO_UDP) {
		/* Without its lease the host would lose its address. */
		if (ports->source == bpf_htons(is_ipv6 ? PORT_DHCPV6_SERVER :
							 PORT_DHCP_SERVER) &&
		    ports->destination == bpf_htons(is_ipv6 ?
							    PORT_DHCPV6_CLIENT :
							    PORT_DHCP_CLIENT))
			return L4LB_DHCP_KEPT;
	} else if (target.flags & L4LB_CELL_KEEPS_SSH) {
		if (ports->destination == bpf_htons(PORT_SSH) ||
		    (ports->destination &&
		     ports->destination == device->session_port))
			return L4LB_SSH_KEPT;
	}
	return L4LB_NO_OBJECTION;
}

/*
 * A fragment has no port to find its service by. It can still be sent if its address
 * leads to a single service that needs no ports.
 */
static __always_inline enum l4lb_verdict
find_service_of_fragment(const struct l4lb_device *device,
			 const struct packet *packet, union target *target)
{
	*target = way_by_port(device, packet, packet->protocol, 0);
	if (!target->flags)
		*target = way_by_any(device, packet->protocol);
	if (!target->flags)
		return L4LB_NOT_OURS;
	return target->flags & L4LB_CELL_FRAGMENTS ? L4LB_NO_OBJECTION :
						     L4LB_FRAGMENT;
}

/* Looks for a way in, from the narrowest to the widest. A way always has one protocol. */
static __always_inline enum l4lb_verdict
find_service(const struct l4lb_device *device, const struct packet *packet,
	     union target *target)
{
	const __be16 port = destination_port(packet);

	if (packet->is_fragment)
		return find_service_of_fragment(device, packet, target);
	*target = way_by_port(device, packet, packet->protocol, port);
	/* A cell with a port is a way, never a note. */
	if (target->word && port)
		return L4LB_NO_OBJECTION;
	*target = way_by_port(device, packet, packet->protocol, 0);
	if (target->flags & L4LB_CELL_USED)
		return kept_for_host(device, packet, *target);
	*target = way_by_any(device, packet->protocol);
	if (target->flags & L4LB_CELL_USED)
		return kept_for_host(device, packet, *target);
	return L4LB_NOT_OURS;
}

/* Frames to a group address are never for us: a device's own MAC is not a group's. */
static __always_inline enum l4lb_verdict
check_mac(const struct xdp_md *ctx, const struct l4lb_device *device)
{
	const struct ethhdr *eth = frame_start(ctx);

	if (never((void *)(eth + 1) > frame_end(ctx)) || !is_for(device, eth))
		return L4LB_NOT_FOR_US;
	return L4LB_NO_OBJECTION;
}

/* Tells whether the address has ways of its own for that protocol. */
static __always_inline bool has_ways(const struct l4lb_device *device,
				     const struct packet *packet, __u8 protocol)
{
	return way_by_port(device, packet, protocol, 0).flags;
}

static __always_inline bool is_taken(const struct l4lb_device *device,
				     const struct packet *packet, __u8 protocol)
{
	return has_ways(device, packet, protocol) ||
	       way_by_any(device, protocol).flags;
}

/*
 * Decides whether a packet is dropped before its ports are known. It is dropped only
 * if it was meant for us: for an address that has a service for its protocol, and
 * for the device's own MAC. If the header holds no address, a service on all addresses
 * claims the packet; if it holds no protocol, a service of either protocol does. A
 * packet that is too big, or whose exit is gone, has come further and was meant for us;
 * so was an echo request.
 */
static __always_inline enum l4lb_verdict
refuse(const struct xdp_md *ctx, const struct l4lb_device *device,
       const struct packet *packet, enum l4lb_verdict verdict)
{
	if (verdict < L4LB_FIRST_DROP || verdict >= L4LB_FIRST_ANSWER ||
	    verdict == L4LB_TOO_BIG || verdict == L4LB_NO_ROOM ||
	    verdict == L4LB_ECHO_LIMITED || verdict == L4LB_EXIT_GONE)
		return verdict;
	if (!is_taken(device, packet, packet->protocol ?: IPPROTO_TCP) &&
	    (packet->protocol || !is_taken(device, packet, IPPROTO_UDP)))
		return L4LB_NOT_OURS;
	return check_mac(ctx, device) ?: verdict;
}

#endif
