/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The balancer remembers: which destination a packet of a hot slot goes to, in a service
 * whose destinations cannot decide (names.h).
 *
 * A slot that moves from A to B is hot, and keeps A as its previous destination.
 * Connections that began before the move are on A, younger ones on B. Each packet
 * must show which kind of connection it belongs to:
 *
 * - A SYN begins a connection: it goes to the current destination, B, and is
 *   recorded.
 * - Any other TCP packet follows its record. Without a record it belongs to an older
 *   connection and goes to the previous destination, A. Nothing is written for it.
 *
 * So the steady state costs nothing, because packets of a cold slot never come here,
 * and a flood of ACKs writes nothing. In a flood of SYNs, each CPU records only a
 * limited number per second. That leaves other connections time for a second packet,
 * after which no SYN pushes their records out. The rest of the flood goes to the
 * previous destination without a record, and so do its later packets. Such a SYN pushes
 * out no record, and it does not wait for a random set to come from memory, which takes
 * longer than anything else. These rules have consequences:
 *
 * - A slot that moves again while hot keeps its first previous destination:
 *   connections that began since have a record; older ones have none, and are
 *   still on A.
 * - When the previous destination is removed or forgotten, or its deadline passes, the
 *   slot stays hot with NOBODY as its previous, because the records are still needed. If the
 *   slot moves again, it gets a previous destination again: connections without a
 *   record were on its current one.
 * - A record counts only if a packet came since the slot became hot, and only while
 *   its destination is in the same service and not forgotten. The same 5-tuple may come
 *   back after a cold phase, and an id may have a new owner.
 * - A SYN with a young record is a repetition, because the answer was lost. It goes
 *   where the first one went, if that destination still exists and is not drained.
 * - A record becomes established with its second packet, whose sequence number must be
 *   the one after the SYN. Until then nothing else finds the record. So a forged SYN
 *   with the addresses and ports of an older connection does not move that connection:
 *   its packets have other sequence numbers, and go where they went before. A SYN with
 *   data promises one of two numbers, because the destination may take the data or
 *   leave it to be sent again. An attacker who sends a SYN and the packet after it can
 *   still move a connection. And if the first packets after a SYN are lost and a later
 *   one arrives first, that one goes to the previous destination.
 * - A record lasts with the third packet. Until then it is outdated after 64 seconds of
 *   silence, and later after an hour. So whoever sends a SYN and one packet more from
 *   addresses that are not its own has to repeat that every minute to hold a record.
 * - A SYN replaces an empty or outdated record, or else the oldest one that is not
 *   established. One that has ended counts as 16 seconds older than it is, so that it goes
 *   before one that is still in its handshake. If there is none, the new connection goes to the previous destination
 *   without a record, because its later packets will go there.
 * - A FIN or RST ends a record: it is no longer established, so that a SYN may replace
 *   it at once. Otherwise short connections would fill the sets, and new ones would go
 *   to the previous destination. The packets after a FIN still follow the record.
 * - A SYN with the addresses and ports of a connection on record follows a record that
 *   is young and has not ended. Otherwise it begins a connection with a record of its
 *   own. The older record is removed when the new one becomes established.
 * - An ICMP error follows the established record of the connection it quotes, or goes to
 *   the previous destination. It writes nothing, because anyone can send one.
 *   Fragments have no ports to find a record by, and go to the previous destination.
 *   Fragments of UDP go where the rest of UDP goes.
 *
 * signature.h tells where a connection's record lies, and why nobody can aim at it.
 *
 * The portable build has no flows: on a SmartNIC a program can only add to its
 * maps, so it has hot slots only where destinations decide.
 */
#ifndef FLOWS_H
#define FLOWS_H

#include "clock.h"
#include "limit.h"
#include "maps.h"
#include "parse.h"
#include "records.h"
#include "service.h"
#include "signature.h"

#ifdef L4LB_HOST

/* Bytes of a TCP header, by their offsets, and flags. */
#define TCP_LENGTH_BYTE 12 /* in words, in its upper half */
#define TCP_FLAG_BYTE 13
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* The first word of a slot's memory. */
union memory {
	__u64 word;
	struct {
		__u16 previous;
		__u16 drained;
		__u32 since;
	} fields;
};

