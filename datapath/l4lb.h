/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the program and the tools: the contents of the maps.
 * src/abi/maps.ts says the same in TypeScript; test/unit/abi/contract.test.ts holds
 * the two against each other.
 *
 * Two rules shape these structures:
 *
 * - The kernel copies a map's value word by word, so a packet can meet a value
 *   that is half written. Fields that must be read together share one aligned
 *   word of 8 bytes.
 * - A SmartNIC accepts at most 64 bytes of key and value together, each rounded
 *   up to 8.
 *
 * Integers are in host order, wire fields (__be16, __be32) in network order.
 * Every address is 16 bytes; IPv4 is written as ::ffff:a.b.c.d.
 */
#ifndef L4LB_H
#define L4LB_H

#include "platform/platform.h"

/*
 * The version of this contract. It goes up when an older tool would misread a
 * newer program's maps. It is part of the program's name (l4lb_2), so that a
 * tool knows it before it reads a map.
 */
#define L4LB_ABI 2

/*
 * The sizes of the two builds; tools read them from the loaded maps. There are
 * more CELLS than ways into services that fit, because the tools look for a
 * seed under which no two ways share a cell: 1,024 cells take about 160 ways;
 * 16 cells take 16 ways named at once, or 10 named one after another.
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
/* The published number of entries that a SmartNIC holds, in all maps together. */
#define L4LB_CARD_ENTRIES 3072000
#endif

/* clang-format off */

/*
 * Verdicts: each packet is counted under exactly one. V(NAME, number, "name",
 * meaning). The number tells the action: 0 sends, 1 to 15 pass to the host's
 * stack, 16 to 31 drop, 32 to 39 send an answer back, 40 to 47 send the packet on by
 * the kernel's routes. A number never gets a new meaning.
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
	V(ANSWER_PASSED, 8, "answer passed",				\
	  "an answer to a client, with the service's address as source") \
	V(LOCAL_SERVER, 9, "local server",				\
	  "for a server on this host, which the kernel hands it to")	\
	V(FRAGMENT, 16, "fragment",					\
	  "a fragment whose service cannot be found without a port")	\
	V(MALFORMED, 17, "malformed",					\
	  "a header is cut short, or a length exceeds the packet")\
	V(TOO_BIG, 18, "too big",					\
	  "longer than the way to its destination can carry")		\
	V(NO_ROOM, 19, "no room",					\
	  "the frame has no room for an outer header")		\
	V(EXTENSION_HEADERS, 20, "extension headers",			\
	  "too many IPv6 extension headers, or a route with more hops") \
	V(ECHO_LIMITED, 21, "echo limited",				\
	  "an ICMP echo request beyond the limit per second")	\
	V(EXIT_GONE, 22, "exit gone",					\
	  "the device that leads to its destination is not there any more") \
	V(OTHER_FAMILY, 23, "other family",				\
	  "nat cannot turn IPv4 into IPv6, as its destination needs")	\
	V(NO_PORT, 24, "no port",					\
	  "full-nat has no port left for a new connection")		\
	V(NO_CONNECTION, 25, "no connection",				\
	  "full-nat has no port for it, and it begins no connection")	\
	V(ECHO_ANSWERED, 32, "echo answered",				\
	  "an ICMP echo request to a service's address, answered")	\
	V(TOO_BIG_TOLD, 33, "too big told",				\
	  "too big, and the sender was told what would fit")		\
	V(ANSWER_SENT, 40, "answer sent",				\
	  "as answer passed, but XDP sends it to the client")

enum l4lb_verdict {
	/* A step found nothing against the packet, so the next step looks at it. */
	L4LB_NO_OBJECTION = 0,
#define L4LB_VERDICT(name, number, text, meaning) L4LB_##name = number,
	L4LB_VERDICTS(L4LB_VERDICT)
#undef L4LB_VERDICT
	L4LB_FIRST_DROP = 16,	/* from here on packets are dropped, below they pass */
	L4LB_FIRST_ANSWER = 32,	/* from here on the frame has become an answer and is sent back */
	L4LB_FIRST_ROUTED = 40,	/* from here on it is sent where the kernel's routes lead */
	L4LB_VERDICT_ENTRIES = 48,
};

