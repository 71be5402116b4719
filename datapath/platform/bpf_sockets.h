/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The host's TCP sockets, of the network namespace that the device is in: see sockets.h. */
#ifndef PLATFORM_BPF_SOCKETS_H
#define PLATFORM_BPF_SOCKETS_H

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "bpf.h"
#include "socket_state.h"

/* The fields that are read of the kernel's own structures; it says where they lie. */
struct tcp_request_sock {
	__u32 snt_isn;
} __attribute__((preserve_access_index));

struct sock_common {
	__u32 skc_tw_rcv_nxt;
} __attribute__((preserve_access_index));

/* The lengths are compared here, where the verifier sees them. */
static __always_inline bool returns_cookie(struct xdp_md *ctx,
					   struct bpf_sock *socket,
					   __u8 version, void *ip, void *tcp)
{
	const void *end = frame_end(ctx);

	if (!tcp || tcp + sizeof(struct tcphdr) > end)
		return false;
	/* Otherwise clang adds the lengths before it compares, and forgets the pointer. */
	asm volatile("" : "+r"(ip));
	if (version == 4)
		return ip + sizeof(struct iphdr) <= end &&
		       !bpf_tcp_check_syncookie(socket, ip,
						sizeof(struct iphdr), tcp,
						sizeof(struct tcphdr));
	return ip + sizeof(struct ipv6hdr) <= end &&
	       !bpf_tcp_check_syncookie(socket, ip, sizeof(struct ipv6hdr), tcp,
					sizeof(struct tcphdr));
}

static __always_inline void find_socket(struct xdp_md *ctx,
					struct bpf_sock_tuple *tuple,
					__u8 version, void *ip, void *tcp,
					struct socket_seen *seen)
{
	struct tcp_request_sock *request;
	struct sock_common *waiting;
	struct bpf_sock *socket;

	if (version == 4)
		socket = bpf_skc_lookup_tcp(ctx, tuple, sizeof(tuple->ipv4),
					    BPF_F_CURRENT_NETNS, 0);
	else
		socket = bpf_skc_lookup_tcp(ctx, tuple, sizeof(tuple->ipv6),
					    BPF_F_CURRENT_NETNS, 0);
	if (!socket)
		return;
	seen->state = SOCKET_OPEN;
	switch (socket->state) {
	case BPF_TCP_LISTEN:
		seen->state = SOCKET_LISTENS;
		seen->has_cookie =
			returns_cookie(ctx, socket, version, ip, tcp);
		break;
	case BPF_TCP_NEW_SYN_RECV:
		request = (void *)bpf_skc_to_tcp_request_sock(socket);
		if (!request)
			break;
		seen->state = SOCKET_REQUEST;
		seen->sequence = request->snt_isn;
		break;
	case BPF_TCP_TIME_WAIT:
		waiting = (void *)bpf_skc_to_tcp_timewait_sock(socket);
		if (!waiting)
			break;
		seen->state = SOCKET_TIME_WAIT;
		seen->sequence = waiting->skc_tw_rcv_nxt;
		break;
	}
	bpf_sk_release(socket);
}

#endif