/* What a packet does in a hot slot. */
enum role {
	STAYS, /* with the previous destination, like all packets of its kind */
	BEGINS, /* a connection */
	CONTINUES, /* a connection, and follows its record */
	ENDS, /* the same with a FIN or RST */
};

/* What the steps here need of a TCP header. */
struct segment {
	__u32 sequence;
	__u32 data; /* bytes behind the header */
	__u8 flags;
};

/*
 * The signatures that a packet's record may have before it is established. An ICMP error
 * has none, because it quotes the other direction with its sequence numbers. A segment
 * follows the SYN directly. Or it repeats the data of the SYN, whose destination did not
 * take it: then its end is the number that was promised.
 */
union begun {
	__u64 word;
	struct {
		__u32 following;
		__u32 repeating;
	};
};

/* A packet that comes to a hot slot. It is one word, because a BPF function takes no structures. */
union visitor {
	__u64 word;
	struct {
		__u32 signature;
		__u16 service;
		__u8 role;
		bool is_error; /* an ICMP error, which writes nothing */
	};
};

/* A visitor, and the slot that it finds. */
struct visit {
	union visitor visitor;
	union begun begun;
	__u32 slot;
	__u32 current; /* the slot's current destination */
	__u32 seconds;
	__u32 now; /* in the units of a record's `seen`, but wider */
};

static __always_inline union memory read_memory(const struct visit *visit)
{
	union memory memory = { .fields.previous = L4LB_NOBODY };
	const struct l4lb_memory *found;
	/* A copy, so that the visit itself need not lie on the stack. */
	const __u32 key = visit->slot;

	found = lookup(&memories, &key);
	if (found)
		memory.word = read_word(found);
	return memory;
}

static __always_inline void write_record(struct l4lb_set *set, __u32 place,
					 union record record)
{
	*(volatile __u64 *)&set->records[within(place, L4LB_RECORDS - 1)] =
		record.word;
}

/* Returns the place of the record that has one of these signatures, or L4LB_RECORDS. */
static __always_inline __u32 find_record(const struct l4lb_set *set, __u32 one,
					 __u32 other)
{
	__u32 place, signature;

#pragma unroll
	for (place = 0; place < L4LB_RECORDS; place++) {
		signature = read_record(set, place).fields.signature;
		if (signature == one || signature == other)
			break;
	}
	return place;
}

static __always_inline __u32 find_begun(const struct l4lb_set *set,
					const struct visit *visit)
{
	return find_record(set, visit->begun.following, visit->begun.repeating);
}

static __always_inline __u32 find_established(const struct l4lb_set *set,
					      const struct visit *visit)
{
	const __u32 signature = visit->visitor.signature;

	return find_record(set, signature, signature & ~L4LB_LASTING);
}

/* Returns 1 for a number below 0, otherwise 0. The asm keeps the compiler from making a branch. */
static __always_inline __u32 is_negative(__s32 number)
{
	asm("" : "+r"(number));
	return (__u32)number >> 31;
}

/*
 * Ranks how well a new record may replace this one: an empty record ranks best, an
 * older one better than a younger one, and 0 means never. It computes the rank without
 * branches, because in a flood of SYNs no processor can predict them.
 */
static __always_inline __u32 rank(const struct visit *visit,
				  union record record)
{
	const __u32 silent = age(visit->now, record);
	const __u32 is_empty = ~record.fields.signature >> 31;
	const __u32 is_ended = record.fields.destination >> 15;
	/* See is_protected(). */
	const __u32 is_established = record.fields.signature >> 30 & ~is_ended &
				     1;
	const __u32 is_remembered =
		is_negative(silent - (longest_silence(record) + 1));

	/* One that has ended goes before one that may still be in its handshake. */
	return ((silent + is_ended * L4LB_HANDSHAKE + 1) &
		((is_established & is_remembered) - 1)) |
	       is_empty << 17;
}

/* Returns the first of the best places for a new record, or L4LB_RECORDS. */
static __always_inline __u32 find_room(const struct l4lb_set *set,
				       const struct visit *visit)
{
	__u32 place, one, best = 0;

#pragma clang loop unroll(disable)
	for (place = 0; place < L4LB_RECORDS; place++) {
		one = rank(visit, read_record(set, place)) * L4LB_RECORDS +
		      (L4LB_RECORDS - 1 - place);
		best += (one - best) & (is_negative(one - best) - 1);
	}
	if (best < L4LB_RECORDS)
		return L4LB_RECORDS;
	return L4LB_RECORDS - 1 - best % L4LB_RECORDS;
}

