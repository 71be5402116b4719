/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the program at a destination has to know of a TCP socket. */
#ifndef PLATFORM_SOCKET_STATE_H
#define PLATFORM_SOCKET_STATE_H

#include <linux/types.h>
#include <stdbool.h>

enum socket_state {
	SOCKET_NONE = 0,
	SOCKET_LISTENS = 1,
	SOCKET_REQUEST = 2, /* half-open: it has sent a SYN-ACK */
	SOCKET_TIME_WAIT = 3,
	SOCKET_OPEN = 4, /* any other state */
};

struct socket_seen {
	enum socket_state state;
	/* Of a request, that of its SYN-ACK; in TIME_WAIT, the next one that it expects. */
	__u32 sequence;
	bool has_cookie; /* it listens, and the segment returns a SYN cookie that it sent */
};

#endif
