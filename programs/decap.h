/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the decapsulation program and the tools. l4lb.h explains
 * the terms.
 */
#ifndef DECAP_H
#define DECAP_H

#include "datapath/l4lb.h"

/*
 * The version of this contract, apart from that of the balancer's: it is part of the
 * program's name (l4lb_decap_1).
 */
#define DECAP_ABI 1

/* clang-format off */

/* The numbers follow L4LB_VERDICTS: 0 to 15 pass, 16 to 31 drop, 32 sends. */
#define DECAP_VERDICTS(V)						\
	V(DECAPSULATED, 0, "decapsulated",				\
	  "the outer header is removed, the inner packet goes to the stack") \
	V(NOT_IPIP, 1, "not ipip",					\
	  "no IP packet in an IP packet: passed as it came")		\
	V(NOT_THIS_HOST, 2, "not this host",				\
	  "the outer address is not one of this host's: passed as it came")	\
	V(TAKEN_HOT, 3, "taken hot",					\
	  "as decapsulated; of a hot slot, and this host has the connection") \
	V(NOBODY_NAMED, 4, "nobody named",				\
	  "as decapsulated; of a hot slot, but no sibling has the number named") \
	V(MALFORMED, 17, "malformed",					\
	  "a header is cut short, or a length exceeds the packet") \
	V(ECN, 18, "ecn",						\
	  "marked for congestion, which the inner packet cannot carry: RFC 6040") \
	V(NO_ROOM, 19, "no room",					\
	  "the kernel could not remove the outer header")		\
	V(HOPS_USED_UP, 20, "hops used up",				\
	  "the outer TTL or hop limit does not allow to send it on")	\
	V(SENT_ON, 32, "sent on",					\
	  "of a hot slot, and not for this host: sent on to a sibling")

enum decap_verdict {
	DECAP_NO_OBJECTION = 0, /* as L4LB_NO_OBJECTION */
#define DECAP_VERDICT(name, number, text, meaning) DECAP_##name = number,
	DECAP_VERDICTS(DECAP_VERDICT)
#undef DECAP_VERDICT
};

/*
 * Names. In a hot slot the balancer sends a packet to the slot's current destination, and
 * names the destinations before it in the outer source address: a prefix of the
 * balancers' own, with two numbers of `bits` bits behind it.
 *
 *   prefix | second << bits | first	TCP of a hot slot. `first` is the number of the
 *					previous destination, `second` of the one before,
 *					or 0
 *   prefix | sender << bits | 0	sent on by `sender`, for the last time
 *
 * The number of a destination is the last `bits` bits of its address. 0 is nobody.
 */

/* The names in outer headers of one family. */
struct decap_names {
	__be32 prefix[4];	/* IPv4 as ::ffff:a.b.c.d */
	__be32 mask;		/* of the prefix, in its last word */
	__u32 bits;		/* of a number; 0: there are no names */
};

/* `host`, one entry. */
struct decap_host {
	__u32 abi;	/* DECAP_ABI of the tool that filled `addresses`, 0: no tool did */
	__u32 spare;
	struct decap_names names[2]; /* of IPv4 and of IPv6 */
};

/* `siblings`, a hash: the other destinations that names can mean. */
struct decap_sibling_key {
	__u32 number;
	__u32 version;	/* 4 or 6 */
};

struct decap_sibling {
	__be32 address[4];
	__u8 mac[6];
	__u16 pair;	/* in `pairs`; 0: it is this host, under another address */
};

/* `pairs`: what this host and one sibling had to do with each other. Times are seconds. */
struct decap_pair {
	__u64 since;	/* when the tool made the sibling known: all is counted from then on */
	__u64 found;	/* packets sent on by the sibling that found a socket here */
	__u64 found_last;
	__u64 sent;	/* packets sent on to it */
	__u64 sent_bytes;
	__u64 sent_last;
	__u64 named;	/* packets that name it first, and found a socket here */
	__u64 named_last;
};

/* clang-format on */

/* `addresses`, a hash: each of the host's own addresses, 16 bytes, maps to 1. */
#define DECAP_ADDRESSES 4096
/* Entries of `siblings` and of `pairs`. */
#define DECAP_SIBLINGS 4096

_Static_assert(sizeof(struct decap_names) == 24, "names");
_Static_assert(sizeof(struct decap_host) == 56, "host");
_Static_assert(sizeof(struct decap_sibling_key) == 8, "sibling's key");
_Static_assert(sizeof(struct decap_sibling) == 24, "sibling");
_Static_assert(sizeof(struct decap_pair) == 64, "pair");

#endif