/* `device`, one entry: settings for every packet on the device. */
struct l4lb_device {
	__u32 abi;		/* L4LB_ABI of the tool that wrote the tables, 0: no tool did */
	__u32 generation;	/* rises with each fill; odd while counters change ids */
	__u32 cell_seed;	/* chosen so that no two ways share a cell; both halves are odd */
	__u32 slot_seed;	/* the same on every balancer of a fleet */
	/* One word: */
	__u8 mac[6];		/* the device's own: we accept frames to it and send from it */
	__be16 ipv4;		/* the EtherType of IPv4, which follows the MAC in a frame */
	__be16 session_port;	/* of the ssh session that filled the tables, 0: none */
	__u16 mtu;
	__u8 log2_sets;		/* number of sets in `flows` */
	__u8 flags;
	/* Only for the tools: how many bits of each prefix below count, 0: there is none. */
	__u8 names_ipv4_bits;
	__u8 names_ipv6_bits;
	/*
	 * Prefixes of the outer sources that name a hot slot's previous destinations: the
	 * IPv6 one, and in the last word the IPv4 one. The bits behind them are 0.
	 */
	__be32 names[5];
} __attribute__((aligned(8)));

#define L4LB_NAMES_IPV4 4 /* the last word of `names` */

#define L4LB_DEVICE_NO_ECHO 1	/* echo requests to services pass to the host */
#define L4LB_DEVICE_ANSWERS 2	/* there is something in `answers` */
#define L4LB_DEVICE_XDP_ANSWERS 4	/* answers are sent by XDP, not passed to the host */
#define L4LB_DEVICE_POOLS 8	/* there is something in `pools` */

/*
 * `services`, an array of cells; their number is a power of two. A cell is one way
 * into a service. hash_of_way() gives its place, from its address, port, protocol
 * and version.
 */
struct l4lb_cell {
	/* Only for the tools; each is a time in the form of L4LB_MINUTES: */
	__u16 idle;		/* how long until a hot slot may go cold, 0: the default */
	__u16 drain_deadline;	/* how long a drained destination is remembered at most, 0: no limit */
	__u8 address[16];	/* ::, any address */
	/* One word with the last 4 bytes of the address, which hold a whole IPv4 address: */
	__be16 port;		/* 0: any */
	__u8 protocol;		/* never any */
	__u8 version;		/* of the address: 4, 6; 0: any */
	/* The target: one word, so that a way changes between two packets. */
	__u32 first_slot;
	__u16 service;		/* the service's id, from 1 */
	__u8 shift;		/* 32 - log2 of its slots: the hash's upper bits choose the slot */
	__u8 flags;
} __attribute__((aligned(8)));

#define L4LB_CELL_USED 1
#define L4LB_CELL_KEEPS_SSH 2	/* takes all ports but ssh's, which the host keeps */
/*
 * Not a way in, but a note that this address has ways by port. The program looks
 * fragments up here, since they have no ports.
 */
#define L4LB_CELL_BY_PORT 4
#define L4LB_CELL_NAMES 8	/* in a hot slot the destinations decide: see names.h */
#define L4LB_CELL_UDP_STAYS 16	/* in a hot slot UDP stays on the previous destination */
/*
 * Fragments may take this way. A note with this flag has a target. It is set where
 * all ways of the address and protocol lead to one service that needs no ports.
 */
#define L4LB_CELL_FRAGMENTS 32
#define L4LB_CELL_MINIMAL_TABLE 64 /* for the tools: each fill moves as few slots as possible */
/* Affinity: the source address alone chooses the slot. The sign bit is the cheapest to test. */
#define L4LB_CELL_HASH_SOURCE 128

#define L4LB_MINUTES 0x8000	/* in a time: the unit is minutes, otherwise seconds */

/*
 * `slots`, four to a word: every packet reads this map, so it has to be small enough
 * to stay in a processor's cache. The first slot is in the word's lowest bits.
 *
 * A slot is a destination's id, 0 for none, and the bit L4LB_HOT. A slot that moves
 * from one destination to another becomes hot: it remembers its previous destination
 * until no connection needs it any more. A packet in a hot slot goes to the current
 * destination, which sends on what is not its own (names.h), or the balancer finds out
 * itself (flows.h). Only the host build can do the latter.
 */
struct l4lb_quad {
	__u16 slots[4];
};

#define L4LB_QUAD 4
#define L4LB_HOT 0x8000

