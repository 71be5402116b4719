/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the program and the tools: what lies in the maps.
 * src/abi/maps.ts says the same in TypeScript; test/unit/abi/contract.test.ts holds
 * the two against each other.
 *
 * Two rules shape these structures:
 *
 * - The kernel copies a map's value word by word, so a packet can meet a value
 *   that is half written. What must be read whole lies in one aligned word of
 *   8 bytes.
 * - A SmartNIC takes 64 bytes of key and value together, each rounded up to 8.
 *
 * Integers are in host order, wire fields (__be16, __be32) in network order.
 * Every address is 16 bytes; IPv4 is written as ::ffff:a.b.c.d.
 */
#ifndef L4LB_H
#define L4LB_H

#include "platform/platform.h"

/*
 * Goes up when an older tool would misread a newer program's maps. It is part
 * of the program's name (l4lb_1), so that a tool can tell before it reads.
 */
#define L4LB_ABI 1

/*
 * The sizes of the two builds; tools read them from the loaded maps. CELLS is
 * more than the number of ways into services that fit, because the tools look
 * for a seed under which no two of them share a cell: 1,024 cells take about
 * 160 ways; 16 cells take 16 that are named at once, and 10 one after another.
 */
#ifdef L4LB_HOST
#define L4LB_SLOTS (1 << 20)
#define L4LB_DESTINATIONS 4096
#define L4LB_CELLS 1024
#else
#ifndef L4LB_SLOTS
#define L4LB_SLOTS 512
#endif
#ifndef L4LB_DESTINATIONS
#define L4LB_DESTINATIONS 512
#endif
#ifndef L4LB_CELLS
#define L4LB_CELLS 16
#endif
/* Entries of all maps together that a SmartNIC was published to hold. */
#define L4LB_CARD_ENTRIES 3072000
#endif

/* clang-format off */

/*
 * Verdicts: the one name under which a packet is counted. V(NAME, number,
 * "name", meaning). The number tells the action: 0 sends, 1 to 15 pass to the
 * host's stack, 16 to 31 drop, 32 to 47 send an answer back. A number is never
 * given a new meaning.
 */
#define L4LB_VERDICTS(V)						\
	V(BALANCED, 0, "balanced",					\
	  "sent to a destination")					\
	V(NOT_IP, 1, "not ip",						\
	  "the frame holds no IP packet: ARP, LLDP, a third VLAN tag")	\
	V(NOT_TCP_OR_UDP, 2, "not tcp or udp",				\
	  "IP, but not TCP, UDP or an ICMP error about them")		\
	V(NOT_OURS, 3, "not ours",					\
	  "no service has this address, port and protocol")		\
	V(NOT_FOR_US, 4, "not for us",					\
	  "sent to a group, or to the MAC address of another device")	\
	V(SSH_KEPT, 5, "ssh kept",					\
	  "ssh to the host, let through a service on all ports")	\
	V(DHCP_KEPT, 6, "dhcp kept",					\
	  "a DHCP answer, let through a service on all ports")		\
	V(EMPTY_SLOT, 7, "empty slot",					\
	  "the slot of this packet has no destination")			\
	V(FRAGMENT, 16, "fragment",					\
	  "a fragment whose service cannot be found without a port")	\
	V(MALFORMED, 17, "malformed",					\
	  "a header is cut short, or a length exceeds the packet")\
	V(TOO_BIG, 18, "too big",					\
	  "longer than the device's MTU with the outer header")		\
	V(NO_ROOM, 19, "no room",					\
	  "the frame has no room for an outer header")		\
	V(EXTENSION_HEADERS, 20, "extension headers",			\
	  "too many IPv6 extension headers, or a route that goes on") \
	V(ECHO_LIMITED, 21, "echo limited",				\
	  "an ICMP echo request beyond the limit per second")	\
	V(ECHO_ANSWERED, 32, "echo answered",				\
	  "an ICMP echo request to a service's address, answered")	\
	V(TOO_BIG_TOLD, 33, "too big told",				\
	  "too big, and the sender was told what would fit")

enum l4lb_verdict {
	/* A step has found nothing against the packet, and the next one may look at it. */
	L4LB_NO_OBJECTION = 0,
#define L4LB_VERDICT(name, number, text, meaning) L4LB_##name = number,
	L4LB_VERDICTS(L4LB_VERDICT)
#undef L4LB_VERDICT
	L4LB_FIRST_DROP = 16,	/* from here on dropped, below passed */
	L4LB_FIRST_ANSWER = 32,	/* from here on sent back, with an answer in place */
	L4LB_VERDICT_ENTRIES = 48,
};

