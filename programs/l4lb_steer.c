// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * l4lb_steer: hands packets to servers on this host, which listen on another address and
 * port than the service's.
 *
 * The balancer leaves a packet for such a server to the kernel, as it is. The kernel
 * looks for its socket. If there is no connection yet, and before it looks for a listener
 * on the packet's own address and port, it asks this program, which belongs to the whole
 * network namespace. The program reads the balancer's tables, finds the same destination
 * as the balancer did, and names its socket. From there on the connection is the
 * kernel's: no header is ever rewritten, and answers come from the service's address.
 *
 * A packet whose server does not listen goes the way of any packet to a closed port.
 */
#define L4LB_HOST
#include "datapath/slot.h"
#include "steer.h"

#define FAMILY_IPV6 \
	10 /* AF_INET6, of a header that BPF programs cannot include */

MAP(servers, BPF_MAP_TYPE_SOCKHASH, L4LB_SERVERS, sizeof(struct l4lb_server),
    sizeof(__u64));
MAP(arrivals, BPF_MAP_TYPE_HASH, L4LB_ARRIVALS, sizeof(__u32), sizeof(__u8));

/*
 * What find_service() and hash_of_flow() look at. It is volatile, since the verifier takes
 * no pointer into the context that clang has added to.
 */
static __always_inline void
read_packet(const volatile struct bpf_sk_lookup *ctx, struct packet *packet)
{
	/* The remote port is in network order, the local one in host order. */
	const struct ports ports = {
		.source = ctx->remote_port,
		.destination = bpf_htons(ctx->local_port),
	};

	packet->protocol = ctx->protocol;
	__builtin_memcpy(&packet->ports, &ports, sizeof(ports));
	if (ctx->family == FAMILY_IPV6) {
		packet->version = 6;
		packet->source.word[0] = ctx->remote_ip6[0];
		packet->source.word[1] = ctx->remote_ip6[1];
		packet->source.word[2] = ctx->remote_ip6[2];
		packet->source.word[3] = ctx->remote_ip6[3];
		packet->address.word[0] = ctx->local_ip6[0];
		packet->address.word[1] = ctx->local_ip6[1];
		packet->address.word[2] = ctx->local_ip6[2];
		packet->address.word[3] = ctx->local_ip6[3];
		return;
	}
	packet->version = 4;
	packet->source.word[2] = bpf_htonl(0xffff);
	packet->source.word[3] = ctx->remote_ip4;
	packet->address.word[2] = bpf_htonl(0xffff);
	packet->address.word[3] = ctx->local_ip4;
}

/* Returns the destination with this id if it is on this host. */
static __always_inline const struct l4lb_destination *local(__u32 id)
{
	const struct l4lb_destination *destination = lookup(&destinations, &id);

	return destination && destination->service &&
			       destination->forward == L4LB_LOCAL ?
		       destination :
		       NULL;
}

/*
 * Returns the destination that the balancer passed the packet for. In a hot slot that is
 * the current one or the previous one. TCP packets that get here begin connections, and
 * the balancer sends these to the current destination. Only if it has no room to remember
 * one more does it send one to the previous destination. If both are on this host, either
 * is right, since the kernel remembers the connection itself.
 */
static __always_inline const struct l4lb_destination *
find_local(const struct packet *packet, union target target, __u32 flow)
{
	const __u32 slot = target.first_slot + ((__u64)flow >> target.shift);
	const __u32 key = slot / L4LB_QUAD;
	const bool stays = packet->protocol == IPPROTO_UDP &&
			   target.flags & L4LB_CELL_UDP_STAYS;
	const struct l4lb_quad *quad = lookup(&slots, &key);
	const struct l4lb_destination *first;
	const struct l4lb_memory *memory;
	__u32 current, previous;
	__s64 found;

	if (never(!quad))
		return NULL;
	found = read_slot(quad, slot);
	current = (__u64)found >> 48 & ~L4LB_HOT;
	if (found >= 0)
		return local(current);
	memory = lookup(&memories, &slot);
	previous = memory ? memory->previous : L4LB_NOBODY;
	if (previous == L4LB_NOBODY)
		return local(current);
	first = local(stays ? previous : current);
	return first ?: local(stays ? current : previous);
}

SEC("sk_lookup")
int l4lb_steer_1(struct bpf_sk_lookup *ctx)
{
	const struct l4lb_destination *destination;
	const __u32 only = 0, arrival = ctx->ingress_ifindex;
	const struct l4lb_device *settings = lookup(&device, &only);
	struct l4lb_server server = {};
	struct packet packet = {};
	struct bpf_sock *socket;
	union target target;

	if (never(!settings) || !find(&arrivals, &arrival))
		return SK_PASS;
	read_packet(ctx, &packet);
	if (find_service(settings, &packet, &target) != L4LB_NO_OBJECTION)
		return SK_PASS;
	destination = find_local(&packet, target,
				 hash_of_flow(settings, &packet, target));
	if (!destination)
		return SK_PASS;
	__builtin_memcpy(server.address, destination->address,
			 sizeof(server.address));
	server.port = destination->port;
	server.protocol = packet.protocol;
	socket = find(&servers, &server);
	if (!socket)
		return SK_PASS;
	/* Fails if another program has chosen already, or the socket has just been closed. */
	bpf_sk_assign(ctx, socket, 0);
	bpf_sk_release(socket);
	return SK_PASS;
}

LICENSE;