/* `memories`, by slot, only for hot slots. The tools write it before the slot. */
struct l4lb_memory {
	/* One word: */
	__u16 previous;		/* where older connections go */
	__u16 drained;		/* for the tools: minutes after `since`, plus one; 0: not drained */
	__u32 since;		/* when the slot became hot, in seconds of CLOCK_MONOTONIC */
	/* One word: */
	__u16 second;		/* for the tools: the destination before the previous one */
	__u16 spare[3];
};

#define L4LB_NOBODY 0xffff	/* as `previous`: there is none any more */

_Static_assert(sizeof(struct l4lb_memory) == 16, "a memory is two words");

/*
 * `names`, two slots to a word: what a packet of a hot slot names, where destinations
 * decide. Each such packet reads this map, so it is small and lies apart from `memories`.
 * The first slot is in the word's lower half. The tools write it before the slot.
 */
struct l4lb_names {
	__be32 slots[2]; /* for the outer source, behind the prefix; 0: nobody is named */
};

#define L4LB_PAIR 2

#ifdef L4LB_HOST
/*
 * `flows`: records of the connections that began in hot slots, in sets of one
 * cache line. A record is one word, so that no reader sees halves of two records.
 */
struct l4lb_record {
	/*
	 * Of the 5-tuple, with the flags below; 0: empty. Without L4LB_ESTABLISHED it is XORed
	 * with the sequence number that the packet after the SYN must have.
	 */
	__u32 signature;
	__u16 destination;	/* its id, with L4LB_ENDED */
	__u16 seen;		/* when the last packet came, in units of 4 seconds */
};

#define L4LB_FULL 0x80000000
#define L4LB_ESTABLISHED 0x40000000 /* a packet came after the SYN */
#define L4LB_LASTING 0x20000000 /* and another one after that */
#define L4LB_ENDED 0x8000	/* and after it a FIN or RST: any SYN may replace the record */
#define L4LB_RECORDS 8
#define L4LB_SEEN_SHIFT 2	/* wraps after three days */
#define L4LB_HANDSHAKE 4	/* 16 seconds: the longest that one takes */
#define L4LB_YOUNG 16		/* 64 seconds: longer than a sender repeats a SYN */
#define L4LB_FORGOTTEN 900	/* an hour: after that even a lasting record may be replaced */

struct l4lb_set {
	__u64 records[L4LB_RECORDS];
};

#define L4LB_SETS (1 << 17)	/* 8 MB, a million records; l4lb-load --flows sets another number */

_Static_assert(sizeof(struct l4lb_record) == 8, "a record is one word");
_Static_assert(sizeof(struct l4lb_set) == 64, "a set is one cache line");

/*
 * `secret`, one entry of 64 bits: the key of the hash that finds records. The program makes
 * it when it first needs one (signature.h); 0: not yet.
 */

/*
 * `kept`, by slot: when a packet last went to a destination other than the
 * current one, in seconds of CLOCK_MONOTONIC. A slot can go cold when no such
 * packet came for long enough.
 */
#endif

/* How a packet reaches its destination: a choice of the service (forward.h). */
enum l4lb_forward {
	L4LB_TUNNEL = 0,	/* behind an outer header */
	L4LB_LINK = 1,		/* by other MAC addresses, unchanged otherwise */
	L4LB_NAT = 2,		/* with its address and port in place of the service's */
	L4LB_FULL_NAT = 3,	/* and a source of ours in place of the client's */
	L4LB_LOCAL = 4,		/* it is a socket of this host */
};

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
	__u16 spread;		/* which of the source's last 16 bits vary by flow, or by block */
	__u8 source_address[16];
	/* One word with the last 4 bytes of the source, which hold a whole IPv4 address: */
	__u16 header_sum;	/* of the outer IPv4 header without its first word, 0: IPv6 */
	__u16 largest_packet;	/* bytes of the longest one that the MTU lets through */
	/* One word: */
	__u8 forward;		/* enum l4lb_forward */
	__u8 flags;		/* L4LB_DESTINATION_... */
	__u16 exit;		/* its number, 0: packets leave where they came in */
	__be16 port;		/* that its packets get, 0: they keep theirs */
	__u16 block;		/* by full-nat: the first of its pool, whose address is the source */
} __attribute__((aligned(8)));

/* For the tools: MAC and exit were found by the kernel's routes, and follow what these say later. */
#define L4LB_DESTINATION_FOUND 1
/*
 * No packet goes there, not even of a connection that it has. No slot leads to it or
 * remembers it, so the program asks only where a connection itself says where it is: in
 * `flows` and in `ports`.
 */