/* Returns the destination of a record that counts, or NULL. */
static __always_inline const struct l4lb_destination *
standing(const struct visit *visit, union memory memory, union record record)
{
	const __u32 id = destination_id(record);
	const __u32 hot = visit->now - (memory.fields.since >> L4LB_SEEN_SHIFT);
	const struct l4lb_destination *found;

	if (age(visit->now, record) > hot)
		return NULL;
	found = lookup(&destinations, &id);
	return found && keeps_connections(found, visit->visitor.service) ?
		       found :
		       NULL;
}

/* Tells whether a SYN goes where a record says. */
static __always_inline bool
holds_syn(const struct visit *visit, const struct l4lb_destination *destination,
	  union record record)
{
	return destination && destination->weight &&
	       !(record.fields.destination & L4LB_ENDED) &&
	       age(visit->now, record) <= L4LB_YOUNG;
}

/* Reads the slot's memory only if needed, because in a flood that takes long. */
static __always_inline __u16 begin_connection(struct l4lb_set *set,
					      const struct visit *visit)
{
	const union record fresh = {
		.fields = {
			.signature = visit->begun.following,
			.destination = visit->current,
			.seen = visit->now,
		},
	};
	const struct l4lb_destination *destination;
	__u32 known, place;
	union record record;
	bool keeps = false; /* the record that is known */

	known = find_begun(set, visit);
	if (known == L4LB_RECORDS) {
		known = find_established(set, visit);
		keeps = true;
	}
	place = known;
	if (known < L4LB_RECORDS) {
		record = read_record(set, known);
		destination = standing(visit, read_memory(visit), record);
		if (holds_syn(visit, destination, record))
			return destination_id(record);
		keeps &= !!destination;
	}
	if (keeps)
		place = find_room(set, visit);
	if (place < L4LB_RECORDS) {
		write_record(set, place, fresh);
		return visit->current;
	}
	if (known < L4LB_RECORDS)
		return destination_id(record);
	return read_memory(visit).fields.previous;
}

/* Removes the record of an older connection with the same addresses and ports. */
static __always_inline void remove_established(struct l4lb_set *set,
					       const struct visit *visit)
{
	const union record empty = {};
	const __u32 place = find_established(set, visit);

	if (place < L4LB_RECORDS)
		write_record(set, place, empty);
}

/* Notes a packet in its connection's record. The second packet does not make it a lasting one. */
static __always_inline void follow_record(struct l4lb_set *set, __u32 place,
					  const struct visit *visit,
					  union record record, bool is_second)
{
	const __u32 lasting = visit->visitor.signature;
	union record noted = record;

	noted.fields.signature = is_second ? lasting & ~L4LB_LASTING : lasting;
	if (visit->visitor.role == ENDS)
		noted.fields.destination |= L4LB_ENDED;
	noted.fields.seen = visit->now;
	if (noted.word != record.word)
		write_record(set, place, noted);
}

static __always_inline __u16 continue_connection(struct l4lb_set *set,
						 const struct visit *visit)
{
	const union memory memory = read_memory(visit);
	__u32 place = L4LB_RECORDS;
	bool is_second = true;
	union record record;

	if (!visit->visitor.is_error)
		place = find_begun(set, visit);
	if (place == L4LB_RECORDS) {
		place = find_established(set, visit);
		is_second = false;
	}
	if (place == L4LB_RECORDS)
		return memory.fields.previous;
	record = read_record(set, place);
	if (!standing(visit, memory, record))
		return memory.fields.previous;
	if (visit->visitor.is_error)
		return destination_id(record);
	if (is_second)
		remove_established(set, visit);
	follow_record(set, place, visit, record, is_second);
	return destination_id(record);
}

/* Tells whether a SYN exceeds the limit for records per second: see above. */
static __always_inline bool is_one_too_many(const struct visit *visit)
{
	return visit->visitor.role == BEGINS &&
	       !may(L4LB_LIMIT_RECORDS, L4LB_MOST_RECORDS, visit->seconds);
}

static __always_inline __u16 destination_of(const struct visit *visit,
					    __u32 set_key)
{
	struct l4lb_set *set;

	if (visit->visitor.role == STAYS || is_one_too_many(visit))
		return read_memory(visit).fields.previous;
	set = lookup(&flows, &set_key);
	if (never(!set))
		return visit->current; /* the key is below the size */
	if (visit->visitor.role == BEGINS)
		return begin_connection(set, visit);
	return continue_connection(set, visit);
}

