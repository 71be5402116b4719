/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the decapsulation program and the tools. l4lb.h explains
 * the terms.
 */
#ifndef DECAP_H
#define DECAP_H

#include "datapath/l4lb.h"

/* clang-format off */

/* The numbers follow L4LB_VERDICTS: 0 to 15 pass, 16 to 31 drop. */
#define DECAP_VERDICTS(V)						\
	V(DECAPSULATED, 0, "decapsulated",				\
	  "the outer header is removed, the inner packet goes to the stack") \
	V(NOT_IPIP, 1, "not ipip",					\
	  "no IP packet in an IP packet: passed as it came")		\
	V(NOT_THIS_HOST, 2, "not this host",				\
	  "the outer address is not one of this host's: passed as it came")	\
	V(MALFORMED, 17, "malformed",					\
	  "a header is cut short, or a length exceeds the packet") \
	V(ECN, 18, "ecn",						\
	  "marked for congestion, which the inner packet cannot carry: RFC 6040") \
	V(NO_ROOM, 19, "no room",					\
	  "the kernel could not remove the outer header")

enum decap_verdict {
	DECAP_NO_OBJECTION = 0, /* as L4LB_NO_OBJECTION */
#define DECAP_VERDICT(name, number, text, meaning) DECAP_##name = number,
	DECAP_VERDICTS(DECAP_VERDICT)
#undef DECAP_VERDICT
};

/* `host`, one entry. */
struct decap_host {
	__u32 abi;	/* L4LB_ABI of the tool that filled `addresses`, 0: no tool did */
	__u32 spare;
};

/* clang-format on */

/* `addresses`, a hash: each of the host's own addresses, 16 bytes, maps to 1. */
#define DECAP_ADDRESSES 4096

#endif