#define L4LB_DESTINATION_FORGOTTEN 2

#ifdef L4LB_HOST
/*
 * `exits`, by number from 1: devices that packets leave by, where a destination is not
 * reached by the one that they came in on. `exit_devices` has the kernel's hold on each.
 */
struct l4lb_exit {
	/* One word: */
	__u8 mac[6];		/* its own: frames leave with it as their source */
	__be16 tag;		/* of its VLAN, 0: none */
	/* Only for the tools: */
	__u32 ifindex;		/* of the device, 0: the number is free */
	__u32 mtu;
};

#define L4LB_EXITS 64

/*
 * `exit_numbers`, a hash by ifindex: the number of the exit by this device; if it only has
 * VLANs, of one of these. XDP sends answers by these devices and no others, and takes
 * frames to their MAC addresses for its own, since they may share the program.
 */

/*
 * `answers`, a hash: what a destination sends its answers from. By nat that is its own
 * address and port, and the program puts the service's back into their place. By link it
 * is the service's, which all its destinations have: the entry has the flag
 * L4LB_ANSWER_LINK and names the service, and the sender's MAC address tells the
 * destination.
 */
struct l4lb_answer_key {
	__u8 address[16];	/* the destination's */
	__be16 port;		/* 0: any; only looked up if the port itself is not found */
	__u8 protocol;
	__u8 version;		/* of the address: 4, 6 */
};

/* Another key of `answers`: a destination of a service by link, by its MAC address. */
struct l4lb_sender_key {
	__u8 mac[6];
	__u16 service;		/* its id */
	__u8 spare[11];
	__u8 version;		/* 0, which no address has */
} __attribute__((aligned(4)));

struct l4lb_answer {
	__u8 address[16];	/* the service's, of the same IP version */
	__be16 port;		/* 0: the packet keeps its own */
	__u8 flags;
	__u8 spare[3];
	__u16 destination;	/* its id, under which the answer is counted */
} __attribute__((aligned(8)));

/*
 * Only for fragments, which have no ports and are looked up with port 0. Without this flag
 * an entry with port 0 is for whole packets and fragments.
 */
#define L4LB_ANSWER_FRAGMENTS 1
#define L4LB_ANSWER_LINK 2	/* `destination` is the id of a service, and nothing is written */

#define L4LB_ANSWERS (1 << 14)

/*
 * Full-nat sends a connection on from a port of ours. The port's number is the place of
 * the connection's record, so that one record serves both directions and neither of them
 * can lose it without the other. An address of a service's pool has a block of ports, and
 * the blocks lie one behind the other: the ports 32768 to 65535 of the address have the
 * numbers from 32768 times the block.
 */
#define L4LB_FIRST_PORT 0x8000
#define L4LB_BLOCK_PORTS 0x8000
#define L4LB_BLOCKS 4	/* 9 MB; l4lb-load --blocks sets another number */
#define L4LB_MOST_BLOCKS 1024

/* `pools`, one entry: which addresses have which blocks, until the first with version 0. */
struct l4lb_pool {
	__be32 upper[3];	/* of its first address */
	__u32 spare;
	/* One word with the last 4 bytes of the address, which hold a whole IPv4 address: */
	__be32 last;
	__u16 first_block;
	__u8 host_bits;		/* the last bits of the address that vary: they are added to the block */
	__u8 version;		/* of the addresses: 4, 6; 1: no pool is here any more */
};

#define L4LB_MOST_POOLS 8

struct l4lb_pools {
	struct l4lb_pool pools[L4LB_MOST_POOLS];
};

/*
 * `claims`: who has a port, in sets of one cache line. Set n is about the ports from 8 * n.
 * A claim is one word, and a port is taken by exchanging that word.
 */
struct l4lb_claim {
	__u32 signature;	/* of the connection, 0: the port is free */
	__u16 state;
	__u16 seen;		/* as in a record */
};

#define L4LB_CLAIM_READY 1	/* what `ports` says is true */
#define L4LB_CLAIM_TCP 2
#define L4LB_CLAIM_ANSWERED 4	/* the destination has sent something */
#define L4LB_CLAIM_ESTABLISHED 8 /* and its client has gone on: no forged source can */
#define L4LB_CLAIM_CLIENT_FIN 16
#define L4LB_CLAIM_SERVER_FIN 32
#define L4LB_CLAIM_RST 64	/* and nothing came after it */

