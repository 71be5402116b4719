// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/bpf.h>

#include "datapath/platform/socket_state.h"
#include "engine.h"
#include "sockets.h"

#define MOST_SOCKETS 64
#define V4_PADDING (SOCKET_KEY - 12)

static __u8 known[MOST_SOCKETS][SOCKET_KEY];
static int count;

/* Every address is this host's own, and no packet leaves. */
static void make_namespace(void)
{
	if (unshare(CLONE_NEWNET) ||
	    system("ip link set lo up && ip route add local default dev lo && "
		   "ip -6 route add local default dev lo"))
		fail("cannot make a network namespace: %s", strerror(errno));
}

static bool is_known(const void *key)
{
	for (int i = 0; i < count; i++)
		if (!memcmp(known[i], key, SOCKET_KEY))
			return true;
	return false;
}

static void fill(struct sockaddr_in6 *at, const void *address, int length,
		 __be16 port)
{
	struct sockaddr_in *ipv4 = (void *)at;

	memset(at, 0, sizeof(*at));
	if (length == 4) {
		ipv4->sin_family = AF_INET;
		ipv4->sin_port = port;
		memcpy(&ipv4->sin_addr, address, length);
	} else {
		at->sin6_family = AF_INET6;
		at->sin6_port = port;
		memcpy(&at->sin6_addr, address, length);
	}
}

void open_socket(const void *key, const void *value)
{
	static const __u8 zeros[SOCKET_KEY];
	const struct bpf_sock_tuple *tuple = key;
	struct sockaddr_in6 own, peer;
	__u32 state;
	int fd, on = 1;
	bool is_ipv4;

	if (is_known(key))
		return;
	if (count == MOST_SOCKETS)
		fail("too many sockets");
	if (!count)
		make_namespace();
	memcpy(known[count++], key, SOCKET_KEY);
	is_ipv4 = !memcmp(key + sizeof(tuple->ipv4), zeros, V4_PADDING);
	if (is_ipv4) {
		fill(&own, &tuple->ipv4.daddr, 4, tuple->ipv4.dport);
		fill(&peer, &tuple->ipv4.saddr, 4, tuple->ipv4.sport);
	} else {
		fill(&own, tuple->ipv6.daddr, 16, tuple->ipv6.dport);
		fill(&peer, tuple->ipv6.saddr, 16, tuple->ipv6.sport);
	}
	memcpy(&state, value, sizeof(state));
	fd = socket(own.sin6_family, SOCK_STREAM, 0);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (is_ipv4 ?
		     setsockopt(fd, SOL_IP, IP_FREEBIND, &on, sizeof(on)) :
		     setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &on, sizeof(on))))
		fail("cannot make a socket: %s", strerror(errno));
	/* So that it is connected at once, and sends nothing. */
	if (state == SOCKET_OPEN &&
	    setsockopt(fd, SOL_TCP, TCP_REPAIR, &on, sizeof(on)))
		fail("cannot repair a socket: %s", strerror(errno));
	if (bind(fd, (void *)&own, sizeof(own)))
		fail("cannot bind a socket: %s", strerror(errno));
	if (state == SOCKET_LISTENS ? listen(fd, 1) :
				      connect(fd, (void *)&peer, sizeof(peer)))
		fail("cannot open a socket: %s", strerror(errno));
}
