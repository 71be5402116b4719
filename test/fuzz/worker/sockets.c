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
#include <sys/time.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "datapath/platform/socket_state.h"
#include "engine.h"
#include "sockets.h"
#include "test/tcp_repair.h"

#define MOST_SOCKETS 64
#define V4_PADDING (SOCKET_KEY - 12)
#define NO_FD (-1)
/* Of what happens at once, unless the machine is busy. */
#define MOST_SECONDS 10
#define POLL_MICROSECONDS 100
/* Of the host's own end in what is to wait; any would do. */
#define SENT 1000

struct known {
	__u8 key[SOCKET_KEY];
	struct {
		__u32 state; /* enum socket_state */
		__u32 sequence;
	} value;
	int fd; /* or NO_FD: the kernel keeps it by itself */
};

struct ends {
	struct sockaddr_in6 own, peer; /* or struct sockaddr_in */
};

static struct known known[MOST_SOCKETS];
static int count;

_Static_assert(sizeof(known->value) == SOCKET_VALUE, "as native_sockets.h has");

static void check(int failed, const char *what)
{
	if (failed)
		fail("cannot open a socket: %s: %s", what, strerror(errno));
}

/* Every address is this host's own, and no packet leaves. */
static void make_namespace(void)
{
	if (unshare(CLONE_NEWNET) ||
	    system("ip link set lo up && ip route add local default dev lo && "
		   "ip -6 route add local default dev lo"))
		fail("cannot make a network namespace: %s", strerror(errno));
}

void close_sockets(void)
{
	for (int i = 0; i < count; i++)
		if (known[i].fd != NO_FD)
			close(known[i].fd);
	count = 0;
	make_namespace();
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

static struct ends ends_of(const void *key)
{
	static const __u8 zeros[SOCKET_KEY];
	const struct bpf_sock_tuple *tuple = key;
	struct ends ends;

	if (!memcmp(key + sizeof(tuple->ipv4), zeros, V4_PADDING)) {
		fill(&ends.own, &tuple->ipv4.daddr, 4, tuple->ipv4.dport);
		fill(&ends.peer, &tuple->ipv4.saddr, 4, tuple->ipv4.sport);
	} else {
		fill(&ends.own, tuple->ipv6.daddr, 16, tuple->ipv6.dport);
		fill(&ends.peer, tuple->ipv6.saddr, 16, tuple->ipv6.sport);
	}
	return ends;
}

/* Under repair it is connected at once, and sends nothing. */
static int bound(const struct sockaddr_in6 *at, bool is_repaired)
{
	const struct timeval most = { .tv_sec = MOST_SECONDS };
	const int fd = socket(at->sin6_family, SOCK_STREAM, 0), on = 1;
	const bool is_ipv4 = at->sin6_family == AF_INET;

	check(fd < 0, "socket");
	check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)),
	      "SO_REUSEADDR");
	check(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most)) ||
		      setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most,
				 sizeof(most)),
	      "its time");
	check(is_ipv4 ?
		      setsockopt(fd, SOL_IP, IP_FREEBIND, &on, sizeof(on)) :
		      setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &on, sizeof(on)),
	      "FREEBIND");
	if (is_repaired)
		check(set_repair(fd, TCP_REPAIR_ON), "TCP_REPAIR");
	check(bind(fd, (void *)at, sizeof(*at)), "bind");
	return fd;
}

static void connect_to(int fd, const struct sockaddr_in6 *at)
{
	check(connect(fd, (void *)at, sizeof(*at)), "connect");
}

static int open_listener(const struct ends *ends)
{
	const int fd = bound(&ends->own, false);

	check(defer_accept(fd), "TCP_DEFER_ACCEPT");
	check(listen(fd, MOST_SOCKETS), "listen");
	return fd;
}

static int open_established(const struct ends *ends)
{
	const int fd = bound(&ends->own, true);

	connect_to(fd, &ends->peer);
	return fd;
}

/* Only the listener's end is to be found, so the client's goes without a word. */
static __u32 open_request(const struct ends *ends)
{
	const int client = bound(&ends->peer, false);
	__u32 next;

	connect_to(client, &ends->own);
	check(set_repair(client, TCP_REPAIR_ON), "TCP_REPAIR");
	check(get_number(client, TCP_RECV_QUEUE, &next), "its number");
	close(client);
	return next - 1;
}

static int repaired(const struct sockaddr_in6 *from,
		    const struct sockaddr_in6 *to, __u32 sent, __u32 received)
{
	const int fd = bound(from, true);

	check(set_number(fd, TCP_SEND_QUEUE, sent), "its number");
	check(set_number(fd, TCP_RECV_QUEUE, received), "the peer's number");
	connect_to(fd, to);
	return fd;
}

static void wait_until_closed(int fd)
{
	struct tcp_info info;
	socklen_t length;
	int left = MOST_SECONDS * (1000000 / POLL_MICROSECONDS);

	for (;;) {
		length = sizeof(info);
		check(getsockopt(fd, SOL_TCP, TCP_INFO, &info, &length),
		      "TCP_INFO");
		if (info.tcpi_state == TCP_CLOSE)
			return;
		if (!left--)
			fail("a socket does not come to TIME_WAIT: state %u",
			     info.tcpi_state);
		usleep(POLL_MICROSECONDS);
	}
}

/*
 * Two ends with numbers of our choice close as any do. The end that closes first waits;
 * the other's FIN is the last number that it expects.
 */
static void open_time_wait(const struct ends *ends, __u32 sequence)
{
	const int own = repaired(&ends->own, &ends->peer, SENT, sequence - 1);
	const int peer = repaired(&ends->peer, &ends->own, sequence - 1, SENT);
	char byte;

	/* Each tells the other its window. */
	check(set_repair(own, TCP_REPAIR_OFF) ||
		      set_repair(peer, TCP_REPAIR_OFF),
	      "TCP_REPAIR off");
	check(shutdown(own, SHUT_WR), "shutdown");
	check(read(peer, &byte, 1), "the first FIN");
	close(peer);
	wait_until_closed(own);
	close(own);
}

__u32 open_socket(const void *key, const void *value)
{
	const struct ends ends = ends_of(key);
	struct known *one = &known[count++];

	if (count > MOST_SOCKETS)
		fail("too many sockets");
	memcpy(one->key, key, SOCKET_KEY);
	memcpy(&one->value, value, SOCKET_VALUE);
	one->fd = NO_FD;
	switch (one->value.state) {
	case SOCKET_LISTENS:
		one->fd = open_listener(&ends);
		break;
	case SOCKET_REQUEST:
		one->value.sequence = open_request(&ends);
		break;
	case SOCKET_TIME_WAIT:
		open_time_wait(&ends, one->value.sequence);
		break;
	case SOCKET_OPEN:
		one->fd = open_established(&ends);
		break;
	default:
		fail("no socket has state %u", one->value.state);
	}
	return one->value.sequence;
}

bool is_open(const void *key, const void *value)
{
	for (int i = 0; i < count; i++)
		if (!memcmp(known[i].key, key, SOCKET_KEY))
			return !memcmp(&known[i].value, value, SOCKET_VALUE);
	return false;
}
