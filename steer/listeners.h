/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which socket of this network namespace listens on an address and port. */
#ifndef LISTENERS_H
#define LISTENERS_H

#include <linux/types.h>
#include <stdbool.h>

#include "programs/steer.h"

struct listener {
	__u32 inode;
	__u64 cookie; /* never that of another socket, unlike an inode */
};

/*
 * Finds the socket that would get a packet to this address and port. Of several with
 * SO_REUSEPORT it is the one with the known cookie, if that is among them.
 */
bool find_listener(const struct l4lb_server *server, __u64 known,
		   struct listener *found);

#endif
