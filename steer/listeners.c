// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Asks the kernel by NETLINK_SOCK_DIAG, as ss does: it lists only sockets of one port, where
 * /proc/net/tcp would list all connections of the host.
 */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "errors.h"
#include "listeners.h"

/* How well a socket's address suits; the kernel prefers in this order too. */
enum suits {
	SUITS_NOT,
	SUITS_BOTH_FAMILIES, /* [::], for an IPv4 address */
	SUITS_ANY,
	SUITS_EXACTLY,
};

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 about;
};

struct search {
	const struct l4lb_server *server;
	__u64 known;
	enum suits best;
	struct listener *found;
};

static bool is_ipv4(const struct l4lb_server *server)
{
	return IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)server->address);
}

static __u64 cookie_of(const struct inet_diag_msg *socket)
{
	return socket->id.idiag_cookie[0] | (__u64)socket->id.idiag_cookie[1]
						    << 32;
}

static bool is_only_ipv6(const struct nlmsghdr *message,
			 const struct inet_diag_msg *socket)
{
	const struct rtattr *attribute = (const void *)(socket + 1);
	int left = NLMSG_PAYLOAD(message, sizeof(*socket));

	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if (attribute->rta_type == INET_DIAG_SKV6ONLY)
			return *(const __u8 *)RTA_DATA(attribute);
	return false;
}

static enum suits how_it_suits(const struct l4lb_server *server,
			       const struct nlmsghdr *message,
			       const struct inet_diag_msg *socket)
{
	static const __u8 any[16];
	const void *address = socket->id.idiag_src;

	if (socket->idiag_family == AF_INET) {
		if (!is_ipv4(server))
			return SUITS_NOT;
		if (!memcmp(address, any, 4))
			return SUITS_ANY;
		return memcmp(address, server->address + 12, 4) ? SUITS_NOT :
								  SUITS_EXACTLY;
	}
	if (!memcmp(address, server->address, 16))
		return SUITS_EXACTLY;
	if (memcmp(address, any, 16))
		return SUITS_NOT;
	if (!is_ipv4(server))
		return SUITS_ANY;
	return is_only_ipv6(message, socket) ? SUITS_NOT : SUITS_BOTH_FAMILIES;
}

static void consider(struct search *search, const struct nlmsghdr *message)
{
	const struct inet_diag_msg *socket = NLMSG_DATA(message);
	const enum suits suits = how_it_suits(search->server, message, socket);
	const __u64 cookie = cookie_of(socket);

	/* A connected UDP socket has a port at its other end. */
	if (suits == SUITS_NOT || socket->id.idiag_dport)
		return;
	if (suits < search->best ||
	    (suits == search->best && cookie != search->known))
		return;
	search->best = suits;
	search->found->inode = socket->idiag_inode;
	search->found->cookie = cookie;
}

static void ask(int netlink, const struct l4lb_server *server, __u8 family)
{
	const __u8 state = server->protocol == IPPROTO_TCP ? TCP_LISTEN :
							     TCP_CLOSE;
	const struct request request = {
		.header = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.about = {
			.sdiag_family = family,
			.sdiag_protocol = server->protocol,
			.idiag_states = 1 << state,
			.id.idiag_sport = server->port,
		},
	};

	if (send(netlink, &request, sizeof(request), 0) < 0)
		fail(errno, "could not ask for listening sockets");
}

static void read_answer(int netlink, struct search *search)
{
	/* The kernel never sends more than 32 KB at once. */
	static char buffer[1 << 16] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct nlmsghdr *message;
	unsigned int left;
	ssize_t length;

	for (;;) {
		length = recv(netlink, buffer, sizeof(buffer), 0);
		if (length < 0)
			fail(errno, "could not read listening sockets");
		left = length;
		for (message = (void *)buffer; NLMSG_OK(message, left);
		     message = NLMSG_NEXT(message, left)) {
			/* An error: the kernel knows no such sockets, as without IPv6. */
			if (message->nlmsg_type == NLMSG_DONE ||
			    message->nlmsg_type == NLMSG_ERROR)
				return;
			consider(search, message);
		}
	}
}

bool find_listener(const struct l4lb_server *server, __u64 known,
		   struct listener *found)
{
	struct search search = {
		.server = server,
		.known = known,
		.found = found,
	};
	const int netlink =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (netlink < 0)
		fail(errno, "could not ask for sockets");
	ask(netlink, server, AF_INET6);
	read_answer(netlink, &search);
	ask(netlink, server, AF_INET);
	read_answer(netlink, &search);
	close(netlink);
	return search.best != SUITS_NOT;
}
