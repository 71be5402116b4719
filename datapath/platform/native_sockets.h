/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sockets that the process says the host has, in a table of its own: see sockets.h. A
 * socket that listens has zeros in place of the other end's address and port.
 */
#ifndef PLATFORM_NATIVE_SOCKETS_H
#define PLATFORM_NATIVE_SOCKETS_H

#include <linux/tcp.h>

#include "native.h"
#include "socket_state.h"

struct native_socket {
	__u32 state; /* enum socket_state */
	__u32 sequence; /* as in struct socket_seen; of one that listens, its cookie */
};

MAP(sockets, BPF_MAP_TYPE_HASH, 256, sizeof(struct bpf_sock_tuple),
    sizeof(struct native_socket));

static inline void find_socket(struct xdp_md *ctx,
			       const struct bpf_sock_tuple *tuple, __u8 version,
			       const void *ip, const struct tcphdr *tcp,
			       struct socket_seen *seen)
{
	const struct native_socket *socket = find(&sockets, tuple);
	struct bpf_sock_tuple listens = *tuple;

	(void)ctx;
	(void)ip;
	if (!socket) {
		if (version == 4) {
			listens.ipv4.saddr = 0;
			listens.ipv4.sport = 0;
		} else {
			memset(listens.ipv6.saddr, 0,
			       sizeof(listens.ipv6.saddr));
			listens.ipv6.sport = 0;
		}
		socket = find(&sockets, &listens);
	}
	if (!socket)
		return;
	seen->state = socket->state;
	seen->sequence = socket->sequence;
	seen->has_cookie = tcp && tcp->ack && !tcp->syn && !tcp->rst &&
			   __builtin_bswap32(tcp->ack_seq) - 1 ==
				   socket->sequence;
}

#endif