/*
 * Returns the id of the destination that the visitor goes to. It is a function of its
 * own, so that other packets keep nothing for it in registers or on the stack. It is not
 * static, so that the verifier looks at it once and not again for each way to it.
 */
__noinline __u32 remember(__u32 slot, __u32 current, __u64 visitor_word,
			  __u64 begun_word, __u32 set_key)
{
	const __u32 seconds = this_second();
	const struct visit visit = {
		.visitor = { .word = visitor_word },
		.begun = { .word = begun_word },
		.slot = slot,
		.current = current,
		.seconds = seconds,
		.now = seconds >> L4LB_SEEN_SHIFT,
	};
	const __u32 id = destination_of(&visit, set_key);
	__u32 *last;

	if (id == L4LB_NOBODY || id == current)
		return current;
	if (visit.visitor.is_error)
		return id;

	last = lookup(&kept, &slot);
	if (last && *last != seconds)
		*last = seconds;
	return id;
}

/* Reads a packet's TCP header, which is known to be there. Only hot slots ask. */
static __always_inline struct segment read_segment(const struct xdp_md *ctx,
						   const struct packet *packet)
{
	const __u32 before = sizeof(struct ethhdr) +
			     within(packet->tags, 3) * sizeof(struct vlan_tag) +
			     within(packet->header_length, 0x3fff);
	const void *tcp = frame_start(ctx) + before;
	const __u8 *bytes = tcp;
	struct segment segment = {};

	if (never(tcp + sizeof(struct tcphdr) > frame_end(ctx)))
		return segment;
	segment.sequence = bpf_ntohl(((const struct tcphdr *)tcp)->seq);
	segment.data = packet->length - packet->header_length -
		       (bytes[TCP_LENGTH_BYTE] >> 4) * 4;
	segment.flags = bytes[TCP_FLAG_BYTE];
	return segment;
}

static __always_inline enum role role_of(const struct packet *packet,
					 __u8 flags)
{
	if (packet->protocol != IPPROTO_TCP || packet->is_fragment)
		return STAYS;
	if (packet->is_error)
		return CONTINUES;
	if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		return BEGINS;
	return flags & (TCP_FIN | TCP_RST) ? ENDS : CONTINUES;
}

static __always_inline union begun begun_by(union visitor visitor,
					    struct segment segment)
{
	const __u32 end = segment.sequence + segment.data;
	const bool is_syn = visitor.role == BEGINS;
	union begun begun;

	begun.following = L4LB_FULL | (visitor.signature ^
				       (is_syn ? end + 1 : segment.sequence));
	begun.repeating = L4LB_FULL |
			  (visitor.signature ^ (is_syn ? end + 1 : end));
	begun.following &= ~(L4LB_ESTABLISHED | L4LB_LASTING);
	begun.repeating &= ~(L4LB_ESTABLISHED | L4LB_LASTING);
	return begun;
}

static __always_inline __u32 follow(const struct xdp_md *ctx,
				    const struct l4lb_device *device,
				    const struct packet *packet,
				    union target target, __u32 slot,
				    __u32 current)
{
	const bool is_tcp = packet->protocol == IPPROTO_TCP;
	union visitor visitor = {
		.service = target.service,
		.is_error = packet->is_error,
	};
	struct segment segment = {};
	union begun begun = {};
	__u32 set = 0;

	if (!is_tcp && !(target.flags & L4LB_CELL_UDP_STAYS))
		return current;
	if (is_tcp && !packet->is_fragment && !packet->is_error)
		segment = read_segment(ctx, packet);
	visitor.role = role_of(packet, segment.flags);
	if (visitor.role != STAYS) {
		visitor.signature = sign(device, packet, &set);
		begun = begun_by(visitor, segment);
	}
	return remember(slot, current, visitor.word, begun.word, set);
}

static __always_inline bool destinations_decide(union target target)
{
	return target.flags & L4LB_CELL_NAMES;
}

#else

#define destinations_decide(target) ((void)(target), true)
#define follow(ctx, device, packet, target, slot, current) \
	((void)(ctx), (void)(device), (void)(packet), (current))

#endif
#endif