/* `device`, one entry: what holds for every packet on the device. */
struct l4lb_device {
	__u32 abi;		/* L4LB_ABI of the tool that wrote the tables, 0: none did */
	__u32 generation;	/* more with each fill; odd while counters move to other ids */
	__u32 cell_seed;	/* under which no two ways share a cell; both halves are odd */
	__u32 slot_seed;	/* the same on every balancer of a fleet */
	/* One word: */
	__u8 mac[6];		/* the device's own: taken by us, and the source of what we send */
	__be16 ipv4;		/* its EtherType: what stands behind the MAC in a frame */
	__be16 session_port;	/* of the ssh session that filled, 0: none */
	__u16 mtu;
	__u8 log2_sets;		/* of flows */
	__u8 flags;
	__u8 spare[2];
} __attribute__((aligned(8)));

#define L4LB_DEVICE_NO_ECHO 1	/* echo requests to services pass to the host */

/*
 * `services`, an array of cells, a power of two. A cell is one way into a service,
 * and lies where hash_of_way() says for its address, port, protocol and version.
 */
struct l4lb_cell {
	/* For the tools alone, each a time as L4LB_MINUTES says: */
	__u16 idle;		/* until a hot slot may go cold, 0: the default */
	__u16 drain_deadline;	/* the longest for a drained destination, 0: none */
	__u8 address[16];	/* ::, any */
	/* One word with the last 4 bytes of the address, which are all of an IPv4: */
	__be16 port;		/* 0: any */
	__u8 protocol;		/* never any */
	__u8 version;		/* of the address: 4, 6; 0: any */
	/* The target: one word, so that a way changes from one packet to the next. */
	__u32 first_slot;
	__u16 service;		/* the service's id, from 1 */
	__u8 shift;		/* 32 less log2 of its slots: the hash's upper bits choose */
	__u8 flags;
} __attribute__((aligned(8)));

#define L4LB_CELL_USED 1
#define L4LB_CELL_KEEPS_SSH 2	/* all ports but ssh's: the host keeps that */
/*
 * Not a way in, but a note that this address has ways by port. Fragments are
 * looked up here, for they have no ports.
 */
#define L4LB_CELL_BY_PORT 4
#define L4LB_CELL_UDP_STAYS 16	/* in a hot slot UDP stays on the previous */
/*
 * Fragments may take this way, or this note's, which then has a target: all ways
 * of the address and protocol lead to one service, and that needs no ports.
 */
#define L4LB_CELL_FRAGMENTS 32
#define L4LB_CELL_MINIMAL_TABLE 64 /* for the tools: each fill moves the fewest */
/* Slots by source address alone: affinity. Asked of each packet, so it is the sign. */
#define L4LB_CELL_HASH_SOURCE 128

#define L4LB_MINUTES 0x8000	/* in a time: it is in minutes, else in seconds */

/*
 * `slots`, four to a word: what all packets read has to be small, so that it stays in
 * a processor's cache. The first is in the word's lowest bits.
 *
 * A slot is a destination's id, 0 for none, and a bit. A slot that moves from one
 * destination to another becomes hot: it remembers its previous destination, until
 * nobody needs that any more. How a packet finds its way in a hot slot is told in
 * flows.h. Only the host build has hot slots.
 */
struct l4lb_quad {
	__u16 slots[4];
};

#define L4LB_QUAD 4
#define L4LB_HOT 0x8000

#ifdef L4LB_HOST
/* `memories`, by slot: one word, of hot slots alone. It is written before the slot. */
struct l4lb_memory {
	__u16 previous;		/* whom older connections go to */
	__u16 drained;		/* for the tools: minutes from since on, and one; 0: is not */
	__u32 since;		/* when the slot became hot, in seconds of CLOCK_MONOTONIC */
};

#define L4LB_NOBODY 0xffff	/* previous, once that is gone */

/*
 * `flows`: records of the connections that began in hot slots, in sets of a
 * cache line. A record is one word, so that it is never half of another's.
 */
struct l4lb_record {
	__u32 signature;	/* of the 5-tuple, with L4LB_FULL; 0: empty */
	__u16 destination;	/* id, with L4LB_ESTABLISHED */
	__u16 seen;		/* when a packet came last, in units of 4 seconds */
};

#define L4LB_FULL 0x80000000
#define L4LB_ESTABLISHED 0x8000	/* a packet came after the SYN */
#define L4LB_RECORDS 8
#define L4LB_SEEN_SHIFT 2	/* wraps after three days */
#define L4LB_YOUNG 16		/* 64 seconds: longer than a SYN is sent again */
#define L4LB_FORGOTTEN 900	/* an hour: then even an established one may go */

