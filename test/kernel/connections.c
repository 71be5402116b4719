// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * connections SERVICE CLIENT [SERVICE CLIENT]: opens TCP connections of this host to
 * itself, leaves their servers' ends in the states that a destination has to know, and
 * says on a line for each: SERVICE STATE PORT CLIENT-PORT SEQUENCE ACKNOWLEDGED, which
 * are what the client would send next. Keeps them until stdin ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../tcp_repair.h"

#define ALWAYS_COOKIES "2"
#define COOKIES_IF_NEEDED "1"

struct end {
	struct sockaddr_storage at;
	socklen_t length;
};

static void check(int failed, const char *what)
{
	if (!failed)
		return;
	fprintf(stderr, "connections: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static struct end end_of(const char *address, int port)
{
	struct end end = {};
	struct sockaddr_in6 *six = (void *)&end.at;
	struct sockaddr_in *four = (void *)&end.at;

	if (strchr(address, ':')) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		inet_pton(AF_INET6, address, &six->sin6_addr);
		end.length = sizeof(*six);
	} else {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		inet_pton(AF_INET, address, &four->sin_addr);
		end.length = sizeof(*four);
	}
	return end;
}

static int bound(const char *address, int port)
{
	const struct end end = end_of(address, port);
	const int fd = socket(end.at.ss_family, SOCK_STREAM, 0), on = 1;

	check(fd < 0, "socket");
	check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)),
	      "SO_REUSEADDR");
	check(bind(fd, (void *)&end.at, end.length), "bind");
	return fd;
}

static int listen_at(const char *address, int port)
{
	const int fd = bound(address, port);

	check(listen(fd, 8), "listen");
	return fd;
}

static int connect_from(const char *client, const char *service, int port)
{
	const struct end end = end_of(service, port);
	const int fd = bound(client, 0);

	check(connect(fd, (void *)&end.at, end.length), "connect");
	return fd;
}

static int accept_one(int listener)
{
	const int fd = accept(listener, NULL, NULL);

	check(fd < 0, "accept");
	return fd;
}

/* `more` is what the client will have sent by then. */
static void tell(const char *service, const char *state, int port, int client,
		 int more)
{
	struct sockaddr_in6 own = {}; /* the port is where IPv4 has it, too */
	socklen_t length = sizeof(own);
	unsigned int sent, received;

	check(getsockname(client, (void *)&own, &length), "getsockname");
	check(set_repair(client, TCP_REPAIR_ON), "TCP_REPAIR");
	check(get_number(client, TCP_SEND_QUEUE, &sent), "TCP_SEND_QUEUE");
	check(get_number(client, TCP_RECV_QUEUE, &received), "TCP_RECV_QUEUE");
	check(set_repair(client, TCP_REPAIR_OFF_NO_WP), "TCP_REPAIR off");
	printf("%s %s %d %d %u %u\n", service, state, port,
	       ntohs(own.sin6_port), sent + more, received);
}

static void set_cookies(const char *how)
{
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_syncookies", "w");

	check(!file || fputs(how, file) < 0 || fclose(file), "tcp_syncookies");
}

static void open_all(const char *service, const char *client)
{
	const struct linger at_once = { .l_onoff = 1 };
	int listener, server, fd;

	listener = listen_at(service, 80);
	fd = connect_from(client, service, 80);
	accept_one(listener);
	tell(service, "open", 80, fd, 0);

	listener = listen_at(service, 81);
	check(defer_accept(listener), "TCP_DEFER_ACCEPT");
	fd = connect_from(client, service, 81);
	tell(service, "half-open", 81, fd, 0);

	/* The end that closes first waits; the other's FIN takes one number. */
	listener = listen_at(service, 82);
	fd = connect_from(client, service, 82);
	close(accept_one(listener));
	check(read(fd, &(char){ 0 }, 1), "read");
	tell(service, "time-wait", 82, fd, 1);
	close(fd);

	/* The cookie stays valid when the connection is gone. */
	listener = listen_at(service, 83);
	set_cookies(ALWAYS_COOKIES);
	fd = connect_from(client, service, 83);
	set_cookies(COOKIES_IF_NEEDED);
	server = accept_one(listener);
	tell(service, "cookie", 83, fd, 0);
	check(setsockopt(server, SOL_SOCKET, SO_LINGER, &at_once,
			 sizeof(at_once)),
	      "SO_LINGER");
	close(server);
}

int main(int count, char **arguments)
{
	if (count < 3 || count % 2 == 0)
		return 2;
	for (int i = 1; i < count; i += 2)
		open_all(arguments[i], arguments[i + 1]);
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
