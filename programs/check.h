/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between l4lb_check, which puts checks on the way of the balancer's packets,
 * and the tools that fill its map: src/abi/check.ts says the same in TypeScript.
 */
#ifndef CHECK_H
#define CHECK_H

#include <linux/types.h>

/*
 * `checks`, by number: where the packets of a check go. A check has two source ports, which
 * it takes in turn, so that no connection stands in the way of the next one: of the ports of
 * a block of L4LB_CHECK_PORTS, check n has those from 2 * n.
 */
struct l4lb_check {
	__u8 address[16]; /* of the destination; the entry must still have it */
	__u32 destination; /* its id, 0: there is no such check */
	__u32 spare;
};

#define L4LB_CHECKS 4096
#define L4LB_PORTS_OF_CHECK 2
#define L4LB_CHECK_PORTS (L4LB_PORTS_OF_CHECK * L4LB_CHECKS)

/*
 * The MAC address that the kernel sends checks to, so that the program knows them. Nobody
 * has it, and no switch passes it on (IEEE 802.1Q, table 8-1), so without the program
 * checks get nowhere.
 */
#define L4LB_CHECK_MAC_UPPER 0x0180c200
#define L4LB_CHECK_MAC_LOWER 0x000e

_Static_assert(sizeof(struct l4lb_check) == 24, "a check");
_Static_assert((L4LB_CHECK_PORTS & (L4LB_CHECK_PORTS - 1)) == 0,
	       "a mask finds the number of a check");

#endif
