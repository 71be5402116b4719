// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * connections SERVICE CLIENT [SERVICE CLIENT]: opens TCP connections of this host to
 * itself, leaves their servers' ends in the states that a destination has to know, and
 * says on a line for each: SERVICE STATE PORT CLIENT-PORT SEQUENCE ACKNOWLEDGED, which
 * are what the client would send next. Keeps them until stdin ends.
 *
 * TCP_REPAIR tells the sequence numbers, so no packet has to be looked at.
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

static unsigned int number_of(int fd, int queue)
{
	unsigned int number;
	socklen_t length = sizeof(number);

	check(setsockopt(fd, SOL_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)),
	      "TCP_REPAIR_QUEUE");
	check(getsockopt(fd, SOL_TCP, TCP_QUEUE_SEQ, &number, &length),
	      "TCP_QUEUE_SEQ");
	return number;
}

/* `more` is what the client will have sent by then. */
static void tell(const char *service, const char *state, int port, int client,
		 int more)
{
	const int on = TCP_REPAIR_ON, off = TCP_REPAIR_OFF_NO_WP;
	struct sockaddr_in6 own = {}; /* the port is where IPv4 has it, too */
	socklen_t length = sizeof(own);
	unsigned int sent, received;

	check(getsockname(client, (void *)&own, &length), "getsockname");
	check(setsockopt(client, SOL_TCP, TCP_REPAIR, &on, sizeof(on)),
	      "TCP_REPAIR");
	sent = number_of(client, TCP_SEND_QUEUE);
	received = number_of(client, TCP_RECV_QUEUE);
	check(setsockopt(client, SOL_TCP, TCP_REPAIR, &off, sizeof(off)),
	      "TCP_REPAIR off");
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
	const int seconds = 600;
	int listener, server, fd;

	listener = listen_at(service, 80);
	fd = connect_from(client, service, 80);
	accept_one(listener);
	tell(service, "open", 80, fd, 0);

	/* With this option a connection is half-open until data comes. */
	listener = listen_at(service, 81);
	check(setsockopt(listener, SOL_TCP, TCP_DEFER_ACCEPT, &seconds,
			 sizeof(seconds)),
	      "TCP_DEFER_ACCEPT");
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
