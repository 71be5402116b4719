/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TCP_REPAIR, for what opens the sockets that tests need: it tells and sets sequence
 * numbers, so no packet has to be looked at. All return 0, or -1 with errno.
 */
#ifndef TEST_TCP_REPAIR_H
#define TEST_TCP_REPAIR_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* TCP_REPAIR_ON, TCP_REPAIR_OFF (tells the other end), or TCP_REPAIR_OFF_NO_WP. */
static inline int set_repair(int fd, int how)
{
	return setsockopt(fd, SOL_TCP, TCP_REPAIR, &how, sizeof(how));
}

/* The next number of TCP_SEND_QUEUE or TCP_RECV_QUEUE, of a socket under repair. */
static inline int get_number(int fd, int queue, unsigned int *number)
{
	socklen_t length = sizeof(*number);

	if (setsockopt(fd, SOL_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)))
		return -1;
	return getsockopt(fd, SOL_TCP, TCP_QUEUE_SEQ, number, &length);
}

/* The socket must not be connected yet. */
static inline int set_number(int fd, int queue, unsigned int number)
{
	if (setsockopt(fd, SOL_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)))
		return -1;
	return setsockopt(fd, SOL_TCP, TCP_QUEUE_SEQ, &number, sizeof(number));
}

/*
 * A listener with this option keeps a connection half-open until data comes. Then its
 * request lasts for hours and is silent, once the client's ACK has come.
 */
static inline int defer_accept(int listener)
{
	const int seconds = 24 * 3600;

	return setsockopt(listener, SOL_TCP, TCP_DEFER_ACCEPT, &seconds,
			  sizeof(seconds));
}

#endif