/*
 * How long a connection may be silent before a new one may take its port, in the units of
 * `seen`: RFC 4787 and RFC 5382. One that has ended waits for as long as servers keep
 * theirs in TIME_WAIT.
 */
#define L4LB_CLAIM_ENDED 16	/* 64 seconds */
#define L4LB_CLAIM_RESET 60	/* 4 minutes, as anyone can forge a RST: RFC 7857 */
#define L4LB_CLAIM_UDP 45	/* 3 minutes */
#define L4LB_CLAIM_LASTS 1861	/* 2 hours and 4 minutes */

#define L4LB_CLAIM_SETS (L4LB_BLOCK_PORTS / L4LB_RECORDS)	/* of a block */

/* `ports`, by number: the connection that has it. */
struct l4lb_port {
	__u8 client[16];
	__u8 address[16];	/* the service's */
	__be16 client_port;
	__be16 service_port;
	__u16 destination;	/* its id */
	__u8 protocol;
	__u8 version;		/* of the addresses: 4, 6 */
	__u32 awaited;		/* what a client acknowledges that has seen the answer to its SYN */
	__u8 spare[20];
} __attribute__((aligned(64)));

/*
 * `clock`, one word: above, the lower half of the kernel's count of ticks; below, the second
 * of CLOCK_MONOTONIC that it was in that tick.
 */

/* `limits`, one entry for each of these: how often this CPU did it in the current second. */
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
#define L4LB_MOST_ECHOES 10000	/* monitors send a few thousand at most */
#endif

/* `counters` and `returned` by destination, `verdicts` by verdict. */
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
_Static_assert(1LL + L4LB_CELLS + L4LB_SLOTS / L4LB_QUAD + L4LB_SLOTS +
			       L4LB_SLOTS / L4LB_PAIR +
			       2 * (L4LB_DESTINATIONS + 1) +
			       L4LB_VERDICT_ENTRIES <=
		       L4LB_CARD_ENTRIES,
	       "SLOTS, DESTINATIONS, CELLS: more than a SmartNIC holds");
#endif

/*
 * Reads a word that other processors may be writing, in one piece. It takes a void
 * pointer, because clang infers the alignment of a member from its surroundings, and
 * reads a less aligned one in halves.
 */
static __always_inline __u64 read_word(const void *where)
{
	return *(const volatile __u64 *)where;
}

#define L4LB_OFFSET(type, member) __builtin_offsetof(struct type, member)

_Static_assert(sizeof(struct l4lb_device) == 56, "device");
_Static_assert(L4LB_OFFSET(l4lb_device, mac) == 16, "the MAC is in one word");
_Static_assert(sizeof(struct l4lb_cell) == 32, "cell");
_Static_assert(L4LB_OFFSET(l4lb_cell, port) == 20,
	       "an IPv4 address and the rest of a way are one word");
_Static_assert(L4LB_OFFSET(l4lb_cell, first_slot) == 24,
	       "a cell's target is one word");
_Static_assert(sizeof(struct l4lb_quad) == 8, "four slots are one word");
_Static_assert(sizeof(struct l4lb_destination) == 56, "destination");
_Static_assert(L4LB_OFFSET(l4lb_destination, mac) == 16,
	       "the MAC is in one word");
_Static_assert(L4LB_OFFSET(l4lb_destination, source_address) == 28,
	       "an IPv4 source, its sum and the largest packet are one word");
_Static_assert(L4LB_OFFSET(l4lb_destination, forward) == 48,
	       "how to forward is one word");
_Static_assert(sizeof(struct l4lb_counter) == 16, "counter");
#ifdef L4LB_HOST
_Static_assert(sizeof(struct l4lb_answer_key) == 20, "answer_key");
_Static_assert(sizeof(struct l4lb_sender_key) == 20,
	       "both keys of answers are as long");
_Static_assert(L4LB_OFFSET(l4lb_sender_key, version) ==
		       L4LB_OFFSET(l4lb_answer_key, version),
	       "the version tells the keys of answers apart");
_Static_assert(sizeof(struct l4lb_answer) == 24, "answer");
_Static_assert(sizeof(struct l4lb_pools) == 192, "pools");
_Static_assert(sizeof(struct l4lb_claim) == 8, "a claim is one word");
_Static_assert(sizeof(struct l4lb_port) == 64, "a port is one cache line");
#endif

#endif
