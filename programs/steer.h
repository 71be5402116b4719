/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between l4lb_steer, which hands packets to servers on this host, and the
 * tools that fill its maps: src/abi/steer.ts says the same in TypeScript.
 */
#ifndef STEER_H
#define STEER_H

#include <linux/types.h>

/*
 * The key of `servers`: where a server on this host listens. The value is its socket. All
 * of it is compared, so the spare byte is 0.
 */
struct l4lb_server {
	__u8 address[16]; /* IPv4 is written as ::ffff:a.b.c.d */
	__be16 port;
	__u8 protocol;
	__u8 spare;
};

#define L4LB_SERVERS 4096

/*
 * The key of `arrivals`: the number of a device that the balancer's packets reach the
 * kernel by. It is the balancer's own, or one on top of it, such as that of a VLAN.
 */
#define L4LB_ARRIVALS 64

_Static_assert(sizeof(struct l4lb_server) == 20, "a server");

#endif