struct l4lb_set {
	__u64 records[L4LB_RECORDS];
};

#define L4LB_SETS (1 << 17)	/* 8 MB, a million records; l4lb-load --flows: others */

_Static_assert(sizeof(struct l4lb_memory) == 8, "a memory is one word");
_Static_assert(sizeof(struct l4lb_record) == 8, "a record is one word");
_Static_assert(sizeof(struct l4lb_set) == 64, "a set is one cache line");

/*
 * `kept`, by slot: when a packet last went elsewhere than to the current
 * destination, in seconds of CLOCK_MONOTONIC. A slot that was kept for nobody
 * for long enough can go cold.
 */
#endif

/*
 * `destinations`, by id. An id belongs to one destination of one service, and
 * its address never changes while a slot points to it.
 */
struct l4lb_destination {
	__u8 address[16];
	/* One word: */
	__u8 mac[6];
	__u16 service;		/* owner, 0: the id is free */
	__u16 weight;
	__u16 spread;		/* bits of the source's last 16 that vary by flow */
	__u8 source_address[16];
	/* One word with the last 4 bytes of the source, which are all of an IPv4: */
	__u16 header_sum;	/* of the outer IPv4 header but its first word, 0: IPv6 */
	__u16 largest_inner;	/* bytes of the longest IP packet that fits the MTU */
} __attribute__((aligned(8)));

#ifdef L4LB_HOST
/* `limits`, an entry for each of these: how often this CPU has done it in a second. */
enum l4lb_limit {
	L4LB_LIMIT_ANSWERS,
	L4LB_LIMIT_RECORDS,
	L4LB_LIMIT_ECHOES,
	L4LB_LIMITS,
};

struct l4lb_done {
	__u32 second;		/* of CLOCK_MONOTONIC */
	__u32 count;
};

#define L4LB_MOST_ANSWERS 1000
#define L4LB_MOST_RECORDS (1 << 15)
#define L4LB_MOST_ECHOES 10000	/* monitors ask a few thousand times at the most */
#endif

/* `counters` by destination, `verdicts` by verdict. */
struct l4lb_counter {
	__u64 packets;
	__u64 bytes;
};

/* clang-format on */

_Static_assert(L4LB_SLOTS >= L4LB_QUAD && (L4LB_SLOTS & (L4LB_SLOTS - 1)) == 0,
	       "SLOTS is a power of two, from 4: a mask chooses the slot");
_Static_assert(L4LB_CELLS > 1 && (L4LB_CELLS & (L4LB_CELLS - 1)) == 0,
	       "CELLS is a power of two: a mask chooses the cell");
_Static_assert(L4LB_DESTINATIONS > 0 && L4LB_DESTINATIONS < L4LB_HOT,
	       "DESTINATIONS is 1 to 32767: an id has 15 bits");
#ifndef L4LB_HOST
_Static_assert(1LL + L4LB_CELLS + L4LB_SLOTS / L4LB_QUAD +
			       2 * (L4LB_DESTINATIONS + 1) +
			       L4LB_VERDICT_ENTRIES <=
		       L4LB_CARD_ENTRIES,
	       "SLOTS, DESTINATIONS, CELLS: more than a SmartNIC holds");
#endif

/*
 * What other processors write meanwhile, whole. Through a void pointer, since of a
 * member clang infers an alignment from what is around it, and where that is less
 * reads in halves.
 */
static __always_inline __u64 read_word(const void *where)
{
	return *(const volatile __u64 *)where;
}

#define L4LB_OFFSET(type, member) __builtin_offsetof(struct type, member)

_Static_assert(sizeof(struct l4lb_device) == 32, "device");
_Static_assert(L4LB_OFFSET(l4lb_device, mac) == 16, "the MAC is in one word");
_Static_assert(sizeof(struct l4lb_cell) == 32, "cell");
_Static_assert(L4LB_OFFSET(l4lb_cell, port) == 20,
	       "an IPv4 address and the rest of a way are one word");
_Static_assert(L4LB_OFFSET(l4lb_cell, first_slot) == 24,
	       "a cell's target is one word");
_Static_assert(sizeof(struct l4lb_quad) == 8, "four slots are one word");
_Static_assert(sizeof(struct l4lb_destination) == 48, "destination");
_Static_assert(L4LB_OFFSET(l4lb_destination, mac) == 16,
	       "the MAC is in one word");
_Static_assert(L4LB_OFFSET(l4lb_destination, source_address) == 28,
	       "an IPv4 source, its sum and the largest packet are one word");
_Static_assert(sizeof(struct l4lb_counter) == 16, "counter");

#endif
